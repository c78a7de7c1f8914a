"""How does a measurement ask a server? Over one connection, with as little as can be.

A client library would take as long as a quick page does.
"""

import html
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from urllib.parse import urlencode

from backoffice.admin.own_names import TOKEN

_TOKEN = re.compile(rf'name="({TOKEN})" value="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, and how many seconds it took from sending to the last byte."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float
    first_byte: float

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


class Client:
    """One keep-alive connection that remembers its cookies."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.cookies: dict[str, str] = {}
        self._open: socket.socket | None = None

    def get(self, path: str) -> Answer:
        """Ask for a page."""
        return self._ask("GET", path, b"")

    def get_any(self, path: str) -> Answer:
        """Ask for a page that may be refused: it is the time that counts."""
        return self._ask("GET", path, b"", may_fail=True)

    def post(self, path: str, fields: Mapping[str, str]) -> Answer:
        """Send a form."""
        return self._ask("POST", path, urlencode(fields).encode())

    def close(self) -> None:
        """Hang up."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def log_in(self, path: str, email: str, password: str) -> None:
        """Fill in the login page."""
        token = hidden(self.get(path).text)
        sent = self.post(path, {**token, "email": email, "password": password})
        if sent.status != 303:
            raise RuntimeError(f"The login was answered by {sent.status}.")

    def fetch_large(self, path: str) -> tuple[float, float, int]:
        """Read a stream and keep nothing: first byte, last byte, number of lines."""
        started = perf_counter()
        connection = self._send("GET", path, b"")
        buffer = bytearray(1 << 20)
        first = lines = 0
        tail = b""
        while size := connection.recv_into(buffer):
            if not first:
                first = perf_counter() - started  # type: ignore[assignment]
                if b" 200 " not in buffer[:16]:
                    raise RuntimeError(f"{path}: {bytes(buffer[:200])!r}")
            lines += buffer.count(b"\n", 0, size)
            tail = (tail + buffer[max(0, size - 7) : size])[-7:]
            if tail == b"\r\n0\r\n\r\n":
                break
        self.close()
        return first, perf_counter() - started, lines

    def _ask(
        self, method: str, path: str, body: bytes, *, may_fail: bool = False
    ) -> Answer:
        started = perf_counter()
        try:
            connection = self._send(method, path, body)
            data = connection.recv(1 << 18)
        except OSError:
            data = b""
        if not data:  # the server has hung up meanwhile
            self.close()
            connection = self._send(method, path, body)
            data = connection.recv(1 << 18)
        first = perf_counter() - started
        while b"\r\n\r\n" not in data:
            data += _more(connection)
        head, _, rest = data.partition(b"\r\n\r\n")
        status, headers = self._read_head(head)
        rest = _body(connection, headers, rest)
        if status >= 500 and not may_fail:
            raise RuntimeError(f"{method} {path}: {status} {rest[:300]!r}")
        return Answer(status, headers, rest, perf_counter() - started, first)

    def _send(self, method: str, path: str, body: bytes) -> socket.socket:
        if self._open is None:
            self._open = socket.create_connection(("127.0.0.1", self.port), 120)
            self._open.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}"]
        if self.cookies:
            lines.append("Cookie: " + "; ".join(map("=".join, self.cookies.items())))
        if method == "POST":
            lines.append("Content-Type: application/x-www-form-urlencoded")
            lines.append(f"Origin: http://127.0.0.1:{self.port}")
            lines.append(f"Content-Length: {len(body)}")
        self._open.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        return self._open

    def _read_head(self, head: bytes) -> tuple[int, dict[str, str]]:
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(": ")
            if name.lower() == "set-cookie":
                key, _, kept = value.partition(";")[0].partition("=")
                self.cookies[key] = kept
            headers[name.lower()] = value
        return int(first.split()[1]), headers


def hidden(page: str) -> dict[str, str]:
    """The tokens of a page's form."""
    return {name: html.unescape(value) for name, value in _TOKEN.findall(page)}


def _body(connection: socket.socket, headers: Mapping[str, str], rest: bytes) -> bytes:
    if headers.get("transfer-encoding") == "chunked":
        while not rest.endswith(b"0\r\n\r\n"):
            rest += _more(connection)
        return rest
    length = int(headers.get("content-length", 0))
    parts, size = [rest], len(rest)
    while size < length:
        parts.append(_more(connection))
        size += len(parts[-1])
    return b"".join(parts)


def _more(connection: socket.socket) -> bytes:
    data = connection.recv(1 << 18)
    if not data:
        raise ConnectionError("The server hung up in mid-answer.")
    return data

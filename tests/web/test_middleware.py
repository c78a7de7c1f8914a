"""Tests of what every request passes before a page is asked."""

import gzip
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import Message, Scope

from backoffice.errors import SettingsError
from backoffice.observability.request_id import RequestIdFilter, current_request_id
from backoffice.settings import Settings, WebSettings
from backoffice.web.middleware.host_guard import split_origin
from backoffice.web.middleware.request_shape import is_text
from backoffice.web.pipeline import pipeline

UNSAFE = ["POST", "PUT", "PATCH", "DELETE", "PROPFIND"]


async def echo(request: Request) -> Response:
    """What the application saw."""
    return JSONResponse(
        {
            "method": request.method,
            "url": str(request.url),
            "size": len(await request.body()),
            "request": current_request_id(),
        }
    )


async def fail(request: Request) -> Response:
    """What nobody foresaw."""
    raise RuntimeError("the password is hunter2")


async def kept(request: Request) -> Response:
    """An answer that may be kept, and says so itself."""
    return PlainTextResponse("x", headers={"Cache-Control": "public, max-age=60"})


HERE = "http://office.test"
FROM_HERE = {"Origin": HERE}


def client(**web: Any) -> TestClient:
    """A browser before an application of three pages, with these settings."""
    methods = ["GET", *UNSAFE]
    app = Starlette(
        routes=[
            Route("/fail", fail),
            Route("/kept", kept),
            Route("/livez", echo),
            Route("/{rest:path}", echo, methods=methods),
        ],
        middleware=pipeline(Settings(web=WebSettings(**web))),
    )
    return TestClient(app, base_url=HERE, follow_redirects=False)


# Origin


@pytest.mark.parametrize("method", UNSAFE)
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://office.test"},
        {"Sec-Fetch-Site": "nonsense"},
        {"Origin": "http://evil.test"},
        {"Origin": "http://office.test.evil.test"},
        {"Origin": "http://office.test:8001"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://[broken"},
        {"Referer": "http://evil.test/admin/student/create"},
    ],
)
def test_changes_from_elsewhere_are_refused(
    method: str, headers: dict[str, str]
) -> None:
    """No other site's page can send anything but a GET."""
    response = client().request(method, "/admin/student/create", headers=headers)
    assert response.status_code == 403
    assert "another site" in response.text


@pytest.mark.parametrize("method", UNSAFE)
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://office.test"},
        {"Origin": "https://office.test"},
        {"Referer": "http://office.test/admin/student/create?then=continue"},
    ],
)
def test_changes_from_here_pass(method: str, headers: dict[str, str]) -> None:
    """Our own pages, and programs that say so, go on to the token's check."""
    assert client().request(method, "/x", headers=headers).status_code == 200


@pytest.mark.parametrize("method", UNSAFE)
def test_a_change_that_does_not_say_where_from_is_refused(method: str) -> None:
    """A token alone is half of what is asked for."""
    response = client().request(method, "/x")
    assert response.status_code == 403
    assert "Origin header" in response.text


def test_links_from_elsewhere_work() -> None:
    """Following a link from a mail or another site is no change."""
    response = client().get("/admin/", headers={"Sec-Fetch-Site": "cross-site"})
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://office.example.org", 200),
        ("http://office.example.org", 403),
        ("http://127.0.0.1:8000", 403),
    ],
)
def test_behind_a_proxy_the_public_origin_counts(origin: str, status: int) -> None:
    """Where the public address is known, only that is the own origin."""
    browser = client(public_origin="https://office.example.org/")
    assert browser.post("/x", headers={"Origin": origin}).status_code == status


# Headers


@pytest.mark.parametrize(
    ("path", "headers"),
    [("/admin/", {}), ("/fail", {}), ("/%ff", {}), ("/x", {"Host": "bad host"})],
)
def test_every_answer_has_the_security_headers(
    path: str, headers: dict[str, str]
) -> None:
    """Pages, faults and refusals alike tell the browser what it may do."""
    found = client().get(path, headers=headers).headers
    assert found["Content-Security-Policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; "
        "img-src 'self' data:; font-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    assert found["X-Frame-Options"] == "DENY"
    assert found["X-Content-Type-Options"] == "nosniff"
    assert found["Referrer-Policy"] == "same-origin"
    assert found["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "camera=()" in found["Permissions-Policy"]
    assert found["Cache-Control"] == "no-store, private"


def test_what_may_be_kept_says_so_itself() -> None:
    """A stylesheet's own caching is left to it."""
    assert client().get("/kept").headers["Cache-Control"] == "public, max-age=60"


@pytest.mark.parametrize(
    ("https_only", "value"), [(True, "max-age=31536000"), (False, None)]
)
def test_https_is_promised_where_it_is_asked_for(
    https_only: bool,  # noqa: FBT001
    value: str | None,
) -> None:
    """Only a site that is always served over HTTPS promises that."""
    headers = client(https_only=https_only).get("/").headers
    assert headers.get("Strict-Transport-Security") == value


# Host


@pytest.mark.parametrize(
    "host", ["evil host", "a/b", "a@b", "<script>", "a:b", "", "[::1", "a" + "\xe9"]
)
def test_what_is_no_host_is_refused(host: str) -> None:
    """No address is ever built from a Host that is none."""
    response = client().get("/", headers={"Host": host.encode("latin-1")})
    assert response.status_code == 400


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("office.test", 200),
        ("OFFICE.test:8000", 200),
        ("office.test.", 200),
        ("a.b.wild.test", 200),
        ("wild.test", 400),
        ("evil.test", 400),
        ("office.test.evil.test", 400),
    ],
)
def test_only_allowed_hosts_are_answered(host: str, status: int) -> None:
    """A name that nobody allowed is turned away."""
    browser = client(allowed_hosts=["office.test", "*.wild.test"])
    assert browser.get("/", headers={"Host": host}).status_code == status


def test_probes_are_answered_under_any_name() -> None:
    """A load balancer asks by whatever address it knows."""
    browser = client(allowed_hosts=["office.test"])
    assert browser.get("/livez", headers={"Host": "10.0.0.7"}).status_code == 200


def test_addresses_are_built_from_the_public_origin() -> None:
    """What anybody writes into Host does not get into our addresses."""
    browser = client(public_origin="https://office.example.org")
    seen = browser.get("/a", headers={"Host": "evil.test"}).json()
    assert seen["url"] == "https://office.example.org/a"


@pytest.mark.parametrize(
    "origin",
    ["office.example.org", "ftp://a", "https://", "https://a/b", "https://a?b"],
)
def test_a_public_origin_that_is_none_is_said(origin: str) -> None:
    """A mistake in the settings is met at the start, in words."""
    with pytest.raises(SettingsError, match=r"web.public_origin is"):
        split_origin(origin)


# Bytes


@pytest.mark.parametrize(
    "path", ["/%ff", "/a%00b", "/%c3%28", "/x?q=%ff", "/x?q=%00", "/x?%80=1"]
)
def test_an_address_that_is_no_text_is_refused(path: str) -> None:
    """Bytes that no database would take become a page of ours."""
    response = client().get(path)
    assert response.status_code == 400
    assert "cannot be read" in response.text


@pytest.mark.parametrize("path", ["/%C3%BC", "/x?q=%F0%9F%A6%86", "/x?q=100%", "/%2F"])
def test_an_address_that_is_text_passes(path: str) -> None:
    """Every alphabet passes, and a percent sign that is only one."""
    assert client().get(path).status_code == 200


def test_surrogates_are_no_text() -> None:
    """Half a character, encoded as some languages do, is refused."""
    assert not is_text(b"%ED%A0%80")


# Size


LIMIT = {"max_request_megabytes": 0.001}


def chunks(sizes: Iterable[int]) -> AsyncIterator[bytes]:
    """A body without a declared length."""

    async def produce() -> AsyncIterator[bytes]:
        for size in sizes:
            yield b"x" * size

    return produce()


def test_a_body_within_the_limit_passes() -> None:
    """What is allowed arrives whole."""
    body = b"x" * 1_000
    answer = client(**LIMIT).post("/x", content=body, headers=FROM_HERE)
    assert answer.json()["size"] == 1_000


def test_a_declared_body_beyond_the_limit_is_refused() -> None:
    """The answer says how much a request may carry."""
    response = client(**LIMIT).post("/x", content=b"x" * 1_001)
    assert response.status_code == 413
    assert "may carry 0.001 MB" in response.text


def test_an_undeclared_body_beyond_the_limit_is_refused() -> None:
    """A body that does not say its length is read no further than the limit."""
    status, read = anyio.run(_send_chunks, [600, 600, 600, 600])
    assert status == 413
    assert read == 2


async def _send_chunks(sizes: list[int]) -> tuple[int, int]:
    """The status of a POST in chunks, and how many of them were taken."""
    answers: list[Message] = []
    taken = 0

    async def receive() -> Message:
        nonlocal taken
        body = b"x" * sizes[taken]
        taken += 1
        return {
            "type": "http.request",
            "body": body,
            "more_body": taken < len(sizes),
        }

    async def send(message: Message) -> None:
        answers.append(message)

    scope: Scope = {
        "type": "http",
        "method": "POST",
        "path": "/x",
        "raw_path": b"/x",
        "query_string": b"",
        "headers": [(b"host", b"office.test"), (b"origin", HERE.encode())],
        "scheme": "http",
        "server": ("office.test", 80),
    }
    await client(**LIMIT).app(scope, receive, send)
    return answers[0]["status"], taken


# Number and log


def test_every_answer_has_a_number_of_its_own() -> None:
    """The application, the header and the log agree on it; a client's is ignored."""
    browser = client()
    first, second = (browser.get("/", headers={"X-Request-ID": "mine"}) for _ in "12")
    assert first.headers["X-Request-ID"] == first.json()["request"] != "mine"
    assert first.headers["X-Request-ID"] != second.headers["X-Request-ID"]


def test_outside_of_a_request_there_is_no_number() -> None:
    """A log line of a command has a dash where the number would stand."""
    record = logging.makeLogRecord({})
    assert RequestIdFilter().filter(record)
    assert (current_request_id(), getattr(record, "request_id", "")) == ("", "-")


def access_lines(
    caplog: pytest.LogCaptureFixture, ask: Callable[[], Response | Any]
) -> list[str]:
    """What the access log says of this request."""
    with caplog.at_level(logging.INFO, "backoffice.access"):
        ask()
    return [r.getMessage() for r in caplog.records if r.name == "backoffice.access"]


def test_a_request_is_one_line_without_its_query(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Method, path, status and time are logged; what was searched for is not."""
    (line,) = access_lines(caplog, lambda: client().get("/admin/x?search=Adeyemi"))
    assert line.startswith("GET /admin/x 200 ")
    assert "Adeyemi" not in line


def test_a_path_cannot_forge_a_line(caplog: pytest.LogCaptureFixture) -> None:
    """A line break in an address stays encoded."""
    (line,) = access_lines(caplog, lambda: client().get("/a%0AGET%20/b"))
    assert line.startswith("GET /a%0AGET%20/b ")
    assert "\n" not in line


def test_probes_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """What asks every few seconds is not worth a line each."""
    assert access_lines(caplog, lambda: client().get("/livez")) == []


# Faults


def test_a_fault_shows_its_number_and_nothing_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The page leads to the log by a number; the log has the rest."""
    response = client().get("/fail")
    number = response.headers["X-Request-ID"]
    assert response.status_code == 500
    assert number in response.text
    assert "hunter2" not in response.text
    assert f"request {number} failed" in caplog.text
    assert "hunter2" in caplog.text


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("/fail", 500, "This did not work, and it is not your fault"),
        ("/%ff", 400, "This address cannot be read"),
    ],
)
def test_machines_are_answered_in_json(path: str, status: int, error: str) -> None:
    """Who asks for JSON gets the refusal as JSON."""
    response = client().get(path, headers={"Accept": "application/json"})
    assert (response.status_code, response.json()["error"]) == (status, error)


def test_people_are_answered_with_a_page() -> None:
    """A browser gets a page of ours, in our language and with our stylesheet."""
    text = client().get("/%ff", headers={"Accept": "text/html"}).text
    assert "<h1>This address cannot be read</h1>" in text
    assert "backoffice.css" in text


# Compression


async def page(request: Request) -> Response:
    """A page in one piece or in several, or short, or packed already."""
    name = request.path_params["rest"]
    if name == "short":
        return HTMLResponse("<p>Hello</p>")
    if name == "packed":
        return HTMLResponse(b"x" * 2_000, headers={"Content-Encoding": "br"})
    if name == "rows":
        return StreamingResponse(iter(["a,b\n"] * 1_000), media_type="text/csv")
    return HTMLResponse("<p>Hello</p>" * 1_000)


@pytest.mark.parametrize(
    ("name", "accepted", "encoding"),
    [
        ("long", "gzip, br", "gzip"),
        ("long", "br", None),
        ("long", "", None),
        ("short", "gzip", None),
        ("rows", "gzip", None),
        ("packed", "gzip", "br"),
    ],
)
def test_a_whole_page_is_compressed(
    name: str, accepted: str, encoding: str | None
) -> None:
    """For who reads gzip, where it is long, whole, and not encoded yet."""
    app = Starlette(
        routes=[Route("/{rest:path}", page)], middleware=pipeline(Settings())
    )
    with TestClient(app).stream(
        "GET", f"/{name}", headers={"Accept-Encoding": accepted}
    ) as answer:
        sent = b"".join(answer.iter_raw())
    assert answer.headers.get("content-encoding") == encoding
    if encoding == "gzip":
        assert gzip.decompress(sent) == b"<p>Hello</p>" * 1_000
        assert answer.headers["content-length"] == str(len(sent))
        assert "Accept-Encoding" in answer.headers["vary"]

"""What somebody with a browser and no JavaScript sees of a page, and can do on it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
from starlette.testclient import TestClient
from starlette.types import ASGIApp

from backoffice.admin.own_names import FOR, KEY, TOKEN

VOID = frozenset({"input", "br", "meta", "link", "img", "hr"})
Data = dict[str, list[str]]


@dataclass(slots=True)
class Form:
    """One form: where it goes, what it would send, and its buttons."""

    action: str
    method: str
    fields: Data = field(default_factory=dict)
    choices: Data = field(default_factory=dict)
    buttons: list[tuple[str, str, str]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def data(self, changes: Mapping[str, Any], button: str = "") -> Data:
        """What pressing a button sends, after some fields were changed.

        A field that is changed to None is not sent.
        """
        sent = {name: list(values) for name, values in self.fields.items()}
        for name, value in changes.items():
            sent.pop(name, None)
            if isinstance(value, list):
                sent[name] = value
            elif value is not None:
                sent[name] = [value]
        pressed = [b for b in self.buttons if button and b[2] == button]
        assert pressed or not button, f"no button {button!r} among {self.buttons}"
        for name, value, _label in pressed:
            if name:
                sent[name] = [value]
        return sent

    def value(self, name: str) -> str:
        """What stands in a field."""
        return self.fields[name][0]


class _Reader(HTMLParser):
    """Forms, links, errors and tables of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: list[tuple[str, str]] = []
        self.errors: dict[str, str] = {}
        self.rows: list[list[str]] = []
        self.heads: list[str] = []
        self.notes: list[str] = []
        self.title = self.heading = ""
        self.words: list[str] = []
        self._form: Form | None = None
        self._control = ""
        self._captures: list[tuple[str, dict[str, str], list[str]]] = []
        self._has_box = False
        self._select = ""
        self._selected: str | None = None
        self._first: str | None = None

    def handle_starttag(self, tag: str, given: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in given}
        if tag == "form":
            method = attributes.get("method", "get").lower()
            self._form = Form(attributes.get("action", ""), method)
            self.forms.append(self._form)
        elif tag == "input":
            self._input(attributes)
        elif tag == "select":
            self._select, self._selected, self._first = attributes["name"], None, None
            self._control = self._select
            if self._form is not None:
                self._form.choices[self._select] = []
        elif tag == "option":
            self._option(attributes)
        elif tag == "textarea":
            self._control = attributes.get("name", "")
        elif tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self._has_box = False
        if tag not in VOID:
            self._captures.append((tag, attributes, []))

    def _input(self, attributes: dict[str, str]) -> None:
        name, kind = attributes.get("name", ""), attributes.get("type", "text")
        if kind != "hidden":
            self._control = name
        if kind == "checkbox" and not name:
            self._has_box = True  # the one that ticks all the others
        if self._form is None or not name or "disabled" in attributes:
            return
        if name not in self._form.names:
            self._form.names.append(name)
        self._has_box = self._has_box or kind == "checkbox"
        if kind in {"checkbox", "radio"}:
            choices = self._form.choices.setdefault(name, [])
            choices.append(attributes.get("value", "on"))
            if "checked" not in attributes:
                return
        value = attributes.get("value", "on" if kind == "checkbox" else "")
        self._form.fields.setdefault(name, []).append(value)

    def _option(self, attributes: dict[str, str]) -> None:
        value = attributes.get("value", "")
        if self._form is not None and self._select:
            self._form.choices[self._select].append(value)
        if self._first is None:
            self._first = value
        if "selected" in attributes:
            self._selected = value

    def handle_endtag(self, tag: str) -> None:
        while self._captures:
            name, attributes, texts = self._captures.pop()
            self._close(name, attributes, "".join(texts))
            if name == tag:
                break

    def _close(self, tag: str, attributes: dict[str, str], raw: str) -> None:
        text = " ".join(raw.split())
        if tag == "form":
            self._form = None
        elif tag == "select" and self._form is not None:
            chosen = self._selected if self._selected is not None else self._first
            self._form.fields[self._select] = [chosen or ""]
            self._form.names.append(self._select)
            self._select = ""
        elif tag == "textarea" and self._form is not None and attributes.get("name"):
            # A browser drops the first line break, and sends every one as CR LF.
            value = raw.removeprefix("\n").replace("\r\n", "\n").replace("\n", "\r\n")
            self._form.fields.setdefault(attributes["name"], []).append(value)
            self._form.names.append(attributes["name"])
        elif tag == "button" and self._form is not None:
            if attributes.get("type", "submit") == "submit":
                name, value = attributes.get("name", ""), attributes.get("value", "")
                self._form.buttons.append((name, value, text))
        elif tag == "a":
            label = text or attributes.get("aria-label", "")
            self.links.append((label, attributes.get("href", "")))
        elif tag == "title":
            self.title = text
        elif tag == "h1":
            self.heading = text
        elif tag in {"td", "th"} and self.rows and not self._has_box:
            # A box that ticks the row is no value of it.
            self.rows[-1].append(text)
        classes = attributes.get("class", "").split()
        if "invalid-feedback" in classes:
            control = self._control.removesuffix(KEY).removesuffix(FOR)
            self.errors[control] = text
        if "note" in classes:
            self.notes.append(text)

    def handle_data(self, data: str) -> None:
        inside = {name for name, _, _ in self._captures}
        if not inside & {"script", "style", "title"}:
            self.words.append(data)
        for _, _, texts in self._captures:
            texts.append(data)


@dataclass(slots=True)
class Seen:
    """One answer, as it is seen."""

    response: httpx.Response
    page: _Reader

    @property
    def status(self) -> int:
        """The status."""
        return int(self.response.status_code)

    @property
    def html(self) -> str:
        """The source."""
        return str(self.response.text)

    @property
    def text(self) -> str:
        """All words of the page, single spaces between them."""
        return " ".join(" ".join(self.page.words).split())

    @property
    def heading(self) -> str:
        """The page's heading."""
        return self.page.heading

    @property
    def errors(self) -> dict[str, str]:
        """The sentence at each field that is in the way."""
        return self.page.errors

    @property
    def notes(self) -> list[str]:
        """What is said above all."""
        return self.page.notes

    @property
    def rows(self) -> list[list[str]]:
        """The texts of the table's cells, without the heads."""
        return [row for row in self.page.rows[1:] if row]

    @property
    def heads(self) -> list[str]:
        """The table's heads."""
        return self.page.rows[0] if self.page.rows else []

    @property
    def location(self) -> str:
        """Where it redirects to, without the host; "" where it does not."""
        parts = urlsplit(str(self.response.headers.get("location", "")))
        return parts.path + (f"?{parts.query}" if parts.query else "")

    def form(self, action: str = "") -> Form:
        """The page's main form, or the one that goes to this path."""
        for form in self.page.forms:
            path = urlsplit(form.action).path
            if action and path == action:
                return form
            quiet = path.endswith(("/theme", "/logout", "/close", "/close-others"))
            if not action and form.method == "post" and not quiet:
                return form
        raise AssertionError(f"no form {action!r} on {self.response.url}: {self.text}")

    def link(self, label: str) -> str:
        """Where a link leads."""
        for text, href in self.page.links:
            if text == label:
                return href
        raise AssertionError(f"no link {label!r} among {self.page.links}")

    def hrefs(self) -> Iterator[str]:
        """Where all links lead."""
        for _, href in self.page.links:
            yield href


def read(response: httpx.Response) -> Seen:
    """What an answer shows."""
    page = _Reader()
    if response.headers.get("content-type", "").startswith("text/html"):
        page.feed(response.text)
        page.close()
    return Seen(response, page)


class Browser:
    """One browser: its cookies, and one page after the other."""

    def __init__(self, app: ASGIApp, base_url: str = "http://testserver") -> None:
        self.client = TestClient(app, base_url=base_url, follow_redirects=False)
        self.client.headers["accept"] = "text/html"

    def get(self, url: str, **options: Any) -> Seen:
        """Open an address."""
        return read(self.client.get(url, **options))

    def post(self, url: str, data: Any = None, **options: Any) -> Seen:
        """Send something to an address, as a page of ours would."""
        headers = {"sec-fetch-site": "same-origin", **options.pop("headers", {})}
        return read(self.client.post(url, data=data, headers=headers, **options))

    def submit(
        self,
        seen: Seen,
        changes: Mapping[str, Any] | None = None,
        *,
        button: str = "",
        action: str = "",
    ) -> Seen:
        """Press a button of a form of this page, after changing some fields."""
        form = seen.form(action)
        url = urljoin(str(seen.response.url), form.action)
        return self.post(url, form.data(changes or {}, button))

    def follow(self, seen: Seen) -> Seen:
        """Go where the answer leads, to its end."""
        steps = 0
        while seen.status in {301, 302, 303, 307, 308}:
            steps += 1
            assert steps < 6, f"led in circles: {seen.location}"
            seen = self.get(seen.location)
        return seen

    def token(self) -> str:
        """The token of a form of this session."""
        return self.get("/admin/account").form("/admin/account").value(TOKEN)

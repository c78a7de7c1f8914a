"""Whether a form that was sent is read as it was meant, and beside everything else."""

from urllib.parse import urlencode

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message

from backoffice.admin.form_body import LARGE, fields_of, read_form

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


def request_with(body: bytes, kind: str) -> Request:
    """A request that sends this."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    headers = [(b"content-type", kind.encode())]
    return Request({"type": "http", "method": "POST", "headers": headers}, receive)


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=8))
def test_what_is_sent_arrives(pairs: list[tuple[str, str]]) -> None:
    """Any text, any name, in order and as often as it was sent."""
    assert fields_of(urlencode(pairs).encode(), 10).multi_items() == pairs


@pytest.mark.parametrize(
    ("body", "pairs"),
    [
        (b"", []),
        (b"a", [("a", "")]),
        (b"a=1&&b=", [("a", "1"), ("b", "")]),
        (b"a=x%3Dy=z", [("a", "x=y=z")]),
        (b"a=100%&b=%zz+%4", [("a", "100%"), ("b", "%zz %4")]),
        (b"a=%C3%A9%c3%a9", [("a", "éé")]),
        ("a=é%c3%a9".encode(), [("a", "éé")]),
    ],
)
def test_what_is_no_form_of_a_browser_is_read_as_far_as_it_goes(
    body: bytes, pairs: list[tuple[str, str]]
) -> None:
    """As everywhere: a percent sign may be one, and letters may come as they are."""
    assert fields_of(body, 10).multi_items() == pairs


@pytest.mark.parametrize("body", [b"a=%C3A", b"a=%FF", b"a=x\xff", b"%C3=1"])
def test_bytes_that_are_no_text_are_refused(body: bytes) -> None:
    """Nothing is saved in the place of what was meant."""
    with pytest.raises(HTTPException, match="no UTF-8 text") as refused:
        fields_of(body, 10)
    assert refused.value.status_code == 400


def test_too_many_fields_are_refused() -> None:
    """Before any of them is read."""
    with pytest.raises(HTTPException):
        fields_of(b"a=1&" * 10 + b"a=1", 10)


def test_a_large_form_does_not_stop_everything_else() -> None:
    """The event loop goes round while it is read."""
    rounds: list[None] = []

    async def go_round() -> None:
        while True:
            await anyio.lowlevel.checkpoint()
            rounds.append(None)

    async def read() -> None:
        body = b"text=" + b"%C3%A9+" * LARGE
        kind = "application/x-www-form-urlencoded; charset=utf-8"
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(go_round)
            await anyio.lowlevel.checkpoint()
            before = len(rounds)
            form = await read_form(
                request_with(body, kind), 10, anyio.CapacityLimiter(1)
            )
            assert form is not None
            assert len(str(form["text"])) == 2 * LARGE
            assert len(rounds) > before + 3
            tasks.cancel_scope.cancel()

    anyio.run(read)


def test_what_was_sent_in_another_way_is_left_to_others() -> None:
    """Files come in parts."""
    request = request_with(b"--x--", "multipart/form-data; boundary=x")
    assert anyio.run(read_form, request, 10, anyio.CapacityLimiter(1)) is None

"""Tests of the token in every form."""

import pytest

from backoffice.auth.csrf import check_token, make_token

SECRET = "a secret for tests"


def test_a_token_holds_for_its_session() -> None:
    """A token that was made for a session is accepted in it."""
    assert check_token(SECRET, "one", make_token(SECRET, "one"))


def test_a_token_does_not_hold_for_another_session() -> None:
    """A token from somebody's own session is worth nothing in another's."""
    assert not check_token(SECRET, "two", make_token(SECRET, "one"))


def test_a_token_does_not_hold_under_another_key() -> None:
    """A changed secret key makes all forms invalid."""
    assert not check_token("another secret", "one", make_token(SECRET, "one"))


def test_tokens_of_one_session_differ() -> None:
    """No two pages hold the same token, so compression tells nothing about it."""
    assert make_token(SECRET, "one") != make_token(SECRET, "one")


def test_a_token_does_not_tell_the_session() -> None:
    """The session's id cannot be read from a page."""
    assert "abcdef0123" not in make_token(SECRET, "abcdef0123")


@pytest.mark.parametrize("token", [None, "", ".", "a.", ".b", "a.b", "é.ü", "\ud800.x"])
def test_nonsense_is_no_token(token: str | None) -> None:
    """What was not made here is refused, without an error."""
    assert not check_token(SECRET, "one", token)


def test_the_random_part_is_signed_apart_from_the_session() -> None:
    """Moving letters from the session's id into the random part changes nothing."""
    nonce, _, signature = make_token(SECRET, "one").partition(".")
    assert not check_token(SECRET, "ne", f"{nonce}o.{signature}")

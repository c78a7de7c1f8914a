"""Tests of how passwords are kept and judged."""

from unicodedata import normalize

import pytest
from argon2 import PasswordHasher

from backoffice.auth.passwords import (
    hash_password,
    needs_rehash,
    password_problems,
    verify_password,
)
from tests.auth.conftest import PASSWORD


def test_a_hash_is_argon2id_with_a_salt_of_its_own() -> None:
    """Two hashes of one password differ, and both are argon2id."""
    first, second = hash_password(PASSWORD), hash_password(PASSWORD)
    assert first != second
    assert first.startswith("$argon2id$")


def test_the_right_password_fits(password_hash: str) -> None:
    """A password fits the hash that was made of it."""
    assert verify_password(password_hash, PASSWORD)


def test_another_password_does_not_fit(password_hash: str) -> None:
    """A password that differs in one letter does not fit."""
    assert not verify_password(password_hash, PASSWORD.upper())


@pytest.mark.parametrize("kept", [None, "", "no hash at all", "$argon2id$broken"])
def test_without_a_usable_hash_nothing_fits(kept: str | None) -> None:
    """Where there is no account, or no hash, every password is wrong."""
    assert not verify_password(kept, PASSWORD)


@pytest.mark.parametrize("odd", ["", "\x00", "\ud800", "x" * 1_001, "🦆" * 300])
def test_odd_passwords_are_wrong_and_no_fault(password_hash: str, odd: str) -> None:
    """What is no text, empty or endless is simply not the password."""
    assert not verify_password(password_hash, odd)


def test_a_password_is_the_same_in_every_unicode_form() -> None:
    """A letter typed as one character or as two gives the same password."""
    one, two = (normalize(form, "Käsebrötchen-2x") for form in ("NFC", "NFD"))
    assert one != two
    assert verify_password(hash_password(one), two)


def test_a_hash_of_other_parameters_is_renewed(password_hash: str) -> None:
    """A hash made with less memory is to be made again, one of today's is not."""
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    assert needs_rehash(weak)
    assert not needs_rehash(password_hash)


@pytest.mark.parametrize(
    "password",
    ["four wild geese fly", "Xk7#pQ2!vLm9", "ünïcödé ist auch", "p" + "ab1cd2" * 100],
)
def test_a_good_password_has_no_problems(password: str) -> None:
    """Long enough and not guessable is all that is asked."""
    assert password_problems(password, email="ruth@example.org", name="Ruth Ade") == []


@pytest.mark.parametrize(
    ("password", "said"),
    [
        ("short", "has 5 characters; 10 are the least"),
        ("", "has 0 characters"),
        ("x" * 1_001, "more than 1,000 characters"),
        ("Password123", "most used"),
        ("password2031!", "most used"),
        ("12345678901", "most used"),
        ("9081726354817", "most used"),
        ("QWERTYUIOP", "most used"),
        ("abababababab", "repeats a few characters"),
        ("ruth.adeyemi@example.org", "made from the e-mail"),
        ("Ruth.Adeyemi1", "made from the e-mail"),
        ("FlorenceK99", "made from the name"),
    ],
)
def test_a_weak_password_is_refused_in_words(password: str, said: str) -> None:
    """Each rule that a password breaks is named."""
    problems = password_problems(
        password, email="ruth.adeyemi@example.org", name="Florence K"
    )
    assert any(said in problem for problem in problems)

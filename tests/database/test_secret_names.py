"""Which names are taken for those of secrets."""

import pytest
from sqlalchemy import Boolean, Column, DateTime, Integer, MetaData, String, Table

from backoffice.cli.checking import check_models
from backoffice.database.secret_names import hide_secrets, looks_secret


@pytest.mark.parametrize(
    "name",
    [
        *("password", "PasswordHash", "user_passwd", "api_key", "apiKey", "APIKey"),
        *("stripe_secret_key", "access_token", "refreshToken", "pwd", "otp_seed"),
        *("hash", "salt", "recovery_codes", "ssh_private_key"),
    ],
)
def test_a_name_that_says_secret(name: str) -> None:
    """In whatever style the project writes names."""
    assert looks_secret(Column(name, String()))


@pytest.mark.parametrize(
    "column",
    [
        *(
            Column(name, String())
            for name in ("key", "tokenizer", "compass", "hashtag")
        ),
        *(Column(name, String()) for name in ("token_type", "hash_algorithm", "pin")),
        Column("tokens", Integer()),
        Column("password_changed_at", DateTime()),
        Column("has_password", Boolean()),
        Column("token", String(), primary_key=True),
    ],
    ids=lambda column: column.name,
)
def test_a_name_that_only_sounds_like_one(column: Column[str]) -> None:
    """Amounts, days, flags, keys, and what is told of a secret."""
    assert not looks_secret(column)


def test_the_column_has_the_last_word_and_the_check_tells() -> None:
    """What is declared stays; what is hidden by its name is named, with the way out."""
    metadata = MetaData()
    table = Table(
        "members",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("token", String, nullable=False),
        Column("hash", String, info={"secret": False}),
        Column("salt", String, info={"secret": True}),
    )
    hide_secrets([metadata])
    assert [bool(c.info.get("secret")) for c in table.columns] == [
        False,
        True,
        False,
        True,
    ]

    found = [one for one in check_models([metadata]) if one.id == "models.I001"]

    assert len(found) == 1
    assert "members.token looks secret" in found[0].text
    assert '{"secret": False}' in found[0].hint
    assert "form_columns" in found[0].hint

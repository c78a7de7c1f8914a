import pytest

from backoffice.observability.fingerprints import LONGEST_KEPT, fingerprint
from backoffice.observability.server_statements_postgresql import canonical, ids_of

OURS = "SELECT t.id, t.name \nFROM t \nWHERE t.id = %(id_1)s::INTEGER"


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (OURS, "/*view:t */ SELECT t.id, t.name FROM t\nWHERE t.id = $1::INTEGER"),
        ("SELECT a FROM t WHERE a LIKE 'x%%' LIMIT 5",
         "SELECT a FROM t WHERE a LIKE $1 LIMIT $2"),
        ("SELECT a FROM t WHERE a IN (__[POSTCOMPILE_a_1])",
         "SELECT a FROM t WHERE a IN ($1::INTEGER, $2::INTEGER)"),
        ("SELECT coalesce(a, NULL), true FROM t WHERE b IS NOT NULL",
         "SELECT coalesce(a, $1), $2 FROM t WHERE b IS NOT NULL"),
        ("SELECT a FROM t WHERE a > -1", "SELECT a FROM t WHERE a > $1"),
        ("SELECT a %% 2 FROM t", "SELECT a % $1 FROM t"),
    ],
)  # fmt: skip
def test_the_servers_text_is_known_as_ours(ours: str, theirs: str) -> None:
    """Whatever stands for values on either side, and whatever comment is in front."""
    assert canonical(fingerprint(ours).text) == canonical(theirs)


def test_another_statement_is_not_ours() -> None:
    """Only texts that are the same but for their values."""
    rows = [
        {"id": 1, "query": "SELECT t.id, t.name FROM t WHERE t.id = $1::INTEGER"},
        {"id": 2, "query": "SELECT t.id FROM t WHERE t.id = $1::INTEGER"},
        {"id": 3, "query": "SELECT t.id, t.name FROM t WHERE t.id = $1::INTEGER"},
    ]
    assert ids_of(fingerprint(OURS).text, rows) == {1, 3}


def test_a_long_statement_is_known_by_its_beginning() -> None:
    """Of which more was kept than two statements have in common by chance."""
    columns = ", ".join(f"t.column_{number}" for number in range(600))
    ours = fingerprint(f"SELECT {columns} FROM t WHERE t.id = %(id)s").text
    assert len(ours) > LONGEST_KEPT
    rows = [{"id": 7, "query": f"SELECT {columns} FROM t WHERE t.id = $1"}]
    assert ids_of(ours, rows) == {7}

"""What is typed finds the record that is meant, and never a table too many."""

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from backoffice.editing.references import Ambiguous, lookup, resolve
from tests.editing.conftest import add
from tests.editing.office import Branch, Worker


def people(session: Session, *names: str) -> None:
    """Workers with these names; their codes are W10, W11, …."""
    add(
        session,
        *(
            Worker(code=f"W{n}", name=name, branch_id=1)
            for n, name in enumerate(names, 10)
        ),
    )


def names(session: Session, term: str, limit: int = 20) -> list[str]:
    """What is offered for a term."""
    return [choice.label for choice in lookup(session, Worker, term, limit=limit)]


def test_key_is_found(desk: Session) -> None:
    """A key names its record."""
    assert resolve(desk, Worker, " 1 ").name == "Ann"


def test_unique_text_is_found(desk: Session) -> None:
    """A unique code is as good as a key."""
    people(desk, "Ben")

    assert resolve(desk, Worker, "W10").name == "Ben"


def test_name_is_found_whatever_its_case(desk: Session) -> None:
    """Where nothing is written exactly so, capitals do not count."""
    assert resolve(desk, Worker, "ann").code == "W1"


def test_several_of_a_name_are_offered(desk: Session) -> None:
    """A name that several have is a question, with its answers."""
    people(desk, "Ben", "Ben")

    with pytest.raises(Ambiguous) as refusal:
        resolve(desk, Worker, "Ben", field="worker")

    assert refusal.value.fields == {"worker": "Several workers fit Ben; choose one."}
    assert [c.key for c in refusal.value.candidates["worker"]] == ["2", "3"]


def test_near_misses_are_offered(desk: Session) -> None:
    """A beginning is not a name, and shows what it may begin."""
    people(desk, "Benjamin", "Benedict")

    with pytest.raises(Ambiguous) as refusal:
        resolve(desk, Worker, "Ben", field="worker")

    assert refusal.value.fields == {
        "worker": "There is no worker with the key or name Ben."
    }
    labels = [c.label for c in refusal.value.candidates["worker"]]
    assert labels == ["Benedict", "Benjamin"]


def test_key_and_unique_text_that_differ_are_offered(desk: Session) -> None:
    """A code that is also another's key is not guessed."""
    add(desk, Worker(code="1", name="Ben", branch_id=1))

    with pytest.raises(Ambiguous, match="Several workers fit 1"):
        resolve(desk, Worker, "1")


@pytest.mark.parametrize(
    "text", ["", "\x00", "\ud800", "9" * 400, "x" * 10_000, "%", "_", "'; --"]
)
def test_nonsense_is_no_record(desk: Session, text: str) -> None:
    """Whatever is typed, the answer is a sentence."""
    with pytest.raises(Ambiguous):
        resolve(desk, Worker, text)


def test_likeliest_come_first(desk: Session) -> None:
    """Exact names, then beginnings, then the middle of a name."""
    people(desk, "Joann", "Annette", "Ann", "Zoe")

    assert names(desk, "Ann") == ["Ann", "Ann", "Annette", "Joann"]


def test_wildcards_are_taken_literally(desk: Session) -> None:
    """A percent sign is looked for, not obeyed."""
    people(desk, "100% sure", "1000 sure")

    assert names(desk, "0%") == ["100% sure"]


def test_nothing_typed_offers_the_first(desk: Session) -> None:
    """An empty term is the beginning of the list."""
    people(desk, *(f"Name {n}" for n in range(9)))

    assert len(names(desk, "", limit=3)) == 3


def test_no_more_than_the_limit_is_read(desk: Session) -> None:
    """However many fit, each question is bounded."""
    people(desk, *(f"Ben {n}" for n in range(30)))
    seen: list[str] = []
    event.listen(
        desk.get_bind(), "before_cursor_execute", lambda *args: seen.append(args[2])
    )

    assert len(names(desk, "Ben", limit=5)) == 5
    reads = [s for s in seen if s.startswith("SELECT workers")]
    assert reads
    assert all("LIMIT" in s for s in reads)


def test_search_of_a_list_takes_the_place_of_names(desk: Session) -> None:
    """A view's own search decides what fits, and an index serves it."""
    people(desk, "Ben")

    found = lookup(desk, Worker, "whatever", condition=Worker.code == "W10")

    assert [choice.label for choice in found] == ["Ben"]


def test_scope_bounds_what_is_offered(desk: Session) -> None:
    """A record outside of the scope is neither offered nor found."""
    people(desk, "Ben")

    found = lookup(desk, Worker, "", scope=lambda q: q.where(Worker.name != "Ben"))

    assert [choice.label for choice in found] == ["Ann"]
    with pytest.raises(Ambiguous):
        resolve(desk, Worker, "Ben", scope=lambda q: q.where(Worker.name != "Ben"))


def test_columns_of_the_caller_are_names(desk: Session) -> None:
    """A view says which fields name its records."""
    add(desk, Branch(name="South", city="Ede"))

    assert resolve(desk, Branch, "Ede", columns=("city",)).name == "South"


def test_limits_of_the_transaction_are_kept(desk: Session) -> None:
    """A search does not leave its own time limits behind."""
    if desk.get_bind().dialect.name != "postgresql":
        pytest.skip("SQLite has no time limits")
    before = desk.connection().exec_driver_sql("SHOW lock_timeout").scalar()

    names(desk, "nobody")

    assert desk.connection().exec_driver_sql("SHOW lock_timeout").scalar() == before

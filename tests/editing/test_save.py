"""A save writes what was shown and changed, and nothing else, or says why not."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import JSON, event, null, select, text
from sqlalchemy.orm import Session

from backoffice.audit.history import history_of
from backoffice.database.session import limit_statements
from backoffice.editing.references import Ambiguous
from backoffice.editing.save import create, update
from backoffice.editing.stale import Stale
from backoffice.editing.texts import shown_texts
from backoffice.errors import LockNotAvailable, RecordNotFound, Refused
from tests.editing.conftest import add
from tests.editing.office import Branch, Ledger, Seat, Shift, State, Task, Worker

FORM = (
    *("code", "name", "nickname", "level", "balance", "notes", "extra", "state"),
    *("started_at", "bonus", "biography", "meta", "branch", "manager"),
)


@contextmanager
def statements(session: Session) -> Iterator[list[str]]:
    """What is sent to the database meanwhile."""
    seen: list[str] = []

    def note(*args: Any) -> None:
        seen.append(args[2])

    bind = session.get_bind()
    event.listen(bind, "before_cursor_execute", note)
    yield seen
    event.remove(bind, "before_cursor_execute", note)


def form(session: Session, keys: Any = FORM, key: int = 1) -> dict[str, str]:
    """The texts of a form as it is opened."""
    record = session.get_one(Worker, key)
    texts = shown_texts(session, record, keys)
    session.rollback()
    session.expunge_all()
    return texts


def stored(session: Session, column: str, key: int = 1) -> Any:
    """What stands in the row, without the ORM's opinion."""
    query = text(f"SELECT {column} FROM workers WHERE id = :key")
    return session.execute(query, {"key": key}).scalar_one()


def entries(session: Session, key: str = "1", table: str = "workers") -> Any:
    """The changes of a record's entries, newest first."""
    return [dict(e.changes) for e in history_of(session, table, key, 10)]


# Only what was shown and changed


@pytest.mark.parametrize(
    "values",
    [
        {"extra": []},
        {"extra": 0},
        {"extra": False},
        {"extra": JSON.NULL},
        {"extra": null()},
        {"extra": {"b": [1, None, "ä"], "a": 12345678901234567890123}},
        {"notes": "one\r\ntwo\rthree\n"},
        {"notes": ""},
        {"notes": "  spaces  "},
        {"started_at": datetime(2025, 8, 31, 14, 30, 15, 123456, tzinfo=UTC)},
        {"balance": Decimal("1.50")},
        {"state": State.AWAY},
    ],
    # Not the object's address: every run names the case alike.
    ids=lambda values: str(values).partition(" object at ")[0],
)
def test_saving_an_unchanged_form_writes_nothing(
    desk: Session, values: dict[str, Any]
) -> None:
    """Open, press Save: no row, no version, no entry is written, whatever is in it."""
    add(desk, Worker(id=2, code="W2", name="Ben", branch_id=1, **values))
    shown = form(desk, key=2)
    # As a browser sends it back.
    sent = {
        k: "\r\n".join(v.splitlines()) + ("\r\n" if v.endswith("\n") else "")
        for k, v in shown.items()
    }

    with statements(desk) as seen:
        result = update(desk, Worker, "2", sent, shown)
        desk.commit()

    assert result.changed == ()
    assert not [s for s in seen if s.startswith(("UPDATE", "INSERT"))]


def test_only_the_changed_column_is_written(desk: Session) -> None:
    """One changed field is one column in the UPDATE, and one in the entry."""
    shown = form(desk)

    with statements(desk) as seen:
        result = update(desk, Worker, "1", {**shown, "nickname": "Annie"}, shown)
        desk.commit()

    written = [s for s in seen if s.startswith("UPDATE")]
    assert len(written) == 1
    assert "nickname" in written[0]
    assert "level" not in written[0].partition("WHERE")[0]
    assert result.changed == ("nickname",)
    assert entries(desk) == [{"nickname": (None, "Annie")}]


def test_field_that_did_not_come_back_is_left_alone(desk: Session) -> None:
    """A disabled control is not sent, and its column is not emptied."""
    shown = form(desk)

    update(desk, Worker, "1", {"nickname": "Annie"}, shown)
    desk.commit()

    assert stored(desk, "level") == 6
    assert stored(desk, "name") == "Ann"


def test_field_that_was_not_shown_is_not_written(desk: Session) -> None:
    """A forged field changes nothing."""
    shown = form(desk, ["nickname"])

    update(desk, Worker, "1", {"nickname": "Annie", "level": "9"}, shown)
    desk.commit()

    assert stored(desk, "level") == 6


@pytest.mark.parametrize("key", ["id", "double_level", "tally"])
def test_read_only_field_is_not_written(desk: Session, key: str) -> None:
    """What the database keeps cannot be sent, even where it was shown."""
    shown = form(desk, [*FORM, key])
    before = stored(desk, key)

    result = update(desk, Worker, "1", {**shown, key: "77"}, shown)
    desk.commit()

    assert result.changed == ()
    assert stored(desk, key) == before


def test_field_made_read_only_by_the_view_is_not_written(desk: Session) -> None:
    """A view may forbid more than the table does."""
    shown = form(desk)

    update(desk, Worker, "1", {**shown, "level": "9"}, shown, read_only=["level"])
    desk.commit()

    assert stored(desk, "level") == 6


def test_children_are_not_touched(desk: Session) -> None:
    """A child added while the form was open stays its parent's."""
    shown = form(desk)
    add(desk, Task(id=1, title="New", worker_id=1))

    with statements(desk) as seen:
        update(desk, Worker, "1", {**shown, "nickname": "Annie"}, shown)
        desk.commit()

    assert not [s for s in seen if "tasks" in s]
    assert desk.scalar(select(Task.worker_id)) == 1


def test_deferred_column_can_be_edited(desk: Session) -> None:
    """A column that is loaded late is shown and written like any other."""
    shown = form(desk)

    update(desk, Worker, "1", {**shown, "biography": "Long.\r\nStory."}, shown)
    desk.commit()

    assert stored(desk, "biography") == "Long.\nStory."


def test_column_called_meta_can_be_edited(desk: Session) -> None:
    """No attribute name is taken by the form itself."""
    shown = form(desk)

    update(desk, Worker, "1", {**shown, "meta": "x"}, shown)
    desk.commit()

    assert stored(desk, "meta") == "x"


@pytest.mark.parametrize(
    ("before", "typed", "after"),
    [
        ({"a": 1}, '{"a": true}', '{"a": true}'),
        ([1.0], "[1]", "[1]"),
        (None, "null", "null"),
        ({"a": 1}, "", None),
        (JSON.NULL, "", None),
    ],
)
def test_equal_documents_are_told_apart(
    desk: Session, before: Any, typed: str, after: str | None
) -> None:
    """1, 1.0 and true, and null and nothing, are different things to write."""
    extra = null() if before is None else before
    add(desk, Worker(id=2, code="W2", name="Ben", branch_id=1, extra=extra))
    shown = form(desk, key=2)

    update(desk, Worker, "2", {**shown, "extra": typed}, shown)
    desk.commit()

    found = stored(desk, "CAST(extra AS TEXT)", 2)
    assert (found and json.dumps(json.loads(found))) == after


def test_another_spelling_of_the_same_value_writes_nothing(desk: Session) -> None:
    """06 is 6, and 0.0 is 0.00."""
    shown = form(desk)

    result = update(
        desk, Worker, "1", {**shown, "level": "06", "balance": "0.0"}, shown
    )

    assert result.changed == ()


def test_secret_is_neither_shown_nor_emptied(desk: Session) -> None:
    """A secret's field is empty; leaving it so leaves it as it is."""
    add(desk, Worker(id=2, code="W2", name="Ben", branch_id=1, pin="1234"))
    shown = form(desk, ["pin", "name"], key=2)
    assert shown["pin"] == ""

    update(desk, Worker, "2", {"pin": "", "name": "Benny"}, shown)
    desk.commit()
    assert stored(desk, "pin", 2) == "1234"

    shown = form(desk, ["pin", "name"], key=2)
    update(desk, Worker, "2", {**shown, "pin": "9999"}, shown)
    desk.commit()
    assert stored(desk, "pin", 2) == "9999"
    assert entries(desk, "2")[0] == {"pin": ("…", "…")}


# Stale forms


def test_other_field_changed_meanwhile_makes_the_form_stale(
    desk: Session, other_desk: Session
) -> None:
    """Two tabs, two fields: nobody's change is lost, and who changed what is said."""
    shown = form(desk)
    update(other_desk, Worker, "1", {**shown, "notes": "Hers"}, shown)
    other_desk.commit()

    with pytest.raises(Stale) as refusal:
        update(desk, Worker, "1", {**shown, "nickname": "Annie"}, shown)
    desk.rollback()

    (conflict,) = refusal.value.conflicts
    assert (conflict.key, conflict.opened, conflict.theirs) == ("notes", "", "Hers")
    assert (conflict.who, conflict.needs_choice) == ("Grace Mensah", False)
    assert conflict.when is not None
    assert refusal.value.merged["nickname"] == "Annie"
    assert refusal.value.merged["notes"] == "Hers"
    assert str(refusal.value) == (
        "Grace Mensah changed notes after this form was opened; nothing was saved yet."
    )
    assert stored(desk, "nickname") is None


def test_race_for_one_row_makes_the_second_form_stale(
    desk: Session, other_desk: Session
) -> None:
    """Both forms are fresh when they are sent; who waits compares with what came."""
    if desk.get_bind().dialect.name != "postgresql":
        pytest.skip("SQLite has one writer at a time")
    shown = form(desk)
    update(desk, Worker, "1", {**shown, "notes": "First"}, shown)
    limit_statements(other_desk, statement=60, lock=60)
    pid = other_desk.scalar(text("SELECT pg_backend_pid()"))

    with ThreadPoolExecutor() as pool:
        second = pool.submit(
            update, other_desk, Worker, "1", {**shown, "notes": "Second"}, shown
        )
        blockers = text("SELECT pg_blocking_pids(:pid)")
        while not desk.scalar(blockers, {"pid": pid}):
            pass
        desk.commit()
        error = second.exception()
    other_desk.rollback()

    assert isinstance(error, Stale)
    (conflict,) = error.conflicts
    assert (conflict.theirs, conflict.needs_choice) == ("First", True)
    assert stored(desk, "notes") == "First"


def test_merged_form_saves(desk: Session, other_desk: Session) -> None:
    """What the stale page offers is saved when it is sent back."""
    shown = form(desk)
    update(other_desk, Worker, "1", {**shown, "notes": "Hers"}, shown)
    other_desk.commit()
    with pytest.raises(Stale) as refusal:
        update(desk, Worker, "1", {**shown, "nickname": "Annie"}, shown)
    desk.rollback()

    stale = refusal.value
    result = update(desk, Worker, "1", stale.merged, stale.current)
    desk.commit()

    assert result.changed == ("nickname",)
    assert stored(desk, "notes") == "Hers"


def test_same_field_changed_by_both_needs_a_choice(
    desk: Session, other_desk: Session
) -> None:
    """Three texts stand side by side: as opened, theirs, mine."""
    shown = form(desk)
    update(other_desk, Worker, "1", {**shown, "level": "7"}, shown)
    other_desk.commit()

    with pytest.raises(Stale) as refusal:
        update(desk, Worker, "1", {**shown, "level": "8"}, shown)

    (conflict,) = refusal.value.conflicts
    assert (conflict.opened, conflict.theirs, conflict.mine) == ("6", "7", "8")
    assert conflict.needs_choice


def test_reference_changed_meanwhile_makes_the_form_stale(
    desk: Session, other_desk: Session
) -> None:
    """A reference is compared by its key, and its change has a name."""
    add(desk, Branch(id=2, name="South"))
    shown = form(desk)
    update(other_desk, Worker, "1", {**shown, "branch": "South"}, shown)
    other_desk.commit()

    with pytest.raises(Stale) as refusal:
        update(desk, Worker, "1", {**shown, "nickname": "Annie"}, shown)

    (conflict,) = refusal.value.conflicts
    assert (conflict.key, conflict.theirs) == ("branch", "2")
    assert conflict.who == "Grace Mensah"


def test_column_that_was_not_shown_does_not_make_it_stale(desk: Session) -> None:
    """A trigger's or a colleague's change elsewhere in the row is no conflict."""
    shown = form(desk, ["nickname"])
    desk.execute(text("UPDATE workers SET tally = 5, level = 9 WHERE id = 1"))
    desk.commit()

    result = update(desk, Worker, "1", {"nickname": "Annie"}, shown)

    assert result.changed == ("nickname",)


def test_read_only_column_does_not_make_it_stale(desk: Session) -> None:
    """What the database counts may move while the form shows it."""
    shown = form(desk, ["nickname", "tally"])
    desk.execute(text("UPDATE workers SET tally = 5 WHERE id = 1"))
    desk.commit()

    result = update(desk, Worker, "1", {"nickname": "Annie"}, shown)

    assert result.changed == ("nickname",)


def test_both_made_the_same_change(desk: Session, other_desk: Session) -> None:
    """What somebody else already wrote is done, and the rest is saved."""
    shown = form(desk)
    update(other_desk, Worker, "1", {**shown, "level": "7"}, shown)
    other_desk.commit()

    mine = {**shown, "level": "7", "nickname": "Annie"}
    result = update(desk, Worker, "1", mine, shown)

    assert result.changed == ("nickname",)


def test_unchanged_stale_form_writes_nothing(
    desk: Session, other_desk: Session
) -> None:
    """Who changed nothing is not bothered with another's change."""
    shown = form(desk)
    update(other_desk, Worker, "1", {**shown, "level": "7"}, shown)
    other_desk.commit()

    assert update(desk, Worker, "1", shown, shown).changed == ()


def test_version_of_its_own_does_not_stand_in_the_way(desk: Session) -> None:
    """A model with `version_id_col` is saved, and its version counted up."""
    add(desk, Ledger(title="One"))
    ledger = desk.scalars(select(Ledger)).one()
    shown = shown_texts(desk, ledger, ["title", "remark"])

    update(desk, Ledger, "1", {**shown, "remark": "x"}, shown)
    desk.commit()

    assert desk.scalar(text("SELECT version FROM ledgers")) == 2


def test_record_deleted_meanwhile_is_said_with_a_name(
    desk: Session, other_desk: Session
) -> None:
    """Who deleted the record is known to the one who still edits it."""
    shown = form(desk)
    other_desk.delete(other_desk.get_one(Worker, 1))
    other_desk.commit()

    with pytest.raises(
        RecordNotFound, match=r"^Worker Ann was deleted by Grace Mensah"
    ):
        update(desk, Worker, "1", {**shown, "nickname": "x"}, shown)


def test_row_held_by_somebody_else_is_said(desk: Session, other_desk: Session) -> None:
    """A lock is waited for as long as the settings say, and then named."""
    shown = form(desk)
    other_desk.execute(text("UPDATE workers SET level = 2 WHERE id = 1"))

    with pytest.raises(LockNotAvailable, match="save once more"):
        update(desk, Worker, "1", {**shown, "nickname": "x"}, shown)


def test_children_come_while_their_parent_is_saved(
    desk: Session, other_desk: Session
) -> None:
    """A save holds its row, and not the key that a new child refers to."""
    if desk.get_bind().dialect.name != "postgresql":
        pytest.skip("SQLite has one writer at a time")
    shown = form(desk)
    update(desk, Worker, "1", {**shown, "nickname": "Annie"}, shown)

    other_desk.add(Task(title="Meanwhile", worker_id=1))
    other_desk.commit()
    desk.commit()

    assert stored(desk, "nickname") == "Annie"
    assert desk.scalar(select(Task.title)) == "Meanwhile"


def test_scope_hides_the_record(desk: Session) -> None:
    """A row that a person may not see is not there."""
    shown = form(desk)

    with pytest.raises(RecordNotFound):
        update(
            desk,
            Worker,
            "1",
            {**shown, "nickname": "x"},
            shown,
            scope=lambda query: query.where(Worker.level > 9),
        )


# Refusals


@pytest.mark.parametrize(
    ("typed", "fields"),
    [
        ({"level": "11"}, {"level": "11 is more than 10, the most that level can be."}),
        ({"level": "x"}, {"level": "x is not a whole number."}),
        ({"level": ""}, {"level": "A value is required."}),
        ({"balance": "-1"}, {"balance": "A balance is 0 or more."}),
        ({"balance": "1.239"}, {"balance": "1.239 has more than 2 decimals."}),
        ({"balance": "NaN"}, {"balance": "NaN is not a number."}),
        ({"name": ""}, {"name": "An empty text is not accepted here."}),
        ({"nickname": "Ann"}, {"nickname": "Nickname cannot be the same as the name."}),
        ({"code": "w1"}, {"code": "The database does not accept this code."}),
        (
            {"code": "W2"},
            {"code": "A worker with the code W2 already exists."},
        ),
        (
            {"code": "W" * 11},
            {"code": "The text has 11 characters; 10 is the most that fits."},
        ),
        (
            {"meta": "TAKEN"},
            {
                "meta": "A worker with the meta TAKEN already exists. "
                "Capital and small letters count as the same."
            },
        ),
        (
            {"level": "99", "balance": "x"},
            {
                "level": "99 is more than 10, the most that level can be.",
                "balance": "x is not a number.",
            },
        ),
        (
            {"level": "99", "balance": "-3"},
            {
                "level": "99 is more than 10, the most that level can be.",
                "balance": "A balance is 0 or more.",
            },
        ),
        ({"branch": ""}, {"branch": "A value is required."}),
        (
            {"branch": "77"},
            {"branch": "There is no branch with the key or name 77."},
        ),
        (
            {"nickname": "a\x00b"},
            {"nickname": "The text has a NUL character, which cannot be stored."},
        ),
    ],
)
def test_refusal_is_a_sentence_on_its_field(
    desk: Session, typed: dict[str, str], fields: dict[str, str]
) -> None:
    """What cannot be saved is said where it was typed, and the row is as it was."""
    add(desk, Worker(id=2, code="W2", name="Ben", branch_id=1, meta="taken"))
    shown = form(desk)

    with pytest.raises(Refused) as refusal:
        update(desk, Worker, "1", {**shown, **typed}, shown)

    assert refusal.value.fields == fields
    assert form(desk) == shown
    assert entries(desk) == []


def test_session_goes_on_after_a_refusal(desk: Session) -> None:
    """A refusal undoes itself alone: what the transaction did before is kept."""
    add(desk, Worker(id=2, code="W2", name="Ben", branch_id=1))
    shown = form(desk)
    update(desk, Worker, "1", {**shown, "nickname": "Annie"}, shown)

    again = shown_texts(desk, desk.get_one(Worker, 1), FORM)
    with pytest.raises(Refused):
        update(desk, Worker, "1", {**again, "code": "W2"}, again)
    desk.commit()

    assert stored(desk, "nickname") == "Annie"
    assert stored(desk, "code") == "W1"


def test_combination_that_is_taken_is_named(desk: Session) -> None:
    """A unique combination is said in words, on a field of the form."""
    add(desk, Shift(worker_id=1, day=datetime(2025, 1, 2, tzinfo=UTC).date()))

    with pytest.raises(Refused) as refusal:
        create(desk, Shift, {"worker": "1", "day": "2025-01-02"})

    assert refusal.value.fields == {
        "day": "This combination of worker and day is already taken."
    }


def test_reference_that_vanishes_is_said_on_its_field(desk: Session) -> None:
    """A target deleted in between is a sentence on the relationship."""
    shown = form(desk, ["nickname", "branch_id"])

    with pytest.raises(Refused) as refusal:
        update(desk, Worker, "1", {**shown, "branch_id": "77"}, shown)

    assert refusal.value.fields == {"branch_id": "This branch does not exist any more."}


def test_refusal_of_a_lone_save_rolls_its_transaction_back(desk: Session) -> None:
    """A save that is alone costs no savepoint, and is refused in the same words."""
    add(desk, Worker(code="W2", name="Ben", branch_id=1))
    shown = form(desk)

    with statements(desk) as seen, pytest.raises(Refused) as refusal:
        update(desk, Worker, "1", {**shown, "code": "W2"}, shown, alone=True)

    assert refusal.value.fields == {"code": "A worker with the code W2 already exists."}
    assert not [s for s in seen if "SAVEPOINT" in s]
    assert not desk.in_transaction() or stored(desk, "code") == "W1"


def test_deferred_constraint_speaks_before_the_commit(desk: Session) -> None:
    """A rule that would speak at the end is asked while there is a form."""
    if desk.get_bind().dialect.name != "postgresql":
        pytest.skip("Only PostgreSQL has deferred unique constraints")
    create(desk, Seat, {"worker_id": "1", "number": "4"})

    with pytest.raises(Refused) as refusal:
        create(desk, Seat, {"worker_id": "1", "number": "4"})

    assert refusal.value.fields == {
        "number": "A seat with the number 4 already exists."
    }


def test_race_for_a_unique_value_is_refused_in_words(
    desk: Session, other_desk: Session
) -> None:
    """Who comes second waits, and then reads the same sentence as always."""
    if desk.get_bind().dialect.name != "postgresql":
        pytest.skip("SQLite has one writer at a time")
    create(desk, Worker, {"code": "W9", "name": "Eve", "branch": "1"})
    limit_statements(other_desk, statement=60, lock=60)
    pid = other_desk.scalar(text("SELECT pg_backend_pid()"))

    with ThreadPoolExecutor() as pool:
        second = pool.submit(
            create, other_desk, Worker, {"code": "W9", "name": "Eva", "branch": "1"}
        )
        blockers = text("SELECT pg_blocking_pids(:pid)")
        while not desk.scalar(blockers, {"pid": pid}):
            pass
        desk.commit()
        error = second.exception()

    assert isinstance(error, Refused)
    assert error.fields == {"code": "A worker with the code W9 already exists."}


# New records


def test_empty_text_leaves_the_default(desk: Session) -> None:
    """A column with a default gets it where nothing was typed."""
    values = {"code": "W5", "name": "Eve", "bonus": "", "level": "", "branch": "1"}

    worker = create(desk, Worker, {**values, "notes": "", "extra": ""})
    desk.commit()

    assert worker.level == 1
    assert stored(desk, "bonus", worker.id) == 5
    assert stored(desk, "notes", worker.id) is None
    assert stored(desk, "CAST(extra AS TEXT)", worker.id) is None


def test_creation_has_its_entry_in_the_same_transaction(desk: Session) -> None:
    """A record that is rolled back leaves no entry."""
    worker = create(desk, Worker, {"code": "W5", "name": "Eve", "branch": "North"})
    assert entries(desk, str(worker.id))[0]["branch_id"] == (None, 1)

    desk.rollback()

    assert entries(desk, "2") == []


def test_forged_fields_of_a_new_record_are_ignored(desk: Session) -> None:
    """Keys and computed values are the database's."""
    values = {"code": "W5", "name": "Eve", "branch": "1", "id": "99", "tally": "7"}

    worker = create(desk, Worker, {**values, "double_level": "70", "nonsense": "1"})
    desk.commit()

    assert worker.id != 99
    assert stored(desk, "tally", worker.id) == 0


def test_missing_required_field_is_named(desk: Session) -> None:
    """What the form did not send and the table needs is said."""
    with pytest.raises(Refused) as refusal:
        create(desk, Worker, {"code": "W5", "name": "Eve"})

    assert refusal.value.fields == {"": "Branch is required and is not on this form."}


def test_reference_is_found_by_name(desk: Session) -> None:
    """An exact name is as good as a key."""
    worker = create(desk, Worker, {"code": "W5", "name": "Eve", "branch": "North"})

    assert worker.branch_id == 1


def test_reference_that_several_fit_offers_them(desk: Session) -> None:
    """Two of one name cannot be told apart: both are offered."""
    add(desk, Branch(id=2, name="North", city="Ede"))

    with pytest.raises(Ambiguous) as refusal:
        create(desk, Worker, {"code": "W5", "name": "", "branch": "North"})

    assert refusal.value.fields["branch"] == "Several branches fit North; choose one."
    keys = [choice.key for choice in refusal.value.candidates["branch"]]
    assert keys == ["1", "2"]


def test_build_makes_what_is_more_than_one_row(desk: Session) -> None:
    """A record with children is made by its own function, in the same savepoint."""

    def build(session: Session, values: dict[str, Any]) -> Worker:
        worker = Worker(**values)
        session.add(worker)
        session.flush()
        session.add(Task(title="First", worker_id=worker.id))
        return worker

    values = {"code": "W5", "name": "Eve", "branch": "1"}
    worker = create(desk, Worker, values, build=build)
    desk.commit()

    assert desk.scalar(select(Task.worker_id)) == worker.id


def test_build_that_refuses_leaves_nothing(desk: Session) -> None:
    """All of it is written or none."""

    def build(session: Session, values: dict[str, Any]) -> Worker:
        worker = Worker(**values)
        session.add(worker)
        session.flush()
        raise Refused({"name": "Not today."})

    with pytest.raises(Refused):
        create(desk, Worker, {"code": "W5", "name": "Eve", "branch": "1"}, build=build)
    desk.commit()

    assert desk.scalar(select(Worker.id).where(Worker.code == "W5")) is None

"""A deletion says what it takes before it is done, and takes that and nothing else."""

from typing import Any

import pytest
from sqlalchemy import Engine, event, func, select, text
from sqlalchemy.orm import Session

from backoffice.audit.history import history_of
from backoffice.editing.deletion import PreviewChanged, delete, preview_delete
from backoffice.editing.dependents import Fate
from backoffice.errors import LockNotAvailable, RecordNotFound, Refused
from tests.editing.conftest import add, recorded_session
from tests.editing.office import Branch, Invoice, Step, Task, Worker

# Tables that no model knows: one goes with its worker, and one with that; one forbids.
STRANGERS = (
    (
        'CREATE TABLE "OldLog" (id INTEGER PRIMARY KEY,'
        " code VARCHAR(10) REFERENCES workers (code) ON DELETE CASCADE)"
    ),
    'CREATE TABLE old_lines (log INTEGER REFERENCES "OldLog" ON DELETE CASCADE)',
    "CREATE TABLE old_loans (worker INTEGER REFERENCES workers ON DELETE RESTRICT)",
    "INSERT INTO \"OldLog\" VALUES (1, 'W1'), (2, 'W1')",
    "INSERT INTO old_lines VALUES (1), (1), (2)",
)


def worker_with_children(session: Session, number: int = 2) -> None:
    """Ann has tasks of two steps each, and Ben who reports to her."""
    add(
        session,
        *(Task(title=f"Task {n}", worker_id=1) for n in range(1, number + 1)),
        *(Step(task_id=n) for n in range(1, number + 1) for _ in range(2)),
        Worker(code="W2", name="Ben", branch_id=1, manager_id=1),
    )


def summary(session: Session, model: Any = Worker, **options: Any) -> list[Any]:
    """Count, noun, fate and level of what hangs on record 1."""
    preview = preview_delete(session, model, "1", **options)
    return [(f.phrase, f.what, f.depth) for f in preview.records]


def test_lonely_record_takes_nothing_along(desk: Session) -> None:
    """Without dependents the record goes alone."""
    preview = preview_delete(desk, Worker, "1")

    assert preview.records == ()
    assert (preview.label, preview.word, preview.deleted) == ("Ann", "worker", 1)
    assert not preview.is_forbidden


def test_preview_follows_the_foreign_keys(desk: Session) -> None:
    """What goes, also through children, and what is kept without its reference."""
    worker_with_children(desk)

    assert summary(desk) == [
        ("2 tasks", Fate.DELETED, 1),
        ("1 worker", Fate.KEPT, 1),
        ("4 steps", Fate.DELETED, 2),
    ]


def test_preview_counts_all_together(desk: Session) -> None:
    """The sentence of the page has its numbers."""
    worker_with_children(desk)

    preview = preview_delete(desk, Worker, "1")

    assert (preview.deleted, preview.kept) == (7, 1)


def test_preview_names_a_few(desk: Session) -> None:
    """The nearest dependents are called by their names, three at most."""
    worker_with_children(desk, 5)

    tasks, workers, _ = preview_delete(desk, Worker, "1").records

    assert tasks.examples == ("Task 1", "Task 2", "Task 3")
    assert workers.examples == ("Ben",)
    assert workers.fields == ("manager",)


def test_counts_stop_at_the_limit(desk: Session) -> None:
    """Beyond the limit nothing is counted, and that is said."""
    worker_with_children(desk, 4)

    tasks, _, steps = preview_delete(desk, Worker, "1", 3).records

    assert (tasks.number, tasks.is_capped) == ("more than 3", True)
    assert steps.phrase == "more than 3 steps"


def test_preview_changes_nothing_and_locks_nothing(office: Engine) -> None:
    """The page can be looked at in a read-only transaction, while others write."""
    with recorded_session(office) as session:
        if office.dialect.name == "postgresql":
            session.connection(execution_options={"postgresql_readonly": True})
        assert preview_delete(session, Worker, "1").records == ()


def test_user_forbids(desk: Session) -> None:
    """A reference without an ON DELETE keeps the record, and says how many."""
    add(desk, Invoice(worker_id=1), Invoice(worker_id=1))

    assert summary(desk) == [("2 invoices", Fate.FORBIDS, 1)]
    with pytest.raises(Refused) as refusal:
        delete(desk, Worker, "1")

    assert refusal.value.fields == {"": "Still used by 2 invoices."}
    assert desk.scalar(select(Worker.name)) == "Ann"


def test_tables_that_no_model_knows_are_asked_as_well(desk: Session) -> None:
    """The database's catalogue says what goes and what forbids, by the table's name."""
    for statement in STRANGERS:
        desk.execute(text(statement))

    assert summary(desk, limit=2) == [
        ("2 rows of OldLog", Fate.DELETED, 1),
        ("more than 2 rows of old_lines", Fate.DELETED, 2),
    ]
    desk.execute(text("INSERT INTO old_loans VALUES (1)"))
    with pytest.raises(Refused, match=r"^Still used by 1 row of old_loans\.$"):
        delete(desk, Worker, "1")


VAULT = (
    "CREATE ROLE lab_clerk",
    "GRANT ALL ON ALL TABLES IN SCHEMA public TO lab_clerk",
    "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO lab_clerk",
    "CREATE SCHEMA vault",
    "CREATE TABLE vault.loans (worker INTEGER REFERENCES workers ON DELETE RESTRICT)",
    "INSERT INTO vault.loans VALUES (1)",
    "SET LOCAL ROLE lab_clerk",
)


def test_rows_that_nobody_here_may_read_are_named_and_not_counted(
    desk: Session,
) -> None:
    """Their table is told; whether there are any is left to the database."""
    if desk.get_bind().dialect.name == "sqlite":
        pytest.skip("SQLite has no rights.")
    for statement in VAULT:
        desk.execute(text(statement))

    preview = preview_delete(desk, Worker, "1")

    (loans,) = preview.records
    assert (loans.phrase, loans.number) == ("perhaps rows of vault.loans", "unknown")
    assert not preview.is_forbidden
    with pytest.raises(Refused, match="used"):
        delete(desk, Worker, "1", expected=preview.digest)


def test_a_key_does_what_the_database_does(desk: Session) -> None:
    """What a model says of a foreign key is nothing where the database differs."""
    if desk.get_bind().dialect.name == "sqlite":
        pytest.skip("SQLite drops no constraint.")
    worker_with_children(desk)
    drop = "ALTER TABLE {0} DROP CONSTRAINT fk_{0}_{1}_{2}"
    desk.execute(text(drop.format("workers", "manager_id", "workers")))
    desk.execute(text(drop.format("tasks", "worker_id", "workers")))
    add_key = "ALTER TABLE tasks ADD FOREIGN KEY (worker_id) REFERENCES workers"
    desk.execute(text(add_key))

    assert summary(desk) == [
        ("2 tasks", Fate.FORBIDS, 1),
        ("1 worker", Fate.LEFT, 1),
    ]


def test_deletion_takes_what_was_said(desk: Session) -> None:
    """Cascades are the database's; who was kept has no reference any more."""
    worker_with_children(desk)
    preview = preview_delete(desk, Worker, "1")

    delete(desk, Worker, "1", expected=preview.digest)
    desk.commit()

    assert desk.scalar(select(func.count()).select_from(Step)) == 0
    assert desk.scalar(select(func.count()).select_from(Task)) == 0
    assert desk.execute(select(Worker.name, Worker.manager_id)).all() == [("Ben", None)]


def test_sqlalchemy_touches_no_child(desk: Session) -> None:
    """One DELETE, of the record's own row."""
    worker_with_children(desk)
    seen: list[str] = []
    event.listen(
        desk.get_bind(),
        "before_cursor_execute",
        lambda *args: seen.append(args[2]),
    )

    delete(desk, Worker, "1")
    desk.commit()

    writes = [s for s in seen if s.startswith(("UPDATE", "DELETE"))]
    assert len(writes) == 1
    assert writes[0].startswith("DELETE FROM workers")


def test_deletion_is_recorded_with_its_old_values(desk: Session) -> None:
    """What is gone can be read in the history, deferred columns included."""
    desk.execute(text("UPDATE workers SET biography = 'Long.' WHERE id = 1"))
    desk.commit()

    delete(desk, Worker, "1")
    desk.commit()

    (entry,) = history_of(desk, "workers", "1", 5)
    assert (entry.action, entry.actor_label) == ("delete", "Ruth Adeyemi")
    assert entry.label == "Ann"
    assert entry.changes["biography"] == ("Long.", None)
    assert entry.changes["level"] == (6, None)


def test_what_goes_along_is_recorded_too(desk: Session) -> None:
    """Children that the database deletes or empties have their entries."""
    worker_with_children(desk)

    delete(desk, Worker, "1")
    desk.commit()

    (task,) = history_of(desk, "tasks", "1", 5)
    assert (task.action, dict(task.changes)["title"]) == ("delete", ("Task 1", None))
    (ben,) = history_of(desk, "workers", "2", 5)
    assert (ben.action, dict(ben.changes)) == ("update", {"manager_id": (1, None)})


def test_something_added_meanwhile_is_shown_first(desk: Session) -> None:
    """A confirmation holds for what was seen, not for more."""
    worker_with_children(desk)
    preview = preview_delete(desk, Worker, "1")
    desk.rollback()
    add(desk, Task(title="New", worker_id=1))

    with pytest.raises(PreviewChanged) as refusal:
        delete(desk, Worker, "1", expected=preview.digest)

    assert refusal.value.preview.records[0].phrase == "3 tasks"
    assert desk.scalar(select(Worker.name).where(Worker.id == 1)) == "Ann"


def test_record_that_refers_to_itself_can_go(desk: Session) -> None:
    """Being one's own manager is no dependent."""
    desk.execute(text("UPDATE workers SET manager_id = 1 WHERE id = 1"))
    desk.commit()

    assert summary(desk) == []
    delete(desk, Worker, "1")
    desk.commit()

    assert desk.scalar(select(func.count()).select_from(Worker)) == 0


def test_long_chain_ends(desk: Session) -> None:
    """A table that refers to itself is followed so far and no further."""
    for n in range(2, 12):
        add(desk, Worker(code=f"W{n}", name="Ben", branch_id=1, manager_id=n - 1))

    assert summary(desk) == [("1 worker", Fate.KEPT, 1)]


def test_record_deleted_twice_is_gone(desk: Session, other_desk: Session) -> None:
    """The second of two who delete is told who was first."""
    delete(other_desk, Worker, "1")
    other_desk.commit()

    with pytest.raises(RecordNotFound, match="was deleted by Grace Mensah"):
        delete(desk, Worker, "1")


def test_record_that_is_being_edited_is_waited_for(
    desk: Session, other_desk: Session
) -> None:
    """A deletion waits for a save as long as the settings say."""
    other_desk.execute(text("UPDATE workers SET level = 2 WHERE id = 1"))

    with pytest.raises(LockNotAvailable):
        delete(desk, Worker, "1")


def test_scope_hides_the_record(desk: Session) -> None:
    """A row that a person may not see cannot be deleted by them."""
    with pytest.raises(RecordNotFound):
        delete(desk, Worker, "1", scope=lambda query: query.where(Worker.level > 9))


def test_parent_in_use_is_kept(desk: Session) -> None:
    """A branch with workers stays, and no worker loses it."""
    with pytest.raises(Refused, match=r"^Still used by 1 worker\.$"):
        delete(desk, Branch, "1")
    desk.rollback()

    assert desk.scalar(select(Worker.branch_id)) == 1


# A trigger that lets no worker go and says nothing; or that marks them instead.
KEPT = {
    "postgresql": (
        """CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN {marks} RETURN NULL; END $$""",
        """CREATE TRIGGER keep BEFORE DELETE ON workers
        FOR EACH ROW EXECUTE FUNCTION keep()""",
    ),
    "sqlite": (
        """CREATE TRIGGER keep BEFORE DELETE ON workers
        BEGIN {marks} SELECT RAISE(IGNORE); END""",
    ),
}
MARKS = "UPDATE workers SET name = 'gone' WHERE id = OLD.id;"


def test_what_the_database_keeps_silently_is_not_told_as_deleted(desk: Session) -> None:
    """It is refused, and the history has no word of it."""
    for statement in KEPT[desk.get_bind().dialect.name]:
        desk.execute(text(statement.format(marks="")))

    with pytest.raises(Refused, match="The database kept this record"):
        delete(desk, Worker, "1")
    assert history_of(desk, "workers", "1", 5) == []


def test_what_the_database_marks_instead_is_deleted(desk: Session) -> None:
    """A trigger that writes the row in place of deleting it means just that."""
    for statement in KEPT[desk.get_bind().dialect.name]:
        desk.execute(text(statement.format(marks=MARKS)))

    delete(desk, Worker, "1")

    (entry,) = history_of(desk, "workers", "1", 5)
    assert entry.action == "delete"

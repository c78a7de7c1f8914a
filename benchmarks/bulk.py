"""What does a bulk update or deletion cost, next to the same batches without us?

An update in place makes its table slower for the next one, so each measurement has a
copy of the large database of its own. Ours and the bare one go on batch by batch, in
turns; the lists are read while a server's own worker does the same run.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from time import perf_counter, sleep
from typing import LiteralString
from urllib.parse import urlsplit

import psycopg
from sqlalchemy import URL, create_engine, select, text
from sqlalchemy.orm import Session

from backoffice.admin import own_names as own
from backoffice.bulk.batches import Resolve, Step, enqueue, step
from backoffice.bulk.change import Change, EachRecord, SetValues
from backoffice.bulk.models import Run
from backoffice.bulk.run import Order
from backoffice.bulk.target import Target
from backoffice.database.engine import make_engine
from backoffice.database.session import make_sessions
from backoffice.editing.deletion import delete
from backoffice.editing.deletion_of_many import entries_of_many
from backoffice.settings import DatabaseSettings
from benchmarks.client import Client, hidden
from benchmarks.exports import MEGABYTE, peak_memory
from benchmarks.lists import LIST
from benchmarks.pairs import Result
from benchmarks.servers import Server, ours
from models.school import ReportCard, Student

ACTIONS, ACTION = "/admin/student/actions", "edit-selected"
VALUE = "Whoever comes"
_EXPECTED = re.compile(r'name="(expected)" value="([^"]*)"')
PREFLIGHTS, PAGES = 5, 100
LOOK = 0.2
DELETED = 100_000
# The first and last key of the rows that a batch has met.
ENDS = text(
    "SELECT min(CAST(key AS bigint)), max(CAST(key AS bigint)) FROM backoffice_run_rows"
    " WHERE run_id = :run AND position > :after AND position <= :until"
)


def bulk(large: URL, students: int) -> Iterator[Result]:
    """Every student's guardian is set: by hand and by us, then while lists are read."""
    with copied(large, "ours") as url, copied(large, "bare") as other:
        yield in_batches(url, other, UPDATE, students)
    with copied(large, "served") as url, ours(url) as server:
        client = server.client
        took = [preflight(client)[0] for _ in range(PREFLIGHTS)]
        words = f"quickest {min(took):.2f}, slowest {max(took):.2f} s"
        yield Result("preflight of every student, s", median(took), 2, words)
        idle = [client.get(LIST).seconds for _ in range(PAGES)]
        before = peak_memory(server.pid, fresh=True)
        busy = run(server, url)
        grown = (peak_memory(server.pid) - before) / MEGABYTE
        idle += [client.get(LIST).seconds for _ in range(PAGES)]
    yield Result("update of every student: MB more in the server", grown, 30)
    yield Result(
        "lists during the update, by lists at rest",
        median(busy) / median(idle),
        2,
        f"{median(busy) * 1e3:.1f} / {median(idle) * 1e3:.1f} ms, {len(busy)} pages, "
        f"slowest {max(busy) * 1e3:.0f} ms",
    )


def deleting(large: URL) -> Iterator[Result]:
    """A hundred thousand report cards go: by hand and by us."""
    with copied(large, "ours") as url, copied(large, "bare") as other:
        yield in_batches(url, other, DELETION, DELETED)


@dataclass(frozen=True, slots=True)
class Work:
    """What a run does, by us and bare, and how many times as long ours may take."""

    name: str
    resolve: Resolve
    bare: LiteralString
    values: tuple[str, ...]
    bound: float


def in_batches(url: URL, other: URL, work: Work, rows: int) -> Result:
    """A run with audit from the click to its end, by the same batches of bare SQL.

    Ours has the keys and versions of every row to write down first.
    """
    settings = DatabaseSettings()
    engine = make_engine(url, settings, application_name="bench")
    sessions = make_sessions(engine)
    plain = other.set(drivername="postgresql").render_as_string(hide_password=False)
    started = perf_counter()
    with sessions() as session:
        target, change = work.resolve(session, Run())
        order = Order("bench", "student", "edit", "Edit", "all", {})
        number = enqueue(session, target, change, order, expected=None).id
        session.commit()
    whole = confirming = perf_counter() - started
    bare, met = 0.0, 0
    with psycopg.connect(plain, autocommit=True) as connection:
        is_over = False
        while not is_over:
            started = perf_counter()
            is_over = step(sessions, work.resolve, number) is not Step.ON
            whole += perf_counter() - started
            with sessions() as session:
                run = session.get_one(Run, number)
                place = {"run": number, "after": met, "until": run.met}
                ends = session.execute(ENDS, place).one()
            if run.met == met:
                continue
            met = run.met
            started = perf_counter()
            connection.execute(work.bare, (*work.values, *ends), prepare=True)
            bare += perf_counter() - started
    engine.dispose()
    if (run.state, run.changed) != ("done", rows):
        raise RuntimeError(f"The run is {run.state} with {run.changed:,} changed.")
    return Result(
        f"{work.name} with audit, by the same batches alone",
        whole / bare,
        work.bound,
        f"{whole:.1f} / {bare:.1f} s, {rows / whole:,.0f} rows/s, "
        f"{run.batches} batches, {confirming:.1f} s to confirm",
    )


def setting(_session: Session, _run: Run) -> tuple[Target, Change]:
    """All students, and what is set."""
    mapper = Student.__mapper__
    change = SetValues(mapper, {"guardian": VALUE})
    return Target(mapper, select(Student), "full_name"), change


def going(_session: Session, _run: Run) -> tuple[Target, Change]:
    """The first report cards, deleted as the list's own action does it."""
    mapper = ReportCard.__mapper__
    first = select(ReportCard.id).order_by(ReportCard.id).limit(DELETED)

    def one(session: Session, card: ReportCard) -> None:
        delete(session, ReportCard, str(card.id))

    change = EachRecord(
        mapper,
        one,
        is_deletion=True,
        entries=lambda session, cards: entries_of_many(session, mapper, cards),
    )
    return Target(mapper, select(ReportCard).where(ReportCard.id.in_(first))), change


UPDATE = Work(
    "update",
    setting,
    "UPDATE students SET guardian = %s WHERE id BETWEEN %s AND %s",
    (VALUE,),
    2,
)
# The least that SQL can do: deleted, and every old value in the history. A `DELETE`
# alone takes a microsecond a row: it would be the history alone that is measured.
DELETION = Work(
    "deletion",
    going,
    """
    WITH gone AS (DELETE FROM report_cards WHERE id BETWEEN %s AND %s RETURNING *)
    INSERT INTO backoffice_audit
      (actor_label, action, view, table_name, key, label, changes, run_id)
    SELECT 'bench', 'delete', 'report-card', 'report_cards', gone.id::text,
      gone.academic_year || ', semester ' || gone.semester,
      (SELECT jsonb_object_agg(key, jsonb_build_array(value, NULL))
        FROM jsonb_each(to_jsonb(gone)) WHERE value <> 'null'), 1
    FROM gone
    """,
    (),
    8,
)


def preflight(client: Client) -> tuple[float, str, dict[str, str]]:
    """How long the page takes that shows what would happen; its address and form."""
    asked = client.post(
        ACTIONS,
        {
            **hidden(client.get(LIST).text),
            "action": ACTION,
            "query": "",
            "which": "all",
        },
    )
    address = asked.headers["location"]
    form = client.get(address).text
    told = {own.DO: "tell", own.SET: "guardian", "guardian": VALUE}
    client.post(address, {**hidden(form), **told})
    seen = client.get(address)
    if seen.status != 200:
        raise RuntimeError(f"The preflight was answered by {seen.status}.")
    fields = {**hidden(seen.text), **dict(_EXPECTED.findall(seen.text))}
    return seen.seconds, address, fields


def run(server: Server, url: URL) -> list[float]:
    """Confirm it and wait for its end; what list pages take meanwhile."""
    _, address, fields = preflight(server.client)
    reader = server.another_client()
    answer = server.client.post(address, {**fields, own.DO: "run"})
    if "/runs/" not in answer.headers.get("location", ""):
        raise RuntimeError(f"The confirmation was answered by {answer.status}.")
    number = int(urlsplit(answer.headers["location"]).path.rpartition("/")[2])
    state = text("SELECT state, finished_at FROM backoffice_runs WHERE id = :number")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    seconds = []
    with engine.connect() as connection:
        while True:
            found = connection.execute(state, {"number": number}).one()
            if found.finished_at is not None:
                break
            seconds.append(reader.get(LIST).seconds)
            sleep(LOOK)
    engine.dispose()
    reader.close()
    if found.state != "done":
        raise RuntimeError(f"The run ended as {found.state}.")
    return seconds


@contextmanager
def copied(large: URL, name: str) -> Iterator[URL]:
    """A copy of a database that nobody is connected to; it is dropped in the end."""
    url = large.set(database=f"{large.database}_{name}")
    engine = create_engine(large.set(database="postgres"), isolation_level="AUTOCOMMIT")
    drop = text(f'DROP DATABASE IF EXISTS "{url.database}" WITH (FORCE)')
    make = text(f'CREATE DATABASE "{url.database}" TEMPLATE "{large.database}"')
    with engine.connect() as connection:
        connection.execute(drop)
        connection.execute(make)
        connection.execute(text("CHECKPOINT"))
        try:
            yield url
        finally:
            connection.execute(drop)
    engine.dispose()

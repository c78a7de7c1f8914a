"""Where the blocks of COPY text come from: this process, or one of its own.

Making a million rows in Python takes one processor; the server's COPY takes another.
So many rows are made by a second process, which writes them into a pipe while this
one hands them to the server. Both ways give the same bytes.
"""

import json
import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from fcntl import fcntl
from typing import IO, BinaryIO

from backoffice.errors import EnvironmentProblem
from backoffice.seeding.copytext import TextFormat
from backoffice.seeding.plan import Plan, Recipe, blocks, make_plan

# Fewer rows than this are made here: starting another Python takes longer.
ROWS_FOR_A_PROCESS = 300_000

# Which fill, how many rows, how many bytes follow.
HEADER = struct.Struct("<HIQ")
END = 0xFFFF

F_SETPIPE_SZ = 1031  # Linux only; elsewhere the pipe keeps its size
PIPE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Block:
    """Some rows of one fill, in COPY's text format."""

    fill: int
    rows: int
    text: bytes


@contextmanager
def open_stream(plan: Plan) -> Iterator[Iterator[Block]]:
    """All blocks of a plan, in its order; the process that makes them ends with it."""
    if plan.recipe is None or plan.rows < ROWS_FOR_A_PROCESS:
        yield make_blocks(plan)
        return
    with make_elsewhere(plan.recipe) as blocks_made:
        yield blocks_made


def make_blocks(plan: Plan) -> Iterator[Block]:
    """The plan's blocks, made in this process."""
    for number, fill in enumerate(plan.fills):
        text = TextFormat()
        for rows in blocks(fill, plan.seed):
            yield Block(number, len(rows), text.encode(rows))


@contextmanager
def make_elsewhere(recipe: Recipe) -> Iterator[Iterator[Block]]:
    """The same blocks, made by a process of its own while this one does other work."""
    with tempfile.TemporaryFile() as problems:
        process = subprocess.Popen(  # noqa: S603 - this Python, our own module
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=problems,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        assert process.stdin is not None  # noqa: S101 - opened as a pipe above
        assert process.stdout is not None  # noqa: S101
        try:
            with suppress(OSError):
                fcntl(process.stdout, F_SETPIPE_SZ, PIPE)
            with suppress(BrokenPipeError), process.stdin as stdin:
                stdin.write(json.dumps(asdict(recipe)).encode())
            yield _read(process, process.stdout, problems)
        finally:
            process.stdout.close()
            process.kill()
            process.wait()


def _read(
    process: subprocess.Popen[bytes], pipe: IO[bytes], problems: BinaryIO
) -> Iterator[Block]:
    """Blocks from the pipe, until the process says that it was the last.

    Raises:
        EnvironmentProblem: the process ended early; with what it said.
    """
    while True:
        header = pipe.read(HEADER.size)
        if len(header) < HEADER.size:
            break
        fill, rows, size = HEADER.unpack(header)
        if fill == END:
            return
        text = pipe.read(size)
        if len(text) < size:
            break
        yield Block(fill, rows, text)
    process.wait()
    problems.seek(0)
    said = problems.read().decode(errors="replace").strip()
    raise EnvironmentProblem(
        f"The process that makes the rows ended with {process.returncode}"
        f"{': ' + said if said else ' and said nothing'}"
    )


def write_blocks(source: BinaryIO, target: BinaryIO) -> None:
    """What the other process does: a recipe in, blocks out."""
    plan = make_plan(Recipe(**json.loads(source.read())))
    for block in make_blocks(plan):
        target.write(HEADER.pack(block.fill, block.rows, len(block.text)))
        target.write(block.text)
    target.write(HEADER.pack(END, 0, 0))
    target.flush()


def main() -> None:
    """Run as the other process; whoever started it decides when it ends."""
    import signal

    # Ctrl-C goes to both processes; this one ends when its pipe is closed.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        write_blocks(sys.stdin.buffer, sys.stdout.buffer)
    except BrokenPipeError:
        os._exit(1)


if __name__ == "__main__":
    main()

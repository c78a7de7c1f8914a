"""How many pages a second, with 16 people at it?"""

import threading
from collections.abc import Iterator
from statistics import median
from time import perf_counter

from benchmarks.lists import LIST
from benchmarks.pairs import Result
from benchmarks.servers import Server

CLIENTS = 16
ROUNDS = 5
SECONDS = 4.0


def requests(ours: Server, stock: Server, seconds: float = SECONDS) -> Iterator[Result]:
    """The list page of 2,000 rows at 16 clients, in turns of some seconds."""
    per_second(ours, 1)
    per_second(stock, 1)
    one, other = [], []
    for _ in range(ROUNDS):
        one.append(per_second(ours, seconds))
        other.append(per_second(stock, seconds))
    yield Result(
        "requests/s at 16 clients, by stock",
        median(one) / median(other),
        2.5,
        f"{median(one):.0f} / {median(other):.0f} requests/s",
        at_least=True,
    )


def per_second(server: Server, seconds: float) -> float:
    """Pages answered per second, each client with one request at a time."""
    until = perf_counter() + seconds
    answered = [0] * CLIENTS
    failed: list[Exception] = []

    def ask(number: int) -> None:
        client = server.another_client()
        try:
            while perf_counter() < until:
                if client.get(LIST).status == 200:
                    answered[number] += 1
        except Exception as error:  # noqa: BLE001 - shown by the thread that waits
            failed.append(error)
        client.close()

    started = perf_counter()
    threads = [threading.Thread(target=ask, args=(n,)) for n in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return sum(answered) / (perf_counter() - started)

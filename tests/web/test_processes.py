"""What do several server processes know of each other, and what only one of them?"""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import URL, create_engine, text

from backoffice.admin.own_names import TOKEN
from tests.office import PASSWORD, office_url  # noqa: F401 - a fixture
from tests.projects import ROOT

COUNT = "db_client_operation_duration_seconds_count"


@pytest.fixture(scope="module")
def served(
    office_url: URL,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """The address of three server processes; tests before may have ended one."""
    with three_processes(office_url, tmp_path_factory.mktemp("metrics")) as address:
        yield address


@pytest.fixture
def untouched(office_url: URL, tmp_path: Path) -> Iterator[str]:  # noqa: F811
    """The address of three server processes, of which none has died yet."""
    with three_processes(office_url, tmp_path) as address:
        yield address


@contextmanager
def three_processes(url: URL, metrics: Path) -> Iterator[str]:
    """Serve with three processes; the address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environ = {
        **os.environ,
        "BACKOFFICE_DATABASE__URL": url.render_as_string(hide_password=False),
        "BACKOFFICE_OBSERVABILITY__METRICS_DIRECTORY": str(metrics),
        "BACKOFFICE_OBSERVABILITY__SNAPSHOT_SECONDS": "0.1",
        "BACKOFFICE_OBSERVABILITY__FLUSH_SECONDS": "0.1",
        "BACKOFFICE_OBSERVABILITY__SLOW_MS": "0",
        "BACKOFFICE_WEB__PORT": str(port),
    }
    process = subprocess.Popen(
        [sys.executable, ROOT / "manage.py", "runserver", "--processes", "3"],
        env=environ,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        while len(pids(address)) < 3:
            assert process.poll() is None
        yield address
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=60)


def pids(address: str) -> set[int]:
    """The server processes that report."""
    try:
        pools = httpx.get(f"{address}/healthz", timeout=5).json()["pools"]
    except (httpx.HTTPError, KeyError, ValueError):
        return set()
    return {pool["process"] for pool in pools}


def total(address: str) -> float:
    """How many statements all processes have counted."""
    lines = httpx.get(f"{address}/metrics", timeout=5).text.splitlines()
    return sum(float(one.split()[-1]) for one in lines if one.startswith(COUNT))


def logged_in(address: str, role: str = "viewer") -> httpx.Cookies:
    """The cookies of somebody."""
    here = {"Origin": address}
    with httpx.Client(base_url=address, timeout=10, headers=here) as client:
        found = re.search(
            rf'name="{TOKEN}" value="([^"]+)"', client.get("/admin/login").text
        )
        assert found is not None
        given = {TOKEN: found[1], "email": f"{role}@example.org", "password": PASSWORD}
        assert client.post("/admin/login", data=given).status_code == 303
        return client.cookies


def counted(address: str, cookies: httpx.Cookies) -> set[int]:
    """How many calls of course lists the page knows, asked of several processes."""
    url = f"{address}/admin/metrics?format=json"
    pages = [httpx.get(url, cookies=cookies, timeout=10).json() for _ in range(12)]
    return {
        sum(one["calls"] for one in page["statements"] if one["view"] == "course")
        for page in pages
    }


def test_all_of_them_count_anew(served: str) -> None:
    """A reset at one process is one of all, the dead included; no total falls."""
    cookies = logged_in(served, "admin")
    for _ in range(30):
        httpx.get(f"{served}/admin/course/list", cookies=cookies, timeout=10)
    victim = min(pids(served))
    os.kill(victim, signal.SIGKILL)
    while victim in pids(served):
        pass
    before = total(served)
    assert min(counted(served, cookies)) > 0
    here = {"Origin": served}
    with httpx.Client(
        base_url=served, cookies=cookies, timeout=10, headers=here
    ) as client:
        page = client.get("/admin/metrics").text
        token = re.search(
            rf'/reset"><input type="hidden" name="{TOKEN}" value="(.+?)"', page
        )
        assert token is not None
        client.post("/admin/metrics/reset", data={TOKEN: token[1]})
        assert "began the counting anew at" in client.get("/admin/metrics").text
    assert counted(served, cookies) == {0}
    assert total(served) >= before


def test_values_are_in_the_process_that_ran_them(served: str) -> None:
    """Whichever answers: it shows them, or says in which process they are."""
    cookies = logged_in(served, "admin")

    def get(path: str) -> httpx.Response:
        # A connection of its own, so that any process may be met.
        return httpx.get(f"{served}{path}", cookies=cookies, timeout=30)

    listed = get("/admin/student/list?guardian=canary3309")
    request = listed.headers["x-request-id"]
    lines: list[str] = []
    while not lines:
        page = get(f"/admin/slow-log/list?search={request}&view=student")
        lines = re.findall(r"/admin/slow-log/details/(\d+)", page.text)
    met = set()
    for _ in range(100):
        for number in dict.fromkeys(lines):
            shown = get(f"/admin/slow-log/details/{number}").text
            ran = re.search(r"<dt>Process</dt><dd>([^<]+)</dd>", shown)
            assert ran is not None
            if "canary3309" in shown:
                met.add("known")
                assert "in the memory of this process until" in shown.lower()
            elif f"of the process that ran it ({ran[1].strip()})" in shown:
                met.add("elsewhere")
        if met == {"known", "elsewhere"}:
            return
    raise AssertionError(met)


def test_three_add_up_and_none_is_lost(served: str) -> None:
    """The sum is of all of them; killing one makes no total fall."""
    cookies = logged_in(served)
    for _ in range(30):
        httpx.get(f"{served}/admin/course/list", cookies=cookies, timeout=10)
    # Each process knows its own at once and the others' as they last wrote them down:
    # what must not fall is what each of those that stay has told.
    told = [total(served) for _ in range(20)]
    before, known = min(told), pids(served)
    victim = min(known)
    os.kill(victim, signal.SIGKILL)
    while victim in pids(served):
        pass
    assert max(told) >= 90
    assert total(served) >= before
    exposed = httpx.get(f"{served}/metrics", timeout=5).text
    found = re.search(r'backoffice_workers\{kind="server"\} (\d)', exposed)
    assert found is not None
    assert int(found[1]) >= 2


def working(address: str) -> set[int]:
    """The server processes whose worker is at work."""
    try:
        pools = httpx.get(f"{address}/healthz", timeout=5).json()["pools"]
    except (httpx.HTTPError, KeyError, ValueError):
        return set()
    return {
        pool["process"]
        for pool in pools
        if pool["name"] == "jobs" and pool["checked_out"]
    }


def at_work(address: str) -> int:
    """The one server process whose worker is at work, once there is just one."""
    while len(found := working(address)) != 1:
        pass
    return found.pop()


def test_one_of_three_works_and_another_when_it_is_killed(
    served: str,
    office_url: URL,  # noqa: F811 - a fixture
) -> None:
    """The lock goes with the process that has it; the queue's own sessions tell."""
    victim = at_work(served)
    os.kill(victim, signal.SIGKILL)
    while at_work(served) == victim:
        pass
    engine = create_engine(office_url)
    with engine.connect() as connection:
        locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
        assert connection.scalar(text(locks)) == 1
    engine.dispose()


def processes_of(address: str, cookies: httpx.Cookies) -> tuple[str, str]:
    """What the page says of the server processes: the health, and the words."""
    url = f"{address}/admin/metrics?format=json"
    page = httpx.get(url, cookies=cookies, timeout=10).json()
    (found,) = [one for one in page["verdicts"] if one["rule"] == "processes"]
    return found["health"], found["text"]


def test_the_flag_reaches_the_processes_and_one_that_dies_is_told(
    untouched: str,
) -> None:
    """Three were asked for and three report; a killed one is a warning."""
    served = untouched
    cookies = logged_in(served, "ops")
    assert processes_of(served, cookies) == (
        "healthy",
        "3 of 3 server processes report",
    )
    os.kill(min(pids(served)), signal.SIGKILL)
    while (found := processes_of(served, cookies))[0] == "healthy":
        pass
    assert found[0] == "warning"
    assert "died without a word" in found[1] or found[1].startswith("2 of 3")
    while not processes_of(served, cookies)[1].endswith(
        "3 of 3 server processes report"
    ):
        pass
    health, text = processes_of(served, cookies)
    assert health == "warning"
    assert text.startswith("a server process died without a word")

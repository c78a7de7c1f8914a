"""The pictures of the README, taken of a real site: `make screenshots`.

A server of its own is started, migrated, seeded and used in headless Chromium; of all
that only the pictures in docs/screenshots/ stay.
"""

import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright
from sqlalchemy import Engine, text

from backoffice.auth.permissions import Role
from backoffice.auth.users import create_user
from backoffice.bootstrap import Backoffice, open_backoffice
from backoffice.database.embedded import embedded_postgres
from backoffice.database.migrations import upgrade
from backoffice.seeding.seeder import seed
from backoffice.web.app import create_app
from models.seeding import SIZES, plan

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "screenshots"
PORT = 8765
BASE = f"http://127.0.0.1:{PORT}"
PASSWORD = "a password for pictures"  # noqa: S105 - of a server that is gone
PEOPLE = {"Ruth Adeyemi": Role.ADMIN, "Grace Mensah": Role.EDITOR}
# So many that a scan of their report cards is worth a word.
STUDENTS = 40_000
# Seconds after which waiting for a lock is a warning, and a little more.
WAITED = 8
WIDE, NARROW = (1280, 860), (375, 760)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def main() -> None:
    """Take every picture."""
    PICTURES.mkdir(exist_ok=True)
    with site() as engine, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=ARGUMENTS
        )
        admin = logged_in(browser, "Ruth Adeyemi")
        wait_until_judged(admin)
        take_lists(browser, admin)
        take_records(browser, admin)
        take_actions(admin)
        take_plans(admin)
        take_metrics(admin, engine)
        browser.close()
    print(f"The pictures are in {PICTURES.relative_to(ROOT)}.")


@contextmanager
def site() -> Iterator[Engine]:
    """A demo site, served in a thread as long as this lasts; its database."""
    directory = Path(tempfile.mkdtemp(prefix="screenshots-"))
    directory.chmod(0o755)
    try:
        with embedded_postgres(directory) as server:
            url = server.url.render_as_string(hide_password=False)
            environ = {**os.environ, "BACKOFFICE_DATABASE__URL": url}
            with open_backoffice(ROOT, environ=environ, kind="server") as backoffice:
                prepare(backoffice)
                with served(backoffice):
                    yield backoffice.exports
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def prepare(backoffice: Backoffice) -> None:
    """Tables, the demo's rows, and two people."""
    upgrade(backoffice.engine, backoffice.project, report=lambda _: None)
    sizes = {size.name: size.default for size in SIZES}
    seed(backoffice.engine, plan(sizes | {"students": STUDENTS}, 7))
    with backoffice.sessions.begin() as session:
        for name, role in PEOPLE.items():
            create_user(
                session,
                None,
                email=email_of(name),
                name=name,
                role=role,
                password=PASSWORD,
            )


def email_of(name: str) -> str:
    """The address of a person of the pictures."""
    return f"{name.partition(' ')[0].lower()}@example.org"


@contextmanager
def served(backoffice: Backoffice) -> Iterator[None]:
    """Uvicorn in a thread, ready when this begins."""
    config = uvicorn.Config(create_app(backoffice), port=PORT, log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            sys.exit(f"Port {PORT} cannot be used.")
        time.sleep(0.05)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


def logged_in(
    browser: Browser,
    name: str,
    *,
    size: tuple[int, int] = WIDE,
    is_dark: bool = False,
) -> Page:
    """A page of somebody who has logged in."""
    width, height = size
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if is_dark else "light",
    )
    page = context.new_page()
    page.goto(f"{BASE}/admin/login")
    page.fill("[name=email]", email_of(name))
    page.fill("[name=password]", PASSWORD)
    submit(page, "main button")
    return page


def wait_until_judged(page: Page) -> None:
    """Until the menu says how the database is, which it is asked every few seconds."""
    while "Not judged yet" in page.inner_text("body"):
        time.sleep(0.5)
        page.reload()


def submit(page: Page, button: str) -> None:
    """Press a button and wait for the page that follows."""
    with page.expect_navigation():
        page.click(button)


def picture(page: Page, name: str, path: str = "") -> None:
    """Keep what the page shows, or what stands at `path`."""
    if path:
        page.goto(f"{BASE}/admin/{path}")
    page.wait_for_load_state("networkidle")
    page.screenshot(path=PICTURES / f"{name}.png")


def take_lists(browser: Browser, admin: Page) -> None:
    """Lists: filtered and ordered, and the same in the dark on a telephone."""
    asked = "student/list?status=active&status=on_leave&class_name=9A&class_name=9B"
    asked += "&sortBy=class_name,full_name&sort=asc,asc"
    picture(admin, "list", asked)
    phone = logged_in(browser, "Ruth Adeyemi", size=NARROW, is_dark=True)
    picture(phone, "list-dark-375", asked)


def take_records(browser: Browser, admin: Page) -> None:
    """A form refused, a conflict of two people, details with history, a deletion."""
    card, student = "report-card/edit/4", "student/details/1"
    editor = logged_in(browser, "Grace Mensah")
    admin.goto(f"{BASE}/admin/{card}")
    editor.goto(f"{BASE}/admin/{card}")
    editor.fill("[name=english]", "84")
    editor.fill("[name=science]", "71")
    submit(editor, "[data-save]")
    admin.fill("[name=english]", "88")
    admin.fill("[name=mathematics]", "90")
    submit(admin, "[data-save]")
    picture(admin, "conflict")
    admin.check("[value=mine]")
    submit(admin, "[data-save]")
    admin.goto(f"{BASE}/admin/{card}")
    admin.fill("[name=mathematics]", "104")
    submit(admin, "[data-save]")
    picture(admin, "form")
    picture(admin, "details", student)
    picture(admin, "delete", "student/delete/1")


def take_actions(admin: Page) -> None:
    """A bulk change before the click, and after it."""
    admin.goto(f"{BASE}/admin/product/list?category=Books&sortBy=name&sort=asc")
    admin.check(".pick input[value=all]")
    admin.select_option(".pick select", label="Raise prices…")
    submit(admin, ".pick button")
    admin.fill("main form input.form-control", "3")
    submit(admin, "main form button.btn-primary")
    picture(admin, "preflight")
    submit(admin, "main form button.btn-primary")
    picture(admin, "run")


def take_plans(admin: Page) -> None:
    """A list explained and measured: a filter that no index serves."""
    admin.goto(f"{BASE}/admin/report-card/list?average__from=99")
    submit(admin, "text=Explain this list")
    submit(admin, "text=Run and measure")
    picture(admin, "explain")


def take_metrics(admin: Page, engine: Engine) -> None:
    """The metrics, calm, and while one transaction keeps others waiting."""
    for view in ("student", "report-card", "product", "post", "text-analysis"):
        for page in ("1", "2", "3"):
            admin.goto(f"{BASE}/admin/{view}/list?page={page}")
    picture(admin, "metrics", "metrics")
    lock = text("SELECT pg_advisory_lock(1)")
    with engine.connect() as holder, engine.connect() as waiter:
        # It waits as long as the picture takes.
        waiter.execute(text("SET lock_timeout = 0"))
        holder.execute(lock)
        waiting = threading.Thread(target=waiter.execute, args=(lock,))
        waiting.start()
        time.sleep(WAITED)
        picture(admin, "metrics-trouble", "metrics")
        holder.execute(text("SELECT pg_advisory_unlock(1)"))
        waiting.join()


main()

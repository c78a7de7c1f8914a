"""What was measured of SQLAdmin's own pages, row by row, and does not happen here.

Each test is named after its row: S for security, D for data, L for lists, R for what
happens while it runs, U for how it looks.
"""

import csv
import io
import json
import sys
from datetime import date
from decimal import Decimal
from typing import Any

import anyio
import httpx
import pytest
from sqladmin import action
from sqlalchemy import event
from starlette.testclient import TestClient

from backoffice.admin.call import quoted_part
from backoffice.admin.model_view import ModelView
from backoffice.admin.own_names import STATE, TOKEN
from backoffice.errors import SettingsError
from tests.browser import Browser, Seen
from tests.lab import Level, Parcel, Slot, Team, Vault, Visit, Worker
from tests.office import PASSWORD, Office, counted, log_in


def add(lab: Office, **values: Any) -> Worker:
    """A worker, committed."""
    with lab.session() as session:
        row = Worker(**{"name": "Wim", **values})
        session.add(row)
        session.commit()
        session.refresh(row)
        return row


def raw(lab: Office, key: int) -> dict[str, Any]:
    """A worker's row as the database says it."""
    row: dict[str, Any] = lab.value(
        "SELECT to_jsonb(w) FROM lab_workers w WHERE id = :k", k=key
    )
    return row


def edit(lab: Office, key: object, **changes: Any) -> Seen:
    """A worker's form, changed and sent."""
    browser = lab.browser("editor")
    return browser.submit(browser.get(f"/admin/lab-boss/edit/{key}"), changes)


# Security


def test_s1_no_text_column_reads_a_file(lab: Office) -> None:
    """There is no download and no preview, whatever stands in a column."""
    worker = add(lab, name="pyproject.toml")
    browser = lab.browser("admin")
    for what in ("download", "preview"):
        for end in ("", "/"):
            path = f"/admin/lab-boss/{worker.id}/name/{what}{end}"
            seen = browser.get(path)
            assert seen.status == 404
            assert "requires-python" not in seen.html
    names = {getattr(route, "name", "") for route in lab.site.admin.router.routes}
    assert not names & {"file_download", "file_preview", "import"}


def test_s2_a_page_elsewhere_changes_nothing(site: Office) -> None:
    """Create, edit, delete, login: refused without our token, and from elsewhere."""
    browser = site.browser("admin")
    before = site.value("SELECT count(*) FROM schools")
    sent = {"name": "Forged", TOKEN: browser.token()}
    elsewhere = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
    for headers, data in ((elsewhere, sent), ({}, {"name": "Forged"})):
        seen = browser.post("/admin/school/create", data, headers=headers)
        assert seen.status == 403
    login = {"email": "viewer@example.org", "password": PASSWORD}
    stranger = site.stranger()
    assert stranger.post("/admin/login", login, headers=elsewhere).status == 403
    assert "backoffice_session" not in stranger.client.cookies
    assert site.value("SELECT count(*) FROM schools") == before


def test_s3_no_action_runs_by_get(lab: Office) -> None:
    """SQLAdmin's actions, which GET and HEAD execute, cannot be registered."""

    class Acting(ModelView, model=Team):
        identity = "lab-acting"

        @action(name="deactivate")
        async def deactivate(self, request: Any) -> None:
            """Never reached."""

    with pytest.raises(SettingsError, match="runs on GET"):
        lab.site.add_model_view(Acting)
    assert lab.site.view_called("lab-acting") is None
    names = {getattr(route, "name", "") for route in lab.site.admin.router.routes}
    assert not [name for name in names if str(name).startswith("action-")]
    browser = lab.browser("admin")
    assert browser.get("/admin/lab-acting/action/deactivate?pks=1").status == 404


def test_s4_a_link_logs_nobody_out(site: Office) -> None:
    """GET and HEAD of the logout show a question."""
    browser = site.fresh("viewer")
    assert browser.get("/admin/logout").status == 200
    assert browser.client.head("/admin/logout").status_code == 200
    assert browser.get("/admin/").status == 200


def test_s5_nobody_gives_themselves_rights(site: Office) -> None:
    """Who edits accounts is an administrator, and none may change their own role."""
    editor = site.browser("editor")
    find = "SELECT id FROM backoffice_users WHERE email = :e"
    own = site.value(find, e="editor@example.org")
    forged = {TOKEN: editor.token(), "role": "admin", "is_superuser": "y"}
    assert editor.post(f"/admin/account/edit/{own}", forged).status == 403
    admin = site.browser("admin")
    me = site.value(find, e="admin@example.org")
    seen = admin.submit(admin.get(f"/admin/account/edit/{me}"), {"role": "viewer"})
    assert (seen.status, list(seen.errors)) == (400, ["role"])


def test_s6_what_a_scope_hides_is_not_named_by_others(lab: Office) -> None:
    """A record that refers to a hidden one says so, and no page tells its name."""
    secret = add(lab, name="Secret Sam", is_hidden=True)
    worker = add(lab, name="Openly", manager_id=secret.id)
    browser, base = lab.browser("admin"), "/admin/lab-worker"
    listed = browser.get(f"{base}/list?pageSize=200&sortBy=manager.name")
    row = next(row for row in listed.rows if "OPENLY" in row)
    assert row[row.index("OPENLY") + 1] == "hidden"
    details = browser.get(f"{base}/details/{worker.id}")
    assert "hidden" in details.text
    form = browser.get(f"{base}/edit/{worker.id}")
    exported = browser.get(f"{base}/export/csv").response.text
    chosen = browser.get(f"{base}/list?manager={secret.id}")
    for seen in (listed.html, details.html, form.html, exported, chosen.html):
        assert "Secret Sam" not in seen
    assert "OPENLY" not in browser.get(f"{base}/list?search=Secret").html
    # It can be saved, and goes on referring to the same one.
    assert browser.submit(form, {"balance": "5"}).status == 303
    assert raw(lab, worker.id)["manager_id"] == secret.id


def test_s6_a_scope_holds_everywhere(lab: Office) -> None:
    """A hidden row is not listed, opened, edited, deleted, exported, or looked up."""
    hidden = add(lab, name="Hidden One", is_hidden=True)
    child = add(lab, name="Child", manager_id=hidden.id)
    browser = lab.browser("admin")
    base = "/admin/lab-worker"
    assert "HIDDEN" not in browser.get(f"{base}/list?search=hidden").html
    for page in ("details", "edit", "delete", "history"):
        assert browser.get(f"{base}/{page}/{hidden.id}").status == 404, page
    sent = {TOKEN: browser.token(), STATE: "", "expected": ""}
    for page in ("edit", "delete"):
        assert browser.post(f"{base}/{page}/{hidden.id}", sent).status == 404
    file = browser.get(f"{base}/export/csv").response.text
    assert "Hidden One" not in [line[0] for line in csv.reader(io.StringIO(file))]
    found = browser.get(f"{base}/ajax/lookup?field=manager&term=Hidden")
    assert found.response.json()["choices"] == []
    # Who refers to a hidden one may be saved all the same.
    form = browser.get(f"{base}/edit/{child.id}")
    assert browser.submit(form, {"weight": "1.5"}).status == 303
    assert raw(lab, child.id)["manager_id"] == hidden.id


def test_s6_a_list_that_one_may_not_open_is_told_by_no_other(lab: Office) -> None:
    """Not by a lookup, a filter, a form's suggestions, or by trying keys and names."""
    with lab.session() as session:
        vaults = [Vault(name=f"Gold {number}") for number in (1, 2)]
        session.add_all([*vaults, visit := Visit(why="Audit", vault=vaults[0])])
        session.commit()
        keys = [vault.id for vault in vaults]
    browser, base = lab.browser("editor"), "/admin/lab-visit"
    assert browser.get("/admin/lab-vault/list").status == 403
    for path in (
        f"{base}/ajax/lookup?field=vault&term=Gold",
        f"{base}/ajax/lookup?filter=vault&term=Gold",
        f"{base}/list?vault=Gold",
        f"{base}/list?vault={keys[1]}",
    ):
        seen = browser.get(path)
        assert seen.status in {400, 403}, path
        assert "Gold" not in seen.text.replace("vault=Gold", ""), path
    # A record that one sees says what it refers to, and of the others nothing.
    listed = browser.get(f"{base}/list")
    assert ["Audit", "Gold 1"] in listed.rows
    assert "Gold 2" not in listed.html
    for typed in ("Gold", "Gold 2", str(keys[1])):
        page = browser.get(f"{base}/create")
        assert "data-lookup" not in page.html
        seen = browser.submit(page, {"why": "Guess", "vault": typed})
        assert (seen.status, list(seen.errors)) == (400, ["vault"]), typed
        assert "Gold 1" not in seen.html
    form = browser.get(f"{base}/edit/{visit.id}")
    assert browser.submit(form, {"why": "Audited"}).status == 303
    assert lab.read(Visit, visit.id).vault_id == keys[0]
    assert "Gold 2" in lab.browser("admin").get(f"{base}/list").html


def test_s7_what_a_lookup_hides_a_post_does_not_take(lab: Office) -> None:
    """A key that the lookup does not offer is refused on its field."""
    hidden = add(lab, name="Not offered", is_hidden=True)
    worker = add(lab, name="Chooser")
    browser = lab.browser("editor")
    form = browser.get(f"/admin/lab-worker/edit/{worker.id}")
    for key in (str(hidden.id), "987654321"):
        changes = {"manager": "x", "manager:key": key, "manager:for": "x"}
        seen = browser.submit(form, changes)
        assert (seen.status, list(seen.errors)) == (400, ["manager"])
    assert lab.read(Worker, worker.id).manager_id is None


def test_s8_a_refusal_holds_no_row_and_no_sql(
    site: Office, caplog: pytest.LogCaptureFixture
) -> None:
    """On the page, in the address, and in the log."""
    key = site.value("SELECT min(id) FROM schools")
    browser = site.browser("editor")
    form = browser.get("/admin/student/create")
    code = site.value("SELECT min(code) FROM students")
    typed = {"code": code, "full_name": "Hushed", "class_name": "1A"}
    refused = browser.submit(form, {**typed, "school": str(key)})
    assert (refused.status, list(refused.errors)) == (400, ["code"])
    preview = browser.get(f"/admin/school/delete/{key}")
    deleted = browser.post(preview.form().action, preview.form().data({}))
    assert deleted.status == 409
    words = ("DETAIL", "Failing row", "violates", "INSERT", "DELETE FROM", "error=")
    for seen in (refused, deleted):
        for word in words:
            assert word not in seen.html
            assert word not in str(seen.response.url)
            assert word not in caplog.text
    assert "Hushed" not in caplog.text


def test_s9_logins_are_counted_and_led_on(site: Office) -> None:
    """After five failures one waits; a deep link is kept."""
    browser = site.stranger()
    answers = [log_in(browser, "viewer@example.org", "wrong") for _ in range(6)]
    assert [seen.status for seen in answers] == [400] * 4 + [429] * 2
    asked = site.stranger().get("/admin/course/list?search=a")
    assert asked.location.endswith("next=%2Fadmin%2Fcourse%2Flist%3Fsearch%3Da")


def test_s9_a_cookie_says_nothing_and_changes_at_login(site: Office) -> None:
    """It holds a random token; two logins of one person have two."""
    one, two = site.fresh("ops"), site.fresh("ops")
    cookies = [b.client.cookies["backoffice_session"] for b in (one, two)]
    assert cookies[0] != cookies[1]
    assert "ops" not in cookies[0]
    assert len(cookies[0]) > 60


def test_s10_every_answer_has_strict_headers(site: Office) -> None:
    """No framing, no foreign script, no sniffing, no copy in a cache."""
    headers = site.browser("viewer").get("/admin/course/list").response.headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe-inline" not in headers["content-security-policy"]
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store, private"


def test_s11_no_address_is_built_from_the_host_header(site: Office) -> None:
    """Links and redirects are paths; an `?error=` of anybody's is not shown."""
    browser = site.browser("viewer")
    headers = {"host": "evil.example"}
    page = browser.get("/admin/course/list?error=Send+money", headers=headers)
    assert "evil.example" not in page.html
    assert "Send money" not in page.html
    led = site.stranger().get("/admin/course/list", headers=headers)
    assert led.response.headers["location"].startswith("/admin/login")
    for path in ("/admin", "/admin/student/list/", "/admin/student/delete"):
        seen = browser.get(path, headers=headers)
        assert "evil.example" not in seen.response.headers.get("location", "")


def test_s12_markup_in_values_is_text(lab: Office) -> None:
    """Also through a view's own formatter."""
    worker = add(lab, name="<script>alert(1)</script>", meta={"a": "<b>"})
    browser = lab.browser("editor")
    for path in (
        "/admin/lab-worker/list",
        f"/admin/lab-worker/details/{worker.id}",
        f"/admin/lab-boss/details/{worker.id}",
        f"/admin/lab-boss/edit/{worker.id}",
        f"/admin/lab-boss/delete/{worker.id}",
    ):
        html = browser.get(path).html
        assert "<script>alert" not in html
        assert "<SCRIPT>" not in html
        assert "<b>" not in html


def test_s13_what_a_form_does_not_offer_is_not_written(lab: Office) -> None:
    """Unknown keys, keys, secrets, computed and read-only columns."""
    worker = add(lab, name="Assigned")
    browser = lab.browser("editor")
    form = browser.get(f"/admin/lab-worker/edit/{worker.id}")
    forged = {
        "name": "Assigned 2",
        "id": "4711",
        "password_hash": "x",
        "double": "9",
        "rank": "king",
        "version": "7",
    }
    assert browser.submit(form, forged).status == 303
    now = raw(lab, worker.id)
    assert (now["name"], now["rank"], now["password_hash"], now["double"]) == (
        "Assigned 2",
        "fresh",
        None,
        0,
    )


def test_s14_what_a_view_cannot_do_is_refused_by_address(lab: Office) -> None:
    """Every flag, by GET and by POST."""
    with lab.session() as session:
        session.add(Team(id=1, name="Team"))
        session.commit()
    browser = lab.browser("admin")
    base, token = "/admin/lab-team", browser.token()
    for path in ("/create", "/edit/1", "/delete/1", "/export/csv"):
        assert browser.get(base + path).status == 403, path
    for path in ("/create", "/edit/1", "/delete/1"):
        assert browser.post(base + path, {TOKEN: token}).status == 403, path
    assert browser.get(f"{base}/list").status == 200
    # Details, too: the list leads nowhere then.
    with lab.session() as session:
        session.add(Vault(id=77, name="Only listed"))
        session.commit()
    listed = browser.get("/admin/lab-shut/list")
    assert ["Only listed"] in listed.rows
    assert not [href for href in listed.hrefs() if "/details/" in href]
    for page in ("details", "history"):
        assert browser.get(f"/admin/lab-shut/{page}/77").status == 403, page


def test_s15_a_denied_list_does_not_open(site: Office) -> None:
    """Not even empty; and its line is not in the menu."""
    browser = site.browser("editor")
    assert browser.get("/admin/account/list").status == 403
    assert "/admin/account/list" not in list(browser.get("/admin/").hrefs())


def test_s16_no_cell_of_a_file_is_a_formula(lab: Office) -> None:
    """What a spreadsheet would compute is a text in it."""
    for evil in ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\uff1d1"):
        add(lab, name=evil)
    file = lab.browser("viewer").get("/admin/lab-boss/export/csv").response
    lines = list(csv.reader(io.StringIO(file.content.decode("utf-8-sig"))))
    names = [line[lines[0].index("Name")] for line in lines[1:]]
    assert len([name for name in names if name.startswith("'")]) == 7
    assert not [name for name in names if name.strip()[:1] in "=+-@\uff1d"]


def test_s17_a_session_that_ended_loses_nothing_that_was_typed(site: Office) -> None:
    """A delete leads to the login as a page, a machine is told, a form is kept."""
    browser = site.fresh("editor")
    key = site.value("SELECT min(id) FROM comments")
    preview = browser.get(f"/admin/comment/delete/{key}")
    form = browser.get(f"/admin/comment/edit/{key}")
    site.run(
        "DELETE FROM backoffice_sessions WHERE created_at = "
        "(SELECT max(created_at) FROM backoffice_sessions)"
    )
    for page, changes in ((preview, {}), (form, {"name": "Typed and kept"})):
        seen = browser.submit(page, changes)
        assert seen.status == 401
        assert "password" in seen.form().names
    assert site.value("SELECT count(*) FROM comments WHERE id = :k", k=key) == 1
    told = browser.client.get("/admin/", headers={"accept": "application/json"})
    assert (told.status_code, told.json()) == (401, {"error": "Log in first."})
    person = {"email": "editor@example.org", "password": PASSWORD}
    again = browser.submit(seen, person)
    assert again.form().value("name") == "Typed and kept"


def test_s18_a_message_never_outgrows_its_cookie(lab: Office) -> None:
    """One at a time, and of a very long name the beginning: browsers take 4 KB."""
    worker = add(lab, name="é" * 50)
    parcel = "😀" * 50
    with lab.session() as session:
        session.merge(Parcel(code=parcel, note="n"))
        session.commit()
    browser = lab.browser("editor")
    path = f"/admin/lab-parcel/edit/{quoted_part(parcel)}"
    for number in range(3):
        for seen in (
            browser.submit(browser.get(path), {"note": f"n{number}"}),
            edit(lab, worker.id, rank=f"r{number}"),
        ):
            assert seen.status == 303
            kept = seen.response.headers.get_list("set-cookie")
            assert len([one for one in kept if "message" in one]) == 1
            assert max(map(len, kept)) < 4_096


# Data


def test_d1_saving_without_a_change_changes_nothing(lab: Office) -> None:
    """Documents, arrays, microseconds, seconds, line ends, enums, empty texts."""
    with lab.engine.begin() as connection:
        key = connection.exec_driver_sql(
            "INSERT INTO lab_workers (name, weight, level, meta, balance, numbers, "
            "pause, begins, network, badge, story) VALUES "
            "(E'a\\nb', 0.1, 'SENIOR', 'null', 1.10, '{1,NULL,3}', "
            "'1 day 00:00:01.000001', '12:34:56.789', '10.0.0.0/8', "
            "'00000000-0000-0000-0000-000000000001', E'x\\ny') RETURNING id"
        ).scalar()
    for meta in ("[]", "0", "false", "null", '""', "{}"):
        lab.run(
            "UPDATE lab_workers SET meta = CAST(:m AS jsonb) WHERE id = :k",
            m=meta,
            k=key,
        )
        before = lab.value("SELECT xmin FROM lab_workers WHERE id = :k", k=key)
        whole = raw(lab, int(key or 0))
        seen = edit(lab, key)
        assert seen.status == 303, seen.text
        after = lab.value("SELECT xmin FROM lab_workers WHERE id = :k", k=key)
        assert after == before, meta
        assert edit(lab, key, rank=f"r{meta}"[:10]).status == 303
        now = raw(lab, int(key or 0))
        assert {**now, "rank": ""} == {**whole, "rank": ""}, meta


def test_d2_a_stale_tab_does_not_overwrite(lab: Office) -> None:
    """Two tabs, two fields: both changes survive, after a look."""
    worker = add(lab, name="Two tabs")
    browser = lab.browser("editor")
    one, two = (browser.get(f"/admin/lab-boss/edit/{worker.id}") for _ in range(2))
    assert browser.submit(one, {"rank": "first"}).status == 303
    conflict = browser.submit(two, {"weight": "2.5"})
    assert conflict.status == 409
    assert browser.submit(conflict).status == 303
    now = raw(lab, worker.id)
    assert (now["rank"], now["weight"]) == ("first", 2.5)


def test_d3_a_field_that_is_not_sent_is_left_alone(lab: Office) -> None:
    """A disabled control sends nothing; nothing is reset to a default."""
    boss = add(lab, name="Boss")
    worker = add(
        lab, name="Whole", balance=Decimal(110), manager_id=boss.id, numbers=[1]
    )
    left_out = dict.fromkeys(("balance", "manager", "manager:key", "numbers"))
    assert edit(lab, worker.id, rank="moved", **left_out).status == 303
    now = raw(lab, worker.id)
    assert (now["balance"], now["manager_id"], now["numbers"]) == (110, boss.id, [1])


def test_d4_a_form_holds_no_children(lab: Office) -> None:
    """To-many relations are not in forms, so a stale one takes no child away."""
    boss = add(lab, name="Parent")
    browser = lab.browser("editor")
    page = browser.get(f"/admin/lab-boss/edit/{boss.id}")
    child = add(lab, name="Added meanwhile", manager_id=boss.id)
    assert not {"reports", "teams"} & set(page.form().names)
    forged = {"rank": "x", "reports": "", "teams": "1"}
    assert browser.submit(page, forged).status == 303
    assert lab.read(Worker, child.id).manager_id == boss.id


def test_d5_deleting_touches_no_child_first(lab: Office) -> None:
    """Who is referred to is said before; no reference is emptied on the quiet."""
    boss = add(lab, name="Referred to")
    child = add(lab, name="Refers", manager_id=boss.id)
    browser = lab.browser("editor")
    preview = browser.get(f"/admin/lab-boss/delete/{boss.id}")
    assert "still used by 1" in preview.text
    with counted(lab.engine) as statements:
        seen = browser.post(preview.form().action, preview.form().data({}))
    assert seen.status == 409
    assert not [s for s in statements if s.startswith("UPDATE lab_")]
    assert lab.read(Worker, child.id).manager_id == boss.id


def test_d6_nothing_is_deleted_by_the_dozen(lab: Office) -> None:
    """SQLAdmin's address for several keys at once is gone: each has its preview."""
    browser = lab.browser("admin")
    worker = add(lab, name="Stays")
    seen = browser.client.request(
        "DELETE",
        f"/admin/lab-boss/delete?pks={worker.id}",
        headers={
            "x-csrf-token": browser.token(),
            "sec-fetch-site": "same-origin",
        },
    )
    assert seen.status_code in {404, 405}
    assert lab.read(Worker, worker.id) is not None


@pytest.mark.parametrize(
    "code",
    [
        "a,b",
        "a/b",
        "100%",
        "a?b",
        "a b",
        "a&b+c#d",
        "a;b\\c",
        "ä",
        "[x]",
        ".",
        "..",
        "~.",
        "a\nb",
        "a\n",
        "\r\na\rb",
        "\t a ",
        "\x01\x7f",
        "%",
        "a+b",
        "\u202eabc",
        "😀" * 50,
    ],
)
def test_d7_a_key_of_any_letters_means_one_record(lab: Office, code: str) -> None:
    """List, open, edit and delete lead to this one, and no other goes with it."""
    with lab.session() as session:
        for one in {code, "a", "b"}:
            session.merge(Parcel(code=one, note="here"))
        session.commit()
    browser = lab.browser("editor")
    listed = browser.get("/admin/lab-parcel/list?pageSize=200")
    href = f"/admin/lab-parcel/details/{quoted_part(code)}"
    assert any(h.startswith(href) for h in listed.hrefs())
    details = browser.get(href)
    assert details.status == 200
    edit_page = browser.get(details.link("Edit"))
    assert browser.submit(edit_page, {"note": "moved"}).status == 303
    assert lab.read(Parcel, code).note == "moved"
    preview = browser.get(details.link("Delete"))
    assert browser.submit(preview).status == 303
    assert lab.read(Parcel, code) is None
    assert lab.read(Parcel, "a") is not None
    assert lab.read(Parcel, "b") is not None


def test_d7_a_key_of_two_columns_means_one_record(lab: Office) -> None:
    """The parts are told apart, whatever is in them."""
    with lab.session() as session:
        for room in ("a", "b;c", "d\\"):
            session.merge(Slot(day=date(2026, 1, 2), room=room, topic="old"))
        session.commit()
    browser = lab.browser("editor")
    hrefs = [
        href
        for href in browser.get("/admin/lab-slot/list").hrefs()
        if "/details/" in href
    ]
    assert len(hrefs) == 3
    for href in hrefs:
        page = browser.get(href.replace("/details/", "/edit/"))
        assert browser.submit(page, {"topic": "new"}).status == 303
    assert lab.value("SELECT count(*) FROM lab_slots WHERE topic = 'new'") == 3


def test_d8_an_entry_that_cannot_be_written_stops_the_save(lab: Office) -> None:
    """Change and entry commit together; the old value and the new one are told."""
    worker = add(lab, name="Audited", password_hash="hush")
    lab.browser("editor")  # a login writes an entry as well
    lab.run("ALTER TABLE backoffice_audit ADD CONSTRAINT shut CHECK (id < 0) NOT VALID")
    try:
        seen = edit(lab, worker.id, rank="lost")
    finally:
        lab.run("ALTER TABLE backoffice_audit DROP CONSTRAINT shut")
    assert seen.status >= 400
    assert raw(lab, worker.id)["rank"] == "fresh"
    assert edit(lab, worker.id, rank="kept").status == 303
    entries = lab.values(
        "SELECT changes, actor_label FROM backoffice_audit "
        "WHERE table_name = 'lab_workers' AND key = :k",
        k=str(worker.id),
    )
    assert entries == [({"rank": ["fresh", "kept"]}, "Emil Editor")]


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("balance", "NaN"),
        ("balance", "1.239"),
        ("balance", "Infinity"),
        ("weight", "NaN"),
        ("numbers", "[99999999999999999999]"),
        ("meta", '{"a": NaN}'),
        ("meta", '"\\u0000"'),
        ("name", "a\x00b"),
        ("badge", "no uuid"),
        ("begins", "25:00"),
        ("level", "s2"),
    ],
)
def test_d9_what_a_column_cannot_hold_is_refused(
    lab: Office, field: str, text: str
) -> None:
    """Not rounded, not passed on: a sentence on the field."""
    worker = add(lab, name="Strict")
    before = raw(lab, worker.id)
    seen = edit(lab, worker.id, **{field: text})
    assert (seen.status, list(seen.errors)) == (400, [field])
    assert raw(lab, worker.id) == before


def test_d10_an_empty_document_is_no_document(lab: Office) -> None:
    """Blank is SQL's NULL; JSON's null has to be typed."""
    worker = add(lab, name="Document", meta={"a": 1})
    kind = "SELECT jsonb_typeof(meta) FROM lab_workers WHERE id = :k"
    assert edit(lab, worker.id, meta="").status == 303
    assert lab.value(kind, k=worker.id) is None
    assert edit(lab, worker.id, meta="null").status == 303
    assert lab.value(kind, k=worker.id) == "null"


def test_d11_a_server_default_is_used(lab: Office) -> None:
    """What is left empty in a new record is the database's to fill."""
    browser = lab.browser("editor")
    page = browser.get("/admin/lab-boss/create")
    seen = browser.submit(page, {"name": "Defaulted", "rank": "", "balance": ""})
    assert seen.status == 303, seen.errors
    found = lab.values("SELECT rank, balance FROM lab_workers WHERE name = 'Defaulted'")
    assert found == [("fresh", Decimal("0.00"))]


def test_d12_a_reference_to_nothing_is_refused(lab: Office) -> None:
    """Unknown and malformed keys are a sentence, not a silence."""
    worker = add(lab, name="Pointing")
    for text in ("987654321", "no such", "1e3", "٣"):
        seen = edit(lab, worker.id, **{"manager": text, "manager:key": ""})
        assert (seen.status, list(seen.errors)) == (400, ["manager"])
        assert "int()" not in seen.text


def test_d13_an_attribute_may_be_called_meta(lab: Office) -> None:
    """Create and edit work with names that form libraries keep for themselves."""
    browser = lab.browser("editor")
    page = browser.get("/admin/lab-boss/create")
    seen = browser.submit(page, {"name": "With meta", "meta": '{"a": 1}'})
    assert seen.status == 303, seen.errors
    found = lab.value("SELECT meta FROM lab_workers WHERE name = 'With meta'")
    assert found == {"a": 1}


def test_d14_import_is_off(site: Office) -> None:
    """No address, no button, no flag."""
    browser = site.browser("admin")
    for view in site.site.views:
        assert getattr(view, "can_import", False) is False
    for path in ("import", "import/csv"):
        assert browser.get(f"/admin/student/{path}").status == 404
        seen = browser.post(f"/admin/student/{path}", {TOKEN: browser.token()})
        assert seen.status in {404, 405}
    assert "mport" not in browser.get("/admin/student/list").text


def test_d15_a_request_leaves_nothing_behind_in_the_view(lab: Office) -> None:
    """Fifty forms, and the options are what they were."""
    browser = lab.browser("editor")
    view = lab.site.view_called("lab-boss")
    before = repr(sorted((k, repr(v)) for k, v in vars(type(view)).items()))
    for _ in range(20):
        browser.get("/admin/lab-boss/create")
    assert repr(sorted((k, repr(v)) for k, v in vars(type(view)).items())) == before


def test_d16_deferred_and_computed_columns_are_no_trouble(lab: Office) -> None:
    """A deferred one is edited; a computed one is shown, and never asked for."""
    worker = add(lab, name="Deferred", story="once", balance=Decimal(2))
    browser = lab.browser("editor")
    page = browser.get(f"/admin/lab-boss/edit/{worker.id}")
    assert page.status == 200
    assert page.form().value("story") == "once"
    assert "double" not in page.form().names
    assert browser.submit(page, {"story": "twice", "balance": "3"}).status == 303
    now = raw(lab, worker.id)
    assert (now["story"], now["double"]) == ("twice", 6)


def test_d17_a_refused_form_keeps_everything(lab: Office) -> None:
    """400 with all that was typed; a record that went meanwhile is 404."""
    worker = add(lab, name="Kept")
    seen = edit(lab, worker.id, balance="-1", rank="typed")
    assert (seen.status, list(seen.errors)) == (400, ["balance"])
    assert seen.form().value("rank") == "typed"
    browser = lab.browser("editor")
    page = browser.get(f"/admin/lab-boss/edit/{worker.id}")
    lab.run("DELETE FROM lab_workers WHERE id = :k", k=worker.id)
    assert browser.submit(page, {"rank": "late"}).status == 404


# Lists


def pages(browser: Browser, path: str) -> list[str]:
    """The first cells of all pages, by following "Next"."""
    found: list[str] = []
    url: str | None = path
    while url:
        seen = browser.get(url)
        assert seen.status == 200
        found += [row[0] for row in seen.rows if len(row) > 1]
        url = next((h for t, h in seen.page.links if t == "Next"), None)
    return found


def test_l1_a_count_carries_no_order(site: Office) -> None:
    """And rows are one statement, whatever relations are listed."""
    browser = site.browser("viewer")
    with counted(site.engine) as statements:
        browser.get("/admin/report-card/list?sortBy=semester&sort=desc")
    (count,) = [s for s in statements if "count(*)" in s]
    assert "ORDER BY" not in count
    assert "OFFSET" not in "".join(statements)


def test_l2_pages_hold_every_row_once(site: Office) -> None:
    """Ordered by a column full of equal values, forwards to the end."""
    browser = site.browser("viewer")
    number = site.value("SELECT count(*) FROM report_cards")
    found = pages(browser, "/admin/report-card/list?sortBy=semester&pageSize=100")
    assert len(found) == len(set(found)) == number


def test_l3_no_join_hides_a_row(lab: Office) -> None:
    """Ordered and searched through a reference that is empty for many."""
    boss = add(lab, name="Joined boss")
    for number in range(5):
        add(lab, name=f"Joined {number}", manager_id=boss.id if number < 2 else None)
    browser = lab.browser("viewer")
    number = lab.value("SELECT count(*) FROM lab_workers WHERE NOT is_hidden")
    found = pages(browser, "/admin/lab-worker/list?sortBy=manager.name&pageSize=100")
    assert len(found) == number
    seen = browser.get("/admin/lab-worker/list?search=joined")
    assert len(seen.rows) == 6


def test_l4_a_model_may_refer_to_itself(lab: Office) -> None:
    """Sort, search, filter and details through the reference to the same table."""
    boss = add(lab, name="Selfboss")
    add(lab, name="Selfchild", manager_id=boss.id)
    browser = lab.browser("viewer")
    for query in (
        "sortBy=manager.name&sort=desc",
        "search=selfboss",
        f"manager={boss.id}",
        "manager__empty=yes",
    ):
        assert browser.get(f"/admin/lab-worker/list?{query}").status == 200, query
    seen = browser.get(f"/admin/lab-worker/list?manager={boss.id}")
    assert [row[0] for row in seen.rows] == ["SELFCHILD"]
    assert browser.get(f"/admin/lab-boss/details/{boss.id}").status == 200


def test_l5_a_search_doubles_no_row(site: Office) -> None:
    """Through relations too: the count is the number of rows."""
    browser = site.browser("viewer")
    listed = browser.get("/admin/enrollment/list?search=a&pageSize=200")
    keys = [row[0] for row in listed.rows]
    assert len(keys) == len(set(keys))
    assert f"of {len(keys)}" in listed.text or len(keys) == 200


def test_l5_a_search_through_many_to_many_counts_a_row_once(lab: Office) -> None:
    """However many of its teams match: neither doubled nor counted twice."""
    with lab.session() as session:
        teams = [Team(id=n, name=f"Choir {n}") for n in range(100, 103)]
        session.add_all(Worker(name=f"Singer {n}", teams=teams) for n in range(4))
        session.commit()
    seen = lab.browser("viewer").get("/admin/lab-member/list?search=choir&pageSize=3")
    assert len(seen.rows) == 3
    assert "of 4" in seen.text
    rest = lab.browser("viewer").get(seen.link("Next"))
    names = {row[0] for row in (*seen.rows, *rest.rows)}
    assert names == {f"Singer {number}" for number in range(4)}


def test_l6_a_reference_of_a_reference_costs_nothing_per_row(lab: Office) -> None:
    """manager.manager.name of fifty rows in the statements of one."""
    top = add(lab, name="Top")
    middle = add(lab, name="Middle", manager_id=top.id)
    for number in range(20):
        add(lab, name=f"Deep {number}", manager_id=middle.id)
    browser = lab.browser("viewer")
    with counted(lab.engine) as few:
        browser.get("/admin/lab-worker/list?pageSize=1")
    with counted(lab.engine) as many:
        seen = browser.get("/admin/lab-worker/list?search=deep")
    assert len(seen.rows) == 20
    assert all("Top" in row for row in seen.rows)
    assert len(many) <= len(few) <= 4


def test_l7_filters_and_forms_load_no_table(site: Office) -> None:
    """Above fifty values one types; a form holds the record that it refers to."""
    browser = site.browser("editor")
    page = browser.get("/admin/enrollment/list")
    assert len(page.html) < 120_000
    form = browser.get("/admin/enrollment/create")
    assert len(form.html) < 30_000
    assert "data-lookup" in form.html


def test_l8_a_new_search_begins_at_the_first_page(site: Office) -> None:
    """The search box sends neither page nor place."""
    browser = site.browser("viewer")
    seen = browser.get("/admin/report-card/list?page=3&pageSize=20")
    form = seen.form("/admin/report-card/list")
    assert not {"page", "after", "before"} & set(form.fields)


def test_l9_wildcards_are_letters_and_an_index_is_used(site: Office) -> None:
    """A lone percent sign does not list all; a lookup says that there is more."""
    browser = site.browser("editor")
    assert browser.get("/admin/course/list?search=%25").rows == []
    assert browser.get("/admin/student/list?search=%25%25").rows == []
    seen = browser.get("/admin/enrollment/ajax/lookup?field=student&term=")
    assert seen.response.json()["more"] is True


BAD = [
    "/admin/lab-worker/list?level=unknown",
    "/admin/lab-worker/list?manager=abc",
    "/admin/lab-worker/list?manager=99999999999999999999",
    "/admin/lab-worker/list?is_hidden=perhaps",
    "/admin/lab-boss/details/abc",
    "/admin/lab-boss/details/1.0",
    "/admin/lab-boss/details/" + "9" * 5000,
    "/admin/lab-slot/details/2026-01-02",
    "/admin/lab-slot/details/2026-13-02;a",
    "/admin/lab-slot/details/a;b;c",
    "/admin/lab-boss/details/2147483648",
    "/admin/lab-boss/delete/",
    "/admin/lab-boss/edit/",
    "/admin/lab-worker/ajax/lookup?field=nothing&term=a",
    "/admin/lab-worker/ajax/lookup",
]


@pytest.mark.parametrize("path", BAD, ids=range(len(BAD)))
def test_l10_bad_input_is_never_a_fault(lab: Office, path: str) -> None:
    """400 or 404, as a page."""
    seen = lab.browser("admin").get(path)
    assert seen.status in {400, 404}
    assert seen.heading


def test_l10_a_deep_document_is_refused(lab: Office) -> None:
    """A hundred thousand brackets are a sentence on the field."""
    worker = add(lab, name="Deep document")
    seen = edit(lab, worker.id, meta="[" * 100_000 + "]" * 100_000)
    assert (seen.status, list(seen.errors)) == (400, ["meta"])


def test_l11_a_formatter_that_raises_costs_its_cell(lab: Office) -> None:
    """The other rows stand."""
    broken = add(lab, name="Breaks")
    add(lab, name="Breaks not")
    seen = lab.browser("viewer").get("/admin/lab-worker/list?search=breaks")
    # The one that cannot be drawn is called by its key.
    assert sorted(row[0] for row in seen.rows) == [str(broken.id), "BREAKS NOT"]


def test_l12_an_empty_list_says_so(lab: Office) -> None:
    """No "1 to 0 of 0"."""
    seen = lab.browser("viewer").get("/admin/lab-worker/list?search=nobodyatall")
    assert "1 to 0" not in seen.text
    assert "matches all of this" in seen.text


def test_l13_errors_are_pages_or_json(site: Office) -> None:
    """HTML for people, JSON for machines, 404s among them."""
    browser = site.browser("viewer")
    for path in ("/admin/student/details/abc", "/admin/none/list", "/none"):
        page = browser.client.get(path)
        assert page.headers["content-type"].startswith("text/html")
        data = browser.client.get(path, headers={"accept": "application/json"})
        assert data.headers["content-type"] == "application/json"
        assert json.loads(data.text)["error"]


# While it runs


def test_r1_an_export_is_the_list(site: Office) -> None:
    """Filters, search and order; NULL is nothing."""
    browser = site.browser("viewer")
    query = "status=active&search=a&sortBy=code&sort=desc"
    listed = browser.get(f"/admin/student/list?{query}&pageSize=200")
    seen = browser.get(f"/admin/student/export/csv?{query}")
    lines = list(csv.reader(io.StringIO(seen.response.text)))[1:]
    assert [line[0] for line in lines] == [row[0] for row in listed.rows]
    assert "None" not in seen.response.text


def test_r2_a_slow_page_holds_no_other_up(site: Office) -> None:
    """While a statement waits for a lock the event loop answers."""
    cookie = site.browser("viewer").client.cookies["backoffice_session"]

    async def play() -> tuple[int, int]:
        transport = httpx.ASGITransport(app=site.app)
        async with httpx.AsyncClient(
            transport=transport,
            base_url="http://testserver",
            cookies={"backoffice_session": cookie},
        ) as client:
            with site.engine.connect() as holder, holder.begin():
                holder.exec_driver_sql("LOCK TABLE schools IN ACCESS EXCLUSIVE MODE")
                held: list[int] = []

                async def ask() -> None:
                    seen = await client.get("/admin/school/list")
                    held.append(seen.status_code)

                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(ask)
                    alive = await client.get("/livez")
                    assert not held
                    holder.rollback()
            return alive.status_code, held[0]

    assert anyio.run(play) == (200, 200)


def test_r3_a_page_has_one_session_and_one_transaction(site: Office) -> None:
    """One connection is taken, and taken once."""
    taken: list[int] = []

    def note(*_arguments: Any) -> None:
        taken.append(1)

    browser = site.browser("viewer")
    event.listen(site.engine, "checkout", note)
    try:
        browser.get("/admin/report-card/list")
    finally:
        event.remove(site.engine, "checkout", note)
    assert len(taken) == 1


def test_r3_count_and_rows_are_of_one_moment(site: Office) -> None:
    """What is added after the count was read is on the next page that is asked for."""
    added = "INSERT INTO schools (name) VALUES ('0 added between two statements')"
    seen_by: list[str] = []

    def add_one(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if "count(*)" in statement and not seen_by:
            seen_by.append(statement)
            site.run(added)

    browser, path = site.browser("viewer"), "/admin/school/list?sortBy=name"
    number = site.value("SELECT count(*) FROM schools")
    event.listen(site.engine, "after_cursor_execute", add_one)
    try:
        seen = browser.get(path)
    finally:
        event.remove(site.engine, "after_cursor_execute", add_one)
    assert seen_by
    assert len(seen.rows) == number
    assert len(browser.get(path).rows) == number + 1


def test_r4_the_projects_own_session_maker_is_left_alone(site: Office) -> None:
    """SQLAdmin reconfigures the one that it is given; it has its own."""
    assert site.backoffice.sessions is not site.site.session_maker
    with site.backoffice.sessions() as session:
        assert session.autoflush is True


def test_r5_two_sites_in_one_process_serve_their_own(site: Office, lab: Office) -> None:
    """What SQLAdmin keeps in classes does not cross over."""
    assert site.browser("viewer").get("/admin/lab-boss/list").status == 404
    assert lab.browser("viewer").get("/admin/student/list").status == 404
    account = lab.site.view_called("account")
    other = site.site.view_called("account")
    assert account is not other
    assert site.browser("admin").get("/admin/account/list").status == 200
    assert lab.browser("admin").get("/admin/account/list").status == 200


# How it looks, as far as it can be told without a browser


def test_u1_a_page_is_light_and_compressed(site: Office) -> None:
    """The first load is at most 150 KB, files may be kept, a later page has 20."""
    browser = site.browser("viewer")
    page = browser.get("/admin/student/list?pageSize=100")
    client = TestClient(site.app)
    assert page.response.headers["content-encoding"] == "gzip"
    total = int(page.response.headers["content-length"])
    assert total <= 20_000
    for name in ("href", "src"):
        for part in page.html.split(f'{name}="')[1:]:
            url = part.partition('"')[0].partition("#")[0]
            if "/assets/" not in url:
                continue
            headers = {"accept-encoding": "gzip"}
            with client.stream("GET", url, headers=headers) as seen:
                assert seen.status_code == 200, url
                assert "immutable" in seen.headers["cache-control"]
                total += int(seen.headers["content-length"])
    assert total <= 150_000


def test_u2_a_page_says_what_it_is(site: Office) -> None:
    """Language, title, landmarks, labels, scopes; no link without a name."""
    browser = site.browser("editor")
    key = site.value("SELECT min(id) FROM students")
    titles = set()
    for path in (
        "/admin/",
        "/admin/student/list",
        f"/admin/student/details/{key}",
        f"/admin/student/edit/{key}",
        f"/admin/student/delete/{key}",
    ):
        page = browser.get(path)
        assert '<html lang="en"' in page.html
        assert "<main" in page.html
        assert page.html.count("<h1") == 1
        assert all(label for label, _ in page.page.links), path
        titles.add(page.page.title)
        ids = [part.partition('"')[0] for part in page.html.split(' id="')[1:]]
        assert len(ids) == len(set(ids)), path
    assert len(titles) == 5
    listed = browser.get("/admin/student/list?sortBy=code").html
    assert 'scope="col"' in listed
    assert "aria-sort" in listed


def test_u3_an_error_is_tied_to_its_field(site: Office) -> None:
    """aria-invalid, aria-describedby, and a summary that leads there."""
    browser = site.browser("editor")
    page = browser.get("/admin/product/create")
    seen = browser.submit(page, {"name": "", "price": "x"})
    assert 'aria-invalid="true"' in seen.html
    assert 'aria-describedby="f-price-e"' in seen.html
    assert 'href="#f-price"' in seen.html
    assert seen.page.title.startswith("Error")


def test_u4_heads_are_words(site: Office, lab: Office) -> None:
    """Neither column names nor plurals by rote."""
    seen = site.browser("viewer").get("/admin/report-card/list")
    assert "Academic year" in seen.heads
    assert not [head for head in seen.heads if "_" in head]
    heads = lab.browser("viewer").get("/admin/lab-boss/list").heads
    assert not [head for head in heads if "_" in head]


def test_u5_nothing_comes_from_elsewhere(site: Office) -> None:
    """No CDN, no editor, no font of somebody else's, no inline script."""
    browser = site.browser("editor")
    for path in ("/admin/student/list", "/admin/text-analysis/create"):
        html = browser.get(path).html
        for word in ("https://", "//cdn", "ckeditor", "tinymce", "jquery", "<script>"):
            assert word not in html.lower(), word


def test_u6_rbac_tables_of_sqladmin_are_not_used() -> None:
    """`contrib.rbac` is not imported by anything here."""
    assert not [
        name for name in sys.modules if name.startswith("sqladmin.contrib.rbac")
    ]


def test_u7_a_list_survives_its_deletions(site: Office) -> None:
    """Filters and page are the same after a delete."""
    browser = site.browser("editor")
    key = site.value("SELECT max(id) FROM comments")
    query = "is_approved=false&pageSize=20"
    preview = browser.get(f"/admin/comment/delete/{key}?{query}")
    seen = browser.submit(preview)
    assert seen.location == f"/admin/comment/list?{query}"


def test_u8_a_float_has_a_field(lab: Office) -> None:
    """SQLAdmin has no converter for it; every kind of column opens here."""
    browser = lab.browser("editor")
    for path in ("/admin/lab-boss/create", "/admin/lab-worker/create"):
        page = browser.get(path)
        assert page.status == 200
        assert "weight" in page.form().names
    seen = browser.submit(
        browser.get("/admin/lab-boss/create"),
        {
            "name": "All kinds",
            "weight": "0.1",
            "level": "SENIOR",
            "numbers": "[1, 2]",
            "network": "10.0.0.0/8",
        },
    )
    assert seen.status == 303, seen.errors
    row = lab.values(
        "SELECT weight, level::text, numbers FROM lab_workers WHERE name = 'All kinds'"
    )
    assert row == [(0.1, Level.SENIOR.name, [1, 2])]


def test_u9_two_views_of_one_model_stand_side_by_side(lab: Office) -> None:
    """A declared identity is kept, and a second one of the same name is refused."""
    assert lab.site.view_called("lab-worker") is not lab.site.view_called("lab-boss")

    class Twin(ModelView, model=Team):
        identity = "lab-boss"

    with pytest.raises(SettingsError, match="Two views are called"):
        lab.site.add_model_view(Twin)


def test_u10_secrets_are_in_no_default(lab: Office) -> None:
    """A view that says nothing shows no hash: list, details, form, file, history."""
    worker = add(lab, name="Secretive", password_hash="$argon2id$hush")
    browser = lab.browser("admin")
    for path in (
        "/admin/lab-boss/list",
        f"/admin/lab-boss/details/{worker.id}",
        f"/admin/lab-boss/edit/{worker.id}",
        f"/admin/lab-boss/history/{worker.id}",
        "/admin/lab-boss/export/csv",
    ):
        assert "hush" not in browser.get(path).response.text


def test_a_filter_that_is_named_by_a_text_has_its_columns_label(lab: Office) -> None:
    """Every text has a method called `title`, and that is no label."""
    view = lab.site.view_called("lab-worker")
    assert view is not None
    labels = [one.label for one in view.description.list_spec.filters]
    assert labels == ["Level", "Manager", "Is hidden"]

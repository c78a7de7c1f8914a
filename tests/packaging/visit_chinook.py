"""A visit to the other project's site, in a process that has only the wheel."""

import re
import sys
from html import unescape
from pathlib import Path
from urllib.parse import quote

from starlette.testclient import TestClient

import backoffice
from backoffice.admin.own_names import TOKEN
from backoffice.bootstrap import open_backoffice
from backoffice.web.app import create_app


def main() -> None:
    """Log in, look at everything, change a title."""
    directory, email, password = sys.argv[1:]
    assert "site" in Path(backoffice.__file__).parts, backoffice.__file__
    with open_backoffice(Path(directory)) as opened:
        client = TestClient(
            create_app(opened),
            base_url="http://127.0.0.1",
            follow_redirects=False,
            headers={"sec-fetch-site": "same-origin"},
        )
        login = client.get("/admin/login")
        answer = client.post(
            "/admin/login",
            data={TOKEN: token(login.text), "email": email, "password": password},
        )
        assert answer.status_code == 303, answer.text
        visit(client)
        edit(client)
    print("visited")


def visit(client: TestClient) -> None:
    """Every list, a record of each with a form, and the odd ones out."""
    composite = quote("1;3402", safe="")
    for path in (
        "artist/list",
        "album/list?sortBy=AlbumId&sort=desc",
        "employee/list?sortBy=Manager&sort=asc",
        "employee/list?Manager=2",
        "employee/list?Manager__empty=yes",
        "playlist/list",
        "track/list?search=rock",
        "track/list?Album=1&UnitPrice__from=0.5",
        "playlist-track/list",
        "artist/details/1",
        "employee/details/2",
        "employee/edit/2",
        f"playlist-track/details/{composite}",
        f"playlist-track/edit/{composite}",
        "artist/delete/1",
        "album/create",
        "track/export/csv?search=rock",
    ):
        answer = client.get(f"/admin/{path}")
        assert answer.status_code == 200, (path, answer.text)
    assert "Adams" in client.get("/admin/employee/details/2").text
    assert client.get("/admin/playlist-track/details/1").status_code == 404


def edit(client: TestClient) -> None:
    """Change one title, and nothing else."""
    form = client.get("/admin/album/edit/1").text
    fields = {
        name: unescape(value)
        for name, value in re.findall(
            r'<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"', form
        )
    }
    fields["Title"] = "For Those About To Rock, We Salute You"
    answer = client.post("/admin/album/edit/1", data=fields)
    assert answer.status_code == 303, answer.text


def token(page: str) -> str:
    """The token of a page's form."""
    found = re.search(rf'name="{TOKEN}" value="([^"]+)"', page)
    assert found is not None
    return found.group(1)


main()

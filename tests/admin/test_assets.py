"""Do browsers get each file once, small, and never a stale one?"""

import gzip

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from backoffice.admin.assets import all_assets, asset_url, assets_route


@pytest.fixture
def client() -> TestClient:
    """A site that serves the files where the admin does."""
    app = Starlette(routes=[Mount("/admin", routes=[assets_route()])])
    return TestClient(app)


@pytest.mark.parametrize("name", sorted(all_assets().files))
def test_every_file_is_served_as_it_is(client: TestClient, name: str) -> None:
    """The address that a template writes leads to the file."""
    answer = client.get(asset_url(name, "/admin/assets"))
    assert answer.content == all_assets().files[name].body
    assert answer.headers["content-type"] == all_assets().files[name].media_type


def test_a_browser_keeps_a_file(client: TestClient) -> None:
    """An address with the right digest never needs to be asked again."""
    answer = client.get(asset_url("backoffice.css", "/admin/assets"))
    assert "immutable" in answer.headers["cache-control"]


def test_a_file_is_sent_compressed(client: TestClient) -> None:
    """Who understands gzip gets gzip, made at start-up."""
    address = asset_url("tabler.min.css", "/admin/assets")
    with client.stream("GET", address, headers={"Accept-Encoding": "gzip"}) as answer:
        sent = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert len(sent) < 80_000
    assert gzip.decompress(sent) == all_assets().files["tabler.min.css"].body


def test_a_file_is_sent_plain_to_others(client: TestClient) -> None:
    """Who does not understand gzip gets the file as it is."""
    address = asset_url("keys.js", "/admin/assets")
    answer = client.get(address, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in answer.headers
    assert answer.content == all_assets().files["keys.js"].body


def test_an_unchanged_file_is_not_sent_again(client: TestClient) -> None:
    """A browser that asks whether its copy is still right gets a 304."""
    address = asset_url("keys.js", "/admin/assets")
    tag = client.get(address).headers["etag"]
    answer = client.get(address, headers={"If-None-Match": tag})
    assert answer.status_code == 304
    assert answer.content == b""


def test_an_old_address_gives_the_file_of_today(client: TestClient) -> None:
    """A page from before an upgrade still works, but its file is not kept."""
    answer = client.get("/admin/assets/0123456789ab/keys.js")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path", ["x/none.js", "x/..%2fassets.py", "x/../assets.py", "", "keys.js/"]
)
def test_nothing_else_is_served(client: TestClient, path: str) -> None:
    """Only the files that are known have an address."""
    assert client.get(f"/admin/assets/{path}").status_code == 404


def test_a_file_cannot_be_written(client: TestClient) -> None:
    """Files are read, nothing else."""
    assert client.post(asset_url("keys.js", "/admin/assets")).status_code == 405


def test_an_unknown_name_is_the_developers_mistake() -> None:
    """A template that names a file that is not there fails at once."""
    with pytest.raises(LookupError, match=r"none\.js"):
        asset_url("none.js", "/admin/assets")

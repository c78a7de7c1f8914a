"""Settings: the file, the environment, and what is said of mistakes."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from backoffice.errors import SettingsError
from backoffice.settings import Settings, load_settings

FILE = Path(__file__).parent.parent / "settings.toml"
OWN = {("app", "title"), ("app", "models"), ("app", "seeding")}

EVERY_SETTING = [
    pytest.param(section, name, id=f"{section}.{name}")
    for section, field in Settings.model_fields.items()
    for name in getattr(field.annotation, "model_fields", {})
]


def write(root: Path, text: str) -> Path:
    """A project's settings file."""
    (root / "settings.toml").write_text(text)
    return root


def default_of(section: str, name: str) -> Any:
    """A setting's default, as TOML has it."""
    values = getattr(Settings(), section)
    value = type(values).model_fields[name].get_default(call_default_factory=True)
    return value.get_secret_value() if isinstance(value, SecretStr) else value


@pytest.mark.parametrize(("section", "name"), EVERY_SETTING)
def test_file_explains_every_setting(section: str, name: str) -> None:
    """`settings.toml` has each setting, under the description that the code has."""
    field = type(getattr(Settings(), section)).model_fields[name]
    part = FILE.read_text().partition(f"[{section}]\n")[2].partition("\n[")[0]

    found = re.search(rf"((?:^# .*\n)+){name} = ", part, re.MULTILINE)

    assert found, f"{section}.{name} is missing in settings.toml"
    comment = " ".join(line[2:] for line in found[1].splitlines())
    assert comment == field.description


@pytest.mark.parametrize(("section", "name"), EVERY_SETTING)
def test_file_holds_the_defaults(section: str, name: str) -> None:
    """What the file sets is what holds without it, but for the demo's own names."""
    values = tomllib.loads(FILE.read_text())

    if (section, name) not in OWN:
        assert values[section][name] == default_of(section, name)


def test_file_has_nothing_else() -> None:
    """The file is accepted as it is."""
    settings = load_settings(FILE.parent, environ={})

    assert settings.app.title == "Northfield"
    assert settings.app.seeding == "models.seeding"


def test_no_file(tmp_path: Path) -> None:
    """Without a file the defaults hold."""
    assert load_settings(tmp_path, environ={}) == Settings()


def test_environment_wins(tmp_path: Path) -> None:
    """A variable stands over the file."""
    root = write(tmp_path, "[web]\nport = 9000\n")

    settings = load_settings(root, environ={"BACKOFFICE_WEB__PORT": "9001"})

    assert settings.web.port == 9001


def test_list_from_the_environment(tmp_path: Path) -> None:
    """A list is given with commas."""
    environ = {"BACKOFFICE_WEB__ALLOWED_HOSTS": "a.example.org, b.example.org"}

    settings = load_settings(tmp_path, environ=environ)

    assert settings.web.allowed_hosts == ["a.example.org", "b.example.org"]


def test_other_variables_are_left_alone(tmp_path: Path) -> None:
    """Variables without a section are somebody else's."""
    environ = {"BACKOFFICE_SUPERUSER_EMAIL": "a@example.org", "HOME": "/"}

    assert load_settings(tmp_path, environ=environ) == Settings()


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("BACKOFFICE_WEB_PORT", "BACKOFFICE_WEB__PORT is the setting"),
        ("BACKOFFICE_DATABASE_URL", "BACKOFFICE_DATABASE__URL is the setting"),
        ("BACKOFFICE_WEB", "reads like BACKOFFICE_WEB__"),
    ],
)
def test_one_underscore_is_not_passed_over(
    tmp_path: Path, name: str, right: str
) -> None:
    """A name that was meant for a setting is said to be none, and which is."""
    with pytest.raises(SettingsError, match=right):
        load_settings(tmp_path, {name: "5"})


def test_all_problems_at_once(tmp_path: Path) -> None:
    """One run names every mistake, in the file and in the environment."""
    root = write(tmp_path, "[web]\nport = 'soon'\nprot = 1\n[databse]\nurl = ''\n")

    with pytest.raises(SettingsError) as caught:
        load_settings(root, environ={"BACKOFFICE_LISTING__PAGE": "10"})

    said = str(caught.value)
    assert "settings.toml: web.port is 'soon'; it should be a valid integer" in said
    assert "settings.toml: web.prot is not a setting." in said
    assert "databse" in said
    assert "BACKOFFICE_LISTING__PAGE" in said


def test_a_misspelt_setting_is_told_which_was_meant(tmp_path: Path) -> None:
    """A section, a setting of the file, and one of the environment; else nothing."""
    root = write(tmp_path, "[databse]\nurl = ''\n[web]\nprot = 1\nqqq = 2\n")
    environ = {"BACKOFFICE_LISTNG__PAGESIZE": "10", "BACKOFFICE_WEB__QQQ": "1"}

    with pytest.raises(SettingsError) as caught:
        load_settings(root, environ=environ)

    assert set(str(caught.value).splitlines()) == {
        (
            "BACKOFFICE_LISTNG__PAGESIZE is set in the environment and is not a "
            "setting. Did you mean BACKOFFICE_LISTING__PAGE_SIZE?"
        ),
        "BACKOFFICE_WEB__QQQ is set in the environment and is not a setting.",
        "settings.toml: databse is not a setting. Did you mean database?",
        "settings.toml: web.prot is not a setting. Did you mean web.port?",
        "settings.toml: web.qqq is not a setting.",
    }


def test_mistake_in_the_environment_names_the_variable(tmp_path: Path) -> None:
    """Whoever set the variable finds it by its name."""
    with pytest.raises(SettingsError, match=r"BACKOFFICE_WEB__PORT: web\.port is"):
        load_settings(tmp_path, environ={"BACKOFFICE_WEB__PORT": "0"})


def test_secrets_are_not_repeated(tmp_path: Path) -> None:
    """A mistake in a secret does not show it."""
    root = write(tmp_path, "[web]\nsecret_key = ['hushhush']\n")

    with pytest.raises(SettingsError) as caught:
        load_settings(root, environ={})

    assert "web.secret_key" in str(caught.value)
    assert "hushhush" not in str(caught.value)


def test_secrets_are_not_shown() -> None:
    """What a log prints of the settings holds no secret."""
    environ = {"BACKOFFICE_DATABASE__URL": "postgresql://a:hushhush@b/c"}

    assert "hushhush" not in repr(load_settings(FILE.parent, environ=environ))


def test_file_that_is_no_toml(tmp_path: Path) -> None:
    """A file that cannot be read is named, with the line."""
    root = write(tmp_path, "[web\n")

    with pytest.raises(SettingsError, match=r"settings\.toml cannot be read: .*line 1"):
        load_settings(root, environ={})


def test_file_with_a_byte_order_mark(tmp_path: Path) -> None:
    """A file that an editor has marked as UTF-8 is read as without the mark."""
    text = b"\xef\xbb\xbf[web]\nport = 9000\n"
    (tmp_path / "settings.toml").write_bytes(text)

    assert load_settings(tmp_path, environ={}).web.port == 9000


def test_file_that_is_no_text(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are told by their line, in words."""
    (tmp_path / "settings.toml").write_bytes(b"[app]\ntitle = '\xe9cole'\n")

    with pytest.raises(SettingsError) as caught:
        load_settings(tmp_path, environ={})

    said = str(caught.value)
    assert said == "settings.toml cannot be read: it is not in UTF-8 (at line 2)."


def test_directory_in_place_of_the_file(tmp_path: Path) -> None:
    """What the system refuses to read is said with its path and reason alone."""
    (tmp_path / "settings.toml").mkdir()

    with pytest.raises(SettingsError) as caught:
        load_settings(tmp_path, environ={})

    path = tmp_path / "settings.toml"
    assert str(caught.value) == f"{path} cannot be read: Is a directory."


@pytest.mark.parametrize("value", ["yes", "1", "true", "on"])
def test_switches(tmp_path: Path, value: str) -> None:
    """A switch takes the usual words."""
    environ = {"BACKOFFICE_WEB__HTTPS_ONLY": value}

    assert load_settings(tmp_path, environ=environ).web.https_only

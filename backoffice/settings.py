"""Every setting: its kind, its default, and where it was given.

`settings.toml` in the project's directory comes first; the environment wins over
it: `BACKOFFICE_<SECTION>__<NAME>`, for example `BACKOFFICE_WEB__PORT=8001`.
"""

import os
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from backoffice.errors import SettingsError

PREFIX = "BACKOFFICE_"
DELIMITER = "__"


class Section(BaseModel):
    """One table of `settings.toml`; a name it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AppSettings(Section):
    """Which project is served, and what it is called."""

    title: str = Field("Backoffice", description="The name at the top of every page.")
    models: str = Field(
        "models", description="Module whose import makes all tables known."
    )
    admin: str = Field(
        "models.admin", description="Module (or package) with the views."
    )
    seeding: str = Field(
        "", description="Module that fills the tables for `manage.py seed`."
    )
    migrations: str = Field(
        "migrations",
        description="Directory of the project's own Alembic revisions; empty for none.",
    )


class DatabaseSettings(Section):
    """Where the data is, and how connections to it behave."""

    url: SecretStr = Field(
        SecretStr(""),
        description="SQLAlchemy URL of PostgreSQL 14-18 or SQLite; "
        "empty starts the embedded PostgreSQL in var/postgres.",
    )
    pool: Literal["queue", "null"] = Field(
        "queue", description="queue keeps connections open, null opens one per use."
    )
    pool_size: int = Field(5, ge=1, le=1000, description="Connections kept open.")
    max_overflow: int = Field(
        5, ge=0, le=1000, description="Further connections opened when all are in use."
    )
    pool_timeout: float = Field(
        5, gt=0, le=600, description="Seconds to wait for a connection."
    )
    pool_recycle: int = Field(
        1800,
        ge=-1,
        description="Seconds after which a connection is renewed; -1 never.",
    )
    pool_pre_ping: bool = Field(
        default=True, description="Test a connection before it is used."
    )
    echo: bool = Field(default=False, description="Log every statement.")
    echo_pool: bool = Field(default=False, description="Log every pool event.")
    statement_timeout: float = Field(
        5, ge=0, description="Seconds a statement of a page may take; 0 is no limit."
    )
    lock_timeout: float = Field(
        3, ge=0, description="Seconds a statement of a page may wait for a lock."
    )
    idle_in_transaction_timeout: float = Field(
        30, ge=0, description="Seconds a transaction may stand idle before it is ended."
    )
    export_timeout: float = Field(
        600, ge=0, description="Seconds the statement of an export may take."
    )
    command_timeout: float = Field(
        0, ge=0, description="Seconds a statement of a command may take; 0 is no limit."
    )
    migration_lock_timeout: float = Field(
        5, ge=0, description="Seconds a statement of a migration may wait for a lock."
    )


class WebSettings(Section):
    """How the site is served."""

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=1, le=65535, description="Port to listen on.")
    processes: int = Field(1, ge=1, le=64, description="Server processes.")
    secret_key: SecretStr = Field(
        SecretStr(""),
        description="Signs cookies, forms and page links; "
        "empty makes one and keeps it in var/secret_key.",
    )
    session_hours: float = Field(
        12, gt=0, le=24 * 90, description="Hours after which one has to log in again."
    )
    https_only: bool = Field(
        default=False, description="Send cookies over HTTPS only; set it in production."
    )
    public_origin: str = Field(
        "",
        description="The address people type, as https://office.example.org, "
        "where a proxy stands in front.",
    )
    allowed_hosts: list[str] = Field(
        default=["*"], description="Host names that are answered."
    )
    max_request_megabytes: float = Field(
        10, gt=0, le=10_000, description="Megabytes that a request may carry."
    )


class ListingSettings(Section):
    """How lists count and page."""

    exact_count_limit: int = Field(
        10_000, ge=100, description="Up to here rows are counted, beyond estimated."
    )
    page_size: int = Field(50, ge=1, le=500, description="Rows on a page.")
    exports_at_once: int = Field(
        2, ge=1, le=16, description="Exports that one server process runs at a time."
    )
    csv_byte_order_mark: bool = Field(
        default=True,
        description="Begin CSV files with the mark by which Excel knows UTF-8.",
    )


class ObservabilitySettings(Section):
    """What is remembered of statements and connections, and for how long."""

    slow_ms: float = Field(
        200, ge=0, description="From here a statement is in the slow log, milliseconds."
    )
    slow_factor: float = Field(
        5,
        ge=1,
        description="So many times its own usual time makes a statement slow, too.",
    )
    keep_days: int = Field(
        14, ge=1, le=400, description="Days the slow log and the history are kept."
    )
    fingerprints: int = Field(
        1000, ge=50, le=20_000, description="Different statements kept in memory."
    )
    keep_values_minutes: float = Field(
        15,
        ge=0,
        le=15,
        description="Minutes that values of statements stay in memory; 0 keeps none.",
    )
    measure_writes: bool = Field(
        default=False,
        description="Administrators may run statements that write to measure them; "
        "they are rolled back.",
    )
    flush_seconds: float = Field(
        10, ge=0.1, le=600, description="Seconds between two writes of the slow log."
    )
    snapshot_seconds: float = Field(
        2,
        ge=0.1,
        le=60,
        description="Seconds between two snapshots for other processes.",
    )
    sampled_reads: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Share of pages of which PostgreSQL is asked what it read for them "
        "(1 ms each); 0 asks never.",
    )
    metrics_directory: str = Field(
        "var/metrics",
        description="Directory in which the processes of one machine meet; each "
        "database has a place in it.",
    )
    metrics_token: SecretStr = Field(
        SecretStr(""), description="Opens /metrics and the details of /healthz."
    )
    metrics_allow: list[str] = Field(
        default=[], description="Addresses that may read /metrics besides this machine."
    )


class BulkSettings(Section):
    """How actions on many rows are tried and run."""

    at_once: int = Field(
        1000, ge=1, le=100_000, description="Up to so many rows run in one transaction."
    )
    tried_rows: int = Field(
        10_000, ge=1, le=1_000_000, description="Rows on which an update is tried out."
    )
    tried_seconds: float = Field(
        2, gt=0, le=60, description="Seconds that trying an action out may take."
    )
    keep_days: int = Field(
        30,
        ge=1,
        le=4000,
        description="Days after its end that a run's list of rows is kept.",
    )


class Settings(Section):
    """All sections together."""

    app: AppSettings = AppSettings()
    database: DatabaseSettings = DatabaseSettings()
    web: WebSettings = WebSettings()
    listing: ListingSettings = ListingSettings()
    bulk: BulkSettings = BulkSettings()
    observability: ObservabilitySettings = ObservabilitySettings()


def load_settings(root: Path, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of the project in `root`.

    Raises:
        SettingsError: naming every problem at once, never a secret's value.
    """
    environ = os.environ if environ is None else environ
    path = root / "settings.toml"
    values = read_toml(path)
    origin: dict[tuple[str, str], str] = {}
    problems = overlay_environment(values, environ, origin)
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        problems.extend(_sentence(path, origin, found) for found in error.errors())
        settings = None
    if problems or settings is None:
        raise SettingsError("\n".join(problems))
    return settings


def read_toml(path: Path) -> dict[str, Any]:
    """What the file says; nothing where there is no file."""
    try:
        # Some editors begin a file with a mark that says it is UTF-8.
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise SettingsError(
            f"{path.name} cannot be read: it is not in UTF-8 (at line {line})."
        ) from error
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}.") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path.name} cannot be read: {error}.") from error


def overlay_environment(
    values: dict[str, Any],
    environ: Mapping[str, str],
    origin: dict[tuple[str, str], str],
) -> list[str]:
    """Put the environment's settings over the file's; problems as sentences."""
    problems: list[str] = []
    sections = Settings.model_fields
    for name in sorted(environ):
        if not name.startswith(PREFIX):
            continue
        if DELIMITER not in name:
            problems.extend(_misspelt(name))
            continue
        section, _, key = name.removeprefix(PREFIX).lower().partition(DELIMITER)
        if section not in sections or key not in field_names(section):
            meant = meant_setting(section, key)
            right = f"{PREFIX}{meant.replace('.', DELIMITER).upper()}" if meant else ""
            problems.append(
                f"{name} is set in the environment and is not a setting."
                + (f" Did you mean {right}?" if right else "")
            )
            continue
        table = values.setdefault(section, {})
        if not isinstance(table, dict):
            continue  # the file's own mistake is reported by the validation
        raw: Any = environ[name]
        annotation = section_model(section).model_fields[key].annotation
        if annotation == list[str]:
            raw = [part.strip() for part in raw.split(",") if part.strip()]
        table[key] = raw
        origin[section, key] = name
    return problems


def _misspelt(name: str) -> Iterator[str]:
    """What is wrong with a name of one underscore, if it is meant for a section."""
    section, _, key = name.removeprefix(PREFIX).lower().partition("_")
    if section not in Settings.model_fields:
        return  # for something else: the superuser's e-mail, the tests' server
    right = f"{PREFIX}{section.upper()}{DELIMITER}"
    if key in field_names(section):
        yield f"{name} is set in the environment; {right}{key.upper()} is the setting."
    else:
        known = f"{right}{next(iter(field_names(section))).upper()}"
        yield (
            f"{name} is set in the environment and is not a setting; "
            f"a setting of {section} reads like {known}."
        )


def meant_setting(section: str, key: str) -> str:
    """The section, or the section and setting, that is spelt most like this; or ""."""
    sections = list(Settings.model_fields)
    near = [section] if section in sections else get_close_matches(section, sections, 1)
    if not near or not key:
        return near[0] if near else ""
    found = get_close_matches(key, sorted(field_names(near[0])), 1)
    return f"{near[0]}.{found[0]}" if found else ""


def section_model(section: str) -> type[Section]:
    """The class behind a section's name."""
    model = Settings.model_fields[section].annotation
    assert isinstance(model, type)  # noqa: S101 - every section is declared as a class
    assert issubclass(model, Section)  # noqa: S101
    return model


def field_names(section: str) -> set[str]:
    """The settings of a section."""
    return set(section_model(section).model_fields)


def is_secret(section: str, name: str) -> bool:
    """Whether a setting's value may not be shown."""
    return section_model(section).model_fields[name].annotation is SecretStr


def _sentence(
    path: Path, origin: Mapping[tuple[str, str], str], found: Mapping[str, Any]
) -> str:
    """One validation error as `settings.toml: web.port is 'x', …`."""
    location = [str(part) for part in found["loc"]]
    name = ".".join(location)
    section, key = (*location, "")[:2]
    where = origin.get((section, key), path.name)
    if found["type"] == "extra_forbidden":
        meant = meant_setting(section, key)
        hint = f" Did you mean {meant}?" if meant else ""
        return f"{where}: {name} is not a setting.{hint}"
    message = str(found["msg"]).replace("Input should be", "it should be")
    if section in Settings.model_fields and key in field_names(section):
        if is_secret(section, key):
            return f"{where}: {name} cannot be used: {message}."
        return f"{where}: {name} is {found['input']!r}; {message}."
    return f"{where}: {name} cannot be used: {message}."

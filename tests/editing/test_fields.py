"""A form's fields come from the columns and their rules."""

from backoffice.editing.fields import FieldKind, FormField, form_fields, form_keys
from tests.editing.office import Branch, Worker


def fields(*keys: str) -> dict[str, FormField]:
    """The fields of a worker's form by key."""
    found = form_fields(Worker.__mapper__, keys or None, "postgresql")
    return {field.key: field for field in found}


def test_reference_is_one_field_in_the_place_of_its_column() -> None:
    """The relationship is asked for, not its column; children and secrets are not."""
    assert form_keys(Worker.__mapper__) == (
        *("code", "name", "nickname", "level", "balance", "notes", "extra", "state"),
        *("started_at", "bonus", "double_level", "tally", "biography", "meta"),
        *("branch", "manager"),
    )


def test_reference_knows_its_target() -> None:
    """A reference is required where its column is."""
    found = fields("branch", "manager")

    assert found["branch"].kind is FieldKind.REFERENCE
    assert found["branch"].target is Branch
    assert found["branch"].required
    assert not found["manager"].required
    assert found["manager"].label == "Manager"


def test_check_constraint_gives_the_range() -> None:
    """BETWEEN is a least and a most."""
    level = fields("level")["level"]

    assert (level.minimum, level.maximum, level.step) == ("0", "10", "1")
    assert level.kind is FieldKind.INTEGER


def test_type_gives_length_and_step() -> None:
    """VARCHAR(10) has ten characters, NUMERIC(10, 2) two decimals."""
    found = fields("code", "balance")

    assert found["code"].max_length == 10
    assert (found["balance"].step, found["balance"].minimum) == ("0.01", "0")


def test_required_is_what_nobody_fills_in() -> None:
    """A default may be left empty, and so may a text that no check asks for."""
    found = fields("name", "code", "level", "bonus", "nickname")

    assert {key: f.required for key, f in found.items()} == {
        "name": True,
        "code": False,
        "level": False,
        "bonus": False,
        "nickname": False,
    }


def test_read_only_says_why() -> None:
    """What the database keeps is shown with its reason."""
    found = fields("id", "double_level", "tally", "name")

    assert found["id"].read_only == "Given by the database."
    assert found["double_level"].read_only == "Computed by the database."
    assert found["tally"].read_only == "Counted elsewhere."
    assert found["name"].read_only == ""


def test_enum_is_a_choice() -> None:
    """The stored words are offered, in readable letters."""
    state = fields("state")["state"]

    assert state.kind is FieldKind.CHOICE
    assert state.choices == (("ACTIVE", "Active"), ("AWAY", "Away"))


def test_kinds_follow_the_types() -> None:
    """Each type has its control."""
    found = fields("notes", "extra", "started_at", "balance", "name", "biography")

    assert {key: f.kind for key, f in found.items()} == {
        "notes": FieldKind.LONG_TEXT,
        "extra": FieldKind.JSON,
        "started_at": FieldKind.DATETIME,
        "balance": FieldKind.DECIMAL,
        "name": FieldKind.TEXT,
        "biography": FieldKind.LONG_TEXT,
    }
    assert found["started_at"].has_zone


def test_labels_of_the_view_win() -> None:
    """A view may call a field as it likes."""
    (field,) = form_fields(Worker.__mapper__, ["name"], "", {"name": "Who"})

    assert field.label == "Who"


def test_unknown_key_is_shown_and_never_asked_for() -> None:
    """A property that is no column is read-only."""
    (field,) = form_fields(Worker.__mapper__, ["shout"])

    assert field.read_only == "Worked out from other fields."

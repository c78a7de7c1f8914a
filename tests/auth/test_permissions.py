"""Tests of who may do what."""

import pytest

from backoffice.auth.permissions import Role, may, roles_that_may

READS = ("list", "details", "export", "history", "lookup")
WRITES = ("create", "edit", "delete", "import", "actions", "action:deactivate")
OPERATIONS = ("ops:view", "ops:cancel")


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("action", READS)
def test_everybody_reads(role: Role, action: str) -> None:
    """Each role may read and export ordinary records."""
    assert may(role, action, "student")


@pytest.mark.parametrize("action", WRITES)
def test_editors_and_admins_write(action: str) -> None:
    """Changing ordinary records is for editors and administrators alone."""
    assert roles_that_may(action, "student") == (Role.ADMIN, Role.EDITOR)


@pytest.mark.parametrize("action", OPERATIONS)
def test_ops_and_admins_see_operations(action: str) -> None:
    """The pages about the database are for ops and administrators alone."""
    assert roles_that_may(action) == (Role.ADMIN, Role.OPS)


@pytest.mark.parametrize(
    "action",
    [
        "ops:analyze",
        "ops:analyze_writes",
        "ops:see_values",
        "ops:terminate",
        "ops:reset",
    ],
)
def test_running_and_ending_things_is_for_admins(action: str) -> None:
    """Ops look and cancel; what runs, ends or shows more is for administrators."""
    assert roles_that_may(action) == (Role.ADMIN,)


@pytest.mark.parametrize("identity", ["account", "session"])
@pytest.mark.parametrize("action", [*READS, *WRITES])
def test_accounts_are_for_admins(identity: str, action: str) -> None:
    """Nobody but an administrator reads or writes accounts and sessions."""
    assert roles_that_may(action, identity) == (Role.ADMIN,)


@pytest.mark.parametrize("action", READS)
def test_the_audit_is_read_by_admins_and_ops(action: str) -> None:
    """The audit tells about people: viewers and editors do not see all of it."""
    assert roles_that_may(action, "audit") == (Role.ADMIN, Role.OPS)


@pytest.mark.parametrize("action", WRITES)
def test_the_audit_is_written_by_nobody(action: str) -> None:
    """Not even an administrator may change what has happened."""
    assert roles_that_may(action, "audit") == ()


@pytest.mark.parametrize("action", ["", "drop", "action:", "ops:", "ops:all", "LIST"])
def test_what_is_not_known_is_not_allowed(action: str) -> None:
    """An action without a rule is refused to every role."""
    assert roles_that_may(action, "student") == ()


def test_an_unknown_role_may_nothing() -> None:
    """A role that the code does not know has no rights, whatever the table says."""
    assert not may("superuser", "list", "student")

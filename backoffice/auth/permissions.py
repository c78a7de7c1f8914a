"""Who may do what? Four roles, and what each of them may do where."""

from enum import StrEnum


class Role(StrEnum):
    """What a person is in this office."""

    ADMIN = "admin"
    OPS = "ops"
    EDITOR = "editor"
    VIEWER = "viewer"


ROLE_WORDS = {
    Role.ADMIN: "reads and writes everything, sees the metrics, and manages accounts",
    Role.OPS: "reads everything, and sees the metrics",
    Role.EDITOR: "reads and writes",
    Role.VIEWER: "reads",
}

READ = frozenset({"list", "details", "export", "history", "lookup"})
WRITE = frozenset({"create", "edit", "delete", "import"})
OPS = frozenset({"ops:view", "ops:cancel", "ops:explain"})
# Values that people typed, running what is explained, the end of a session, and the
# counters' own end.
ADMIN_OPS = frozenset(
    {
        "ops:see_values",
        "ops:terminate",
        "ops:reset",
        "ops:analyze",
        # Nobody has it where the setting observability.measure_writes is off.
        "ops:analyze_writes",
    }
)
# An action of a view is `action:<its name>`; `actions` is any of them.
ACTIONS, ACTION_PREFIX = "actions", "action:"

# Identities of our own views. Accounts are for administrators alone; the audit is
# read, and written by what it tells of; so is the slow log.
ACCOUNT_VIEWS = frozenset({"account", "session", "login-session", "login-attempt"})
AUDIT_VIEWS = frozenset({"audit", "audit-entry", "slow-log"})


def may(role: str, action: str, identity: str = "") -> bool:
    """Whether `role` may do `action` in the view called `identity`.

    What is not known, a role as an action, is not allowed to anybody.
    """
    is_read, is_write = action in READ, action in WRITE or _is_action(action)
    if role not in set(Role) or not is_known(action):
        return False
    if action in OPS or action in ADMIN_OPS:
        return role == Role.ADMIN or (role == Role.OPS and action in OPS)
    if identity in AUDIT_VIEWS:
        return is_read and role in {Role.ADMIN, Role.OPS}
    if identity in ACCOUNT_VIEWS or role == Role.ADMIN:
        return role == Role.ADMIN
    if is_write:
        return role == Role.EDITOR
    return is_read


def is_known(action: str) -> bool:
    """Whether there is such a permission at all."""
    return action in READ | WRITE | OPS | ADMIN_OPS or _is_action(action)


def roles_that_may(action: str, identity: str = "") -> tuple[Role, ...]:
    """Every role that may do this, for the sentence that refuses it to another."""
    return tuple(role for role in Role if may(role, action, identity))


def _is_action(action: str) -> bool:
    return action == ACTIONS or (
        action.startswith(ACTION_PREFIX) and len(action) > len(ACTION_PREFIX)
    )

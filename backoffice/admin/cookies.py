"""What the browser keeps for us, and under which names."""

SESSION_COOKIE = "backoffice_session"
MESSAGE_COOKIE = "backoffice_message"
THEME_COOKIE = "backoffice_theme"
# A random id before there is a session: forms of the login page belong to it.
VISITOR_COOKIE = "backoffice_visitor"
# For ten minutes the ops pages can be read with it while no session can be.
OPS_COOKIE = "backoffice_ops"

"""Where does a migration go to, and how long does it wait, unless it is told?"""

HEADS = "heads"
ZERO = "zero"
PROJECT_ZERO = "project@zero"

# How long a migration's statement waits for a table that others use. They wait behind
# it all that time, so it is short; nothing is lost when it runs out.
LOCK_TIMEOUT = 5.0
# How long a migration waits for another one to end.
WAIT = 600.0

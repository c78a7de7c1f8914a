"""What are the fields of a form called that are ours, and no column's of a model?

Each has a colon, which no attribute of a mapped class has: a model may have columns
called `csrf`, `state` or `then`, and its form says both. Templates know them as `own`.
"""

# The token that says that the form was made here, for this session.
TOKEN = ":csrf"  # noqa: S105 - the name of a field
# What the form had shown, signed.
STATE = ":state"
# Where to go after saving.
THEN = ":then"
# What a button, or a step of an action, does.
DO = ":do"
# The fields that an action is to set.
SET = ":set"
# The form of a merge holds only what somebody changed.
MERGE = ":merge"

# Behind the name of a reference: the key that was picked, and the text it was for.
KEY, FOR = ":key", ":for"

# Before the name of a field that two people have changed: what is chosen, what was
# typed, and what is written together.
CHOOSE, MINE, WRITTEN = "choose:", "mine:", "written:"

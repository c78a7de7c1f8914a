"""How is kept what a stranger says of himself: cut, and fit for tables and logs?"""


def printable(text: str, length: int) -> str:
    """At most `length` characters; what a database or a log refuses becomes "?"."""
    return "".join(c if c.isprintable() else "?" for c in text[:length])

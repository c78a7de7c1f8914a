"""Which statement is it, in a line: what it does, to which tables, and by what.

"SELECT students, schools rows ORDER BY id" tells two lists apart, and the rows of a
page from their number and from the choices of its filters.
"""

import re

LONGEST = 96
TABLES, COLUMNS = 3, 3

_COMMENT = re.compile(r"/\*.*?\*/\s*", re.DOTALL)
_WORD = re.compile(r"[A-Za-z]+")
_CTE = re.compile(r"(?:\bWITH(?: RECURSIVE)?|,)\s+(\w+)\s*(?:\([^()]*\)\s*)?AS\b")
# A name with a parenthesis behind it is a function, but where rows go into it.
_RELATION = re.compile(
    r"\b(?:(?:FROM|JOIN|UPDATE|TABLE|USING)\s+(?:ONLY\s+)?(?P<read>{name})(?!\w|\s*\()"
    r"|(?:INTO|COPY)\s+(?P<into>{name}))".replace(
        "{name}", r"(?:\"?\w+\"?\.)*\"?\w+\"?"
    ),
    re.IGNORECASE,
)
_MAIN = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|MERGE|VALUES)\b", re.IGNORECASE)
_FUNCTION = re.compile(r"\b([a-z_]\w*)\(")
_PAGE = re.compile(r"\(SELECT (.*)\) AS page\b", re.DOTALL)
_END = re.compile(
    r"\b(?:ORDER BY|GROUP BY|HAVING|LIMIT|OFFSET|RETURNING|FOR|UNION|ON CONFLICT|"
    r"WHERE)\b"
)
_COLUMN = re.compile(
    r"(?:\b([a-z_]\w*)\(\s*)?(?:\b[a-z_]\w*\.)+\"?([a-z_]\w*)\"?(?!\w|\s*[(.])"
    r"|\b([a-z_]\w*)\s*(?:=|<|>|!=|@@|~|\bIN\b|\bIS\b|\bI?LIKE\b|\bBETWEEN\b)"
)
_SET = re.compile(r"\bSET\b(.*?)(?=\bWHERE\b|\bRETURNING\b|\bFROM\b|$)", re.DOTALL)
_ASSIGNED = re.compile(r"(?:^|,)\s*\"?(\w+)\"?\s*=")
# What a careless reading takes for a table.
KEYWORDS = frozenset(
    [
        "as",
        "by",
        "conflict",
        "cross",
        "current",
        "default",
        "do",
        "for",
        "from",
        "full",
        "group",
        "having",
        "in",
        "inner",
        "into",
        "is",
        "join",
        "lateral",
        "left",
        "like",
        "limit",
        "locked",
        "natural",
        "not",
        "nothing",
        "nowait",
        "null",
        "of",
        "offset",
        "on",
        "only",
        "or",
        "order",
        "outer",
        "returning",
        "right",
        "select",
        "set",
        "skip",
        "table",
        "temp",
        "temporary",
        "union",
        "unnest",
        "update",
        "using",
        "values",
        "when",
        "where",
        "with",
    ]
)


def brief(text: str, operation: str = "", table: str = "") -> str:
    """The statement in a line."""
    plain = _COMMENT.sub("", text).strip()
    names = (
        frozenset(_CTE.findall(plain)) if plain[:4].upper() == "WITH" else frozenset()
    )
    verb = _verb(plain, operation)
    if not verb:
        return _cut(plain) or "no statement"
    tables = tables_in(plain, names)
    if table and table.lower() not in KEYWORDS:
        tables = [table, *(one for one in tables if one != table)]
    words = [verb]
    if tables:
        more = f" +{len(tables) - TABLES}" if len(tables) > TABLES else ""
        words.append(", ".join(tables[:TABLES]) + more)
    elif verb == "SELECT":
        called = list(dict.fromkeys(_FUNCTION.findall(plain)))[:TABLES]
        words.append(", ".join(f"{one}(…)" for one in called))
    else:
        rest = plain[len(verb) :].strip()
        words.append(rest if verb not in {"COMMIT", "CONNECT"} else "")
    if verb in {"SELECT", "WITH"} and tables:
        words.extend([_part(plain), *_narrowed(plain, orders=True)])
    elif verb == "UPDATE":
        words.extend([_assigned(plain), *_narrowed(plain)])
    elif verb == "DELETE":
        words.extend(_narrowed(plain))
    elif verb == "INSERT" and "ON CONFLICT" in plain:
        does = "DO NOTHING" if "DO NOTHING" in plain else "DO UPDATE"
        words.append(f"ON CONFLICT {does}")
    return _cut(" ".join(filter(None, words)))


def tables_in(plain: str, names: frozenset[str] = frozenset()) -> list[str]:
    """The tables that a text names, each once; the catalogue's where it is alone."""
    found: dict[str, None] = {}
    for match in _RELATION.finditer(plain):
        name = (match["read"] or match["into"]).replace('"', "").rpartition(".")[2]
        if name.lower() in KEYWORDS or name in names:
            continue
        if re.fullmatch(r"(?:anon|values)_\d+|page|matching", name):
            continue
        found[name] = None
    own = [name for name in found if not name.startswith("pg_")]
    return own or list(found)


def _verb(plain: str, operation: str) -> str:
    first = _WORD.match(plain)
    verb = operation or (first.group().upper() if first else "")
    if verb != "WITH":
        return verb
    depth = 0
    for at, letter in enumerate(plain):
        depth += (letter == "(") - (letter == ")")
        if depth == 0 and letter in "SIUDMV":
            found = _MAIN.match(plain, at)
            if found is not None:
                return found.group().upper()
    return "SELECT"


def _part(plain: str) -> str:
    """Which part of a page a SELECT is for, as far as its own shape tells."""
    if " AS path," in plain:
        number, choices = "count(" in plain, "UNION ALL" in plain
        return " and ".join(
            word
            for word, is_there in (("count", number), ("choices", choices))
            if is_there
        )
    head = plain[:200]
    if re.match(r"SELECT count\(", head, re.IGNORECASE):
        return "count"
    if re.match(r"SELECT \(?EXISTS", head, re.IGNORECASE):
        return "exists"
    if re.match(r"SELECT DISTINCT", head, re.IGNORECASE):
        return "choices"
    called = [one for one in _FUNCTION.findall(plain.partition(" FROM ")[0]) if one]
    if called and not _PAGE.search(plain):
        return ", ".join(f"{one}(…)" for one in dict.fromkeys(called[:2]))
    return "rows" if _PAGE.search(plain) else ""


def _narrowed(plain: str, *, orders: bool = False) -> list[str]:
    """By what columns rows are found, and in what order they come."""
    if " AS path," in plain:
        plain = plain.partition(" AS path,")[0] if plain[:4] == "WITH" else ""
    page = _PAGE.search(plain)
    inner = page[1] if page is not None else plain
    words = []
    for where in re.finditer(r"\bWHERE\b", inner):
        end = _END.search(inner, where.end())
        columns = _columns(inner[where.end() : end.start() if end else len(inner)])
        if columns:
            words.append(f"WHERE {columns}")
            break
    order = inner.rfind("ORDER BY") if orders else -1
    if order >= 0:
        end = re.compile(r"\b(?:LIMIT|FOR|OFFSET|UNION)\b|\)").search(inner, order)
        columns = _columns(inner[order + 8 : end.start() if end else len(inner)])
        if columns:
            words.append(f"ORDER BY {columns}")
    return words


def _columns(clause: str) -> str:
    found: dict[str, None] = {}
    for match in _COLUMN.finditer(clause):
        called, qualified, bare = match.groups()
        name = qualified or bare
        if not name or name in KEYWORDS or name in {"and", "or", "step", "value"}:
            continue
        found[f"{called}({name})" if called else name] = None
    names = list(found)
    more = ", …" if len(names) > COLUMNS else ""
    return ", ".join(names[:COLUMNS]) + more


def _assigned(plain: str) -> str:
    found = _SET.search(plain)
    names = _ASSIGNED.findall(found[1]) if found else []
    more = ", …" if len(names) > COLUMNS else ""
    return f"SET {', '.join(names[:COLUMNS])}{more}" if names else ""


def _cut(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= LONGEST else plain[: LONGEST - 1].rstrip() + "…"

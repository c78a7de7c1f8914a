"""How is a password kept, checked, and judged? argon2id, and rules that say why.

Hashing takes tens of milliseconds and 32 MiB on purpose: no connection should be held
meanwhile, and only a few threads should do it at once.
"""

import unicodedata
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from argon2.low_level import Type

MINIMUM_LENGTH = 10
MAXIMUM_LENGTH = 1_000  # beyond, hashing itself would become the attack
MINIMUM_DISTINCT = 5
# A part of a name shorter than this says nothing about the password.
TELLING_LENGTH = 4

# More memory than OWASP's least (19 MiB, two passes, one lane): a guess costs 85 ms.
HASHER = PasswordHasher(time_cost=3, memory_cost=32_768, parallelism=1, type=Type.ID)

# Of the passwords most often found in leaks those that pass the length rule, and the
# stems that people lengthen with digits to pass it.
COMMON = frozenset(
    """
    1234567890 12345678910 123456789a 0123456789 9876543210 0987654321 1q2w3e4r5t
    1q2w3e4r5t6y 1qaz2wsx3edc qwertyuiop qwerty123456 qwertyuiop123 asdfghjkl
    asdfghjkl1 asdfghjkl123 zxcvbnm123 qazwsxedcrfv qazwsxedc q1w2e3r4t5 q1w2e3r4t5y6
    a1b2c3d4e5 abcdefghij abcdefghijk abcdefgh12 abcd123456 abc123456789 aa12345678
    a123456789 password12 password123 password1234 password12345 passw0rd123
    p@ssw0rd123 p@ssword123 passwordpassword mypassword mypassword1 newpassword
    changeme123 changemenow letmein123 letmein1234 welcome123 welcome1234 welcome2024
    welcome2025 welcome2026 iloveyou12 iloveyou123 iloveyouso iloveyou1234
    administrator administrator1 adminadmin adminadmin1 admin12345 admin123456
    administrat0r superadmin superuser1 rootroot123 superman123 batman12345
    spiderman123 pokemon123 dragon12345 monkey12345 football123 football12 baseball123
    basketball basketball1 liverpool123 liverpool1 manchester chelsea12345 barcelona1
    realmadrid1 juventus123 cristiano7 michael123 michelle123 jennifer123 jonathan123
    christopher christina1 elizabeth1 alexander1 sunshine123 princess123 princess12
    butterfly1 strawberry chocolate1 cheesecake computer123 internet123 microsoft1
    samsung123 starwars123 whatever123 trustno1234 correcthorse
    correcthorsebatterystaple secret12345 secretsecret topsecret1 summer2024
    summer2025 summer2026 winter2024 winter2025 winter2026 spring2025 autumn2025
    january2025 december2025 backoffice backoffice1 backoffice123
    """.split()  # noqa: SIM905 - a list of this length is read as a text
)
STEMS = ("password", "passw0rd", "qwerty", "welcome", "iloveyou", "letmein", "admin")


def hash_password(password: str) -> str:
    """The argon2id hash to keep, with its parameters and a salt of its own."""
    return HASHER.hash(_normal(password))


def verify_password(password_hash: str | None, password: str) -> bool:
    """Whether this is the password; takes the same time where there is no account."""
    given = _normal(password)
    if len(given) > MAXIMUM_LENGTH:
        given, password_hash = "", None
    try:
        HASHER.verify(password_hash or _nobodys_hash(), given)
    except (Argon2Error, InvalidHashError):
        return False
    return bool(password_hash)


def needs_rehash(password_hash: str) -> bool:
    """Whether the hash was made with other parameters than today's."""
    return HASHER.check_needs_rehash(password_hash)


def password_problems(password: str, *, email: str = "", name: str = "") -> list[str]:
    """What is wrong with a new password, a sentence each; empty when it may be used."""
    given = _normal(password)
    if len(given) < MINIMUM_LENGTH:
        return [
            f"The password has {len(given)} characters; {MINIMUM_LENGTH} are the least."
        ]
    if len(given) > MAXIMUM_LENGTH:
        return [f"The password has more than {MAXIMUM_LENGTH:,} characters."]
    problems = []
    folded = given.casefold()
    if _is_common(folded):
        problems.append(
            "This is one of the most used passwords; three or four words that do not "
            "belong together are better."
        )
    elif len(set(folded)) < MINIMUM_DISTINCT:
        problems.append(
            f"The password repeats a few characters; it needs at least "
            f"{MINIMUM_DISTINCT} different ones."
        )
    if _is_built_on(folded, _parts(email)):
        problems.append("The password is made from the e-mail address.")
    elif _is_built_on(folded, _parts(name)):
        problems.append("The password is made from the name.")
    return problems


def _is_common(folded: str) -> bool:
    """A known password, or a known stem with nothing but digits and signs around."""
    if folded in COMMON:
        return True
    letters = "".join(c for c in folded if c.isalpha())
    return folded.isdecimal() or any(
        letters == stem or folded.replace(stem, "").strip("0123456789!.?#*@$ -_") == ""
        for stem in STEMS
        if stem in folded
    )


def _is_built_on(folded: str, parts: set[str]) -> bool:
    """Whether without these parts too little would be left to guess."""
    rest = folded
    for part in sorted(parts, key=len, reverse=True):
        rest = rest.replace(part, "")
    return rest != folded and len(rest) < MINIMUM_LENGTH // 2


def _parts(text: str) -> set[str]:
    """The whole text and its words, where they are long enough to tell something."""
    folded = _normal(text).casefold()
    words = "".join(c if c.isalnum() else " " for c in folded).split()
    joined = "".join(words)
    return {p for p in (folded, joined, *words) if len(p) >= TELLING_LENGTH}


def _normal(text: str) -> str:
    """The same text for the same keys, whatever keyboard; what is no text is marked."""
    encodable = text.encode("utf-8", "replace").decode("utf-8")
    return unicodedata.normalize("NFKC", encodable)


@cache
def _nobodys_hash() -> str:
    """A hash that no password fits, to take as long as one that could."""
    return HASHER.hash("\x00nobody")

"""Who the demo's people are: a name from some place, and an address made of it."""

import unicodedata
from dataclasses import dataclass
from functools import cache

from backoffice.seeding.chance import Chance, Scattered
from models.seeding import names

# Domains that belong to nobody: mail to them goes nowhere.
DOMAINS = ("example.org", "example.com", "example.net")
# What the decomposition of a letter does not turn into plain ones.
PLAIN = str.maketrans({"ı": "i", "ł": "l", "ø": "o", "ß": "ss", "đ": "d"})


@dataclass(frozen=True, slots=True)
class Person:
    """A name, the part of an address before the @, and a parent of theirs."""

    full_name: str
    local: str
    parent: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where names come from, and how many of twenty people are from there."""

    slots: int
    first: tuple[tuple[str, str], ...]
    middle: tuple[tuple[str, str], ...]
    last: tuple[tuple[str, str], ...]

    @property
    def people(self) -> int:
        """How many different names there are."""
        return len(self.first) * len(self.middle) * len(self.last)


class People:
    """As many people as one asks for; no two of them with the same address."""

    def __init__(self, seed: int, label: str) -> None:
        found = places()
        self._slots = [(place, rank) for place in found for rank in range(place.slots)]
        order = Scattered(seed, f"{label}/places", len(self._slots))
        self._slots = [self._slots[order[n]] for n in range(len(self._slots))]
        self._scattered = {
            id(place): Scattered(seed, f"{label}/{n}", place.people)
            for n, place in enumerate(found)
        }
        self._chance = Chance(seed, f"{label}/parents")

    def __getitem__(self, number: int) -> Person:
        turn, slot = divmod(number, len(self._slots))
        place, rank = self._slots[slot]
        round_, place_number = divmod(turn * place.slots + rank, place.people)
        index = self._scattered[id(place)][place_number]
        index, first = divmod(index, len(place.first))
        last, middle = divmod(index, len(place.middle))
        # Shifted against each other, so that no list goes through its names in turn.
        middle = (middle + 5 * last) % len(place.middle)
        first = (first + 7 * middle + 11 * last) % len(place.first)
        name, local = place.first[first]
        middle_name, middle_local = place.middle[middle]
        last_name, last_local = place.last[last]
        parent = place.first[self._chance.below(len(place.first), number)][0]
        return Person(
            f"{name}{middle_name} {last_name}",
            f"{local}{middle_local}.{last_local}{round_ + 1 if round_ else ''}",
            f"{parent} {last_name}",
        )


@cache
def places() -> tuple[Place, ...]:
    """Where the people of a school in Yogyakarta and its neighbours come from."""
    none = (("", ""),)

    def place(slots: int, first: str, last: str, middle: str = "") -> Place:
        middles = tuple((f" {n}", f".{m}") for n, m in listed(middle)) or none
        return Place(slots, listed(first), middles, listed(last))

    return (
        place(5, names.JAVANESE_FIRST, names.JAVANESE_LAST),
        place(6, names.JAVANESE_FIRST, names.JAVANESE_LAST, names.JAVANESE_MIDDLE),
        place(2, names.BATAK_FIRST, names.BATAK_LAST),
        place(1, names.BALINESE_FIRST, names.BALINESE_LAST, names.BALINESE_MIDDLE),
        place(2, names.CHINESE_FIRST, names.CHINESE_LAST),
        place(1, names.ARABIC_FIRST, names.ARABIC_LAST),
        place(1, names.INDIAN_FIRST, names.INDIAN_LAST),
        place(1, names.EUROPEAN_FIRST, names.EUROPEAN_LAST),
        place(1, names.EAST_ASIAN_FIRST, names.EAST_ASIAN_LAST),
    )


def listed(text: str) -> tuple[tuple[str, str], ...]:
    """Names as they are written, each with its plain letters for an address."""
    return tuple((written(word), plain(word)) for word in text.split())


def written(word: str) -> str:
    """`Van-den-Berg` as the family writes it; `Mei-Ling` and `Al-Attas` stay."""
    if word.startswith(("Van-", "De-", "Ni-", "Bin-")):
        return word.replace("-", " ")
    return word


def plain(word: str) -> str:
    """The letters a to z of a name."""
    parts = unicodedata.normalize("NFKD", word.lower().translate(PLAIN))
    return "".join(letter for letter in parts if "a" <= letter <= "z")


def address(person: Person, domain: str) -> str:
    """An address that a mail program accepts and no mail reaches."""
    return f"{person.local}@{domain}"

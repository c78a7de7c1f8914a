"""What a query string asks for, and that nothing wrong in it is passed over."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from sqlalchemy.orm import Session

from backoffice.listing.cursor import CursorCodec
from backoffice.listing.page import read_page
from backoffice.listing.params import parse_list, split_terms
from backoffice.listing.query import Bound, FilterValue, ListQuery, Span, Term
from backoffice.listing.spec import (
    FilterField,
    FilterKind,
    ListSpec,
    Order,
    SearchField,
    SearchMode,
)
from tests.listing.models import Customer, Level

CODEC = CursorCodec("a secret of these tests")

CUSTOMERS = ListSpec(
    Customer,
    "customer",
    columns=("name", "region"),
    search=(SearchField("name"), SearchField("code", SearchMode.EXACT)),
    filters=(
        FilterField("kind", FilterKind.CHOICE, choices=(("a", "A"), ("b", "B"))),
        FilterField("level", FilterKind.CHOICE),
        FilterField("is_active", FilterKind.BOOLEAN),
        FilterField("rank", FilterKind.NUMBER),
        FilterField("balance", FilterKind.NUMBER, "Balance"),
        FilterField("born", FilterKind.DATE),
        FilterField("seen_at", FilterKind.DATE),
        FilterField("local_at", FilterKind.DATE),
        FilterField("token", FilterKind.TEXT),
        FilterField("region", FilterKind.REFERENCE),
        FilterField("region.name", FilterKind.TEXT),
        FilterField("id", FilterKind.NUMBER),
    ),
    sortable=("name", "rank", "region"),
)


def parse(*items: tuple[str, str]) -> ListQuery:
    """The query of these items."""
    return parse_list(CUSTOMERS, items, CODEC)


@pytest.mark.parametrize(
    ("parameter", "value", "said"),
    [
        pytest.param("page", "0", "pages are numbered 1, 2, 3", id="page zero"),
        pytest.param("page", "-1", "pages are numbered 1, 2, 3", id="negative page"),
        pytest.param("page", "abc", "no page “abc”", id="page in letters"),
        pytest.param("page", "1.0", "no page “1.0”", id="page with decimals"),
        pytest.param("page", "²", "no page “²”", id="page in odd digits"),
        pytest.param("page", "1" + "0" * 30, "more than 10,000,000", id="page 10**30"),
        pytest.param("page", "9" * 5000, "more than 10,000,000", id="page of digits"),
        pytest.param("pageSize", "0", "1 to 200 rows", id="no rows"),
        pytest.param("pageSize", "9999", "1 to 200 rows", id="too many rows"),
        pytest.param("pageSize", "ten", "rows, not “ten”", id="size in letters"),
        pytest.param(
            "sortBy", "password", "by password; it can by Name", id="undeclared sort"
        ),
        pytest.param(
            "sortBy", "name,,rank", "between two of its commas", id="sort with a gap"
        ),
        pytest.param("sort", "desc", "1 directions for the 0", id="sort of nothing"),
        pytest.param("kind", "c", "Kind: c is not one of: A, B.", id="unknown choice"),
        pytest.param("level", "tiny", "Level: tiny is not one of", id="unknown enum"),
        pytest.param("is_active", "maybe", "neither yes nor no", id="no boolean"),
        pytest.param("rank", "abc", "Rank: abc is not a whole", id="no number"),
        pytest.param("rank", "2.5", "Rank: 2.5 is not a whole", id="no whole number"),
        pytest.param("rank", "9" * 11, "too large", id="number beyond the column"),
        pytest.param("rank", "9" * 5000, "too large", id="5000 digits"),
        pytest.param("rank__from", "x", "Rank: x is not", id="bad end of a range"),
        pytest.param("balance", "NaN", "Balance: NaN is not", id="not a number"),
        pytest.param("balance", "Infinity", "Balance: Inf", id="endless"),
        pytest.param("born", "2026-02-30", "is not a date", id="no such day"),
        pytest.param("seen_at__from", "yesterday", "not a date", id="no time"),
        pytest.param("seen_at__to", "9999-12-31", "last day", id="the last day"),
        pytest.param("token", "not-a-uuid", "is not a UUID", id="bad uuid"),
        pytest.param("region", "abc", "no region with the key", id="bad reference"),
        pytest.param("region", "1;2", "no region with the key", id="too long a key"),
        pytest.param("region", "9" * 30, "no region with the key", id="huge reference"),
        pytest.param("rank__empty", "perhaps", "yes and no", id="empty perhaps"),
        pytest.param("id__empty", "yes", "not a filter", id="never empty"),
        pytest.param("kind__from", "a", "not a filter", id="range of choices"),
        pytest.param("password", "x", "password is not a filter", id="undeclared"),
        pytest.param("name__like", "x", "is not a filter", id="lookups of Django"),
        pytest.param("seerch", "x", "search is", id="misspelt"),
        pytest.param("search", "a\0b", "NUL", id="NUL in a search"),
        pytest.param("kind", "a\0", "NUL", id="NUL in a filter"),
        pytest.param("search", "a\ufffd", "not UTF-8", id="replaced bytes"),
        pytest.param("search", "a\udcff", "not UTF-8", id="escaped bytes"),
        pytest.param("search", "x" * 10_000, "10,000 characters", id="10 kB search"),
        pytest.param("search", " ".join("abcdefghijkl"), "12 words", id="many words"),
        pytest.param("search", '""', "no word", id="empty quotes"),
    ],
)
def test_what_is_wrong_is_said(parameter: str, value: str, said: str) -> None:
    """One problem on its parameter, with a sentence that says what would be right."""
    query = parse((parameter, value))

    assert [problem.parameter for problem in query.problems] == [parameter]
    assert said in query.problems[0].message


@pytest.mark.parametrize(
    "items",
    [
        pytest.param([("kind", "zz")], id="bad choice"),
        pytest.param([("kind", "a"), ("rank", "zz")], id="one good, one bad"),
        pytest.param([("bogus", "1")], id="unknown filter"),
        pytest.param([("page", "0")], id="bad page"),
    ],
)
def test_a_problem_never_widens_to_all_rows(
    session: Session, items: list[tuple[str, str]]
) -> None:
    """A query with a problem has no rows, though the table has."""
    session.add(Customer(id=1, name="A", code="A", kind="a"))
    session.flush()

    page = read_page(session, CUSTOMERS, parse(*items), CODEC)

    assert page.rows == ()
    assert page.count.value == 0


def test_every_problem_is_said_at_once() -> None:
    """One look at the page tells all that has to be put right."""
    query = parse(("page", "x"), ("rank", "y"), ("rank", "z"), ("bogus", ""))

    assert [p.parameter for p in query.problems] == ["bogus", "page", "rank", "rank"]


def test_an_unknown_name_is_not_repeated_at_length() -> None:
    """Ten thousand characters of a name are cut, and its control characters too."""
    query = parse(("\x1b" + "n" * 10_000, "1"))

    assert len(query.problems[0].message) < 100
    assert query.problems[0].message.isprintable()


@pytest.mark.parametrize("name", ["search", "sortBy", "page", "rank__from"])
def test_what_may_be_given_once_is_not_given_twice(name: str) -> None:
    """Neither the first nor the last of two values is guessed to be meant."""
    values = {"search": "ab", "sortBy": ["name", "rank"], "page": "23"}
    first, second = values.get(name, "12")

    query = parse((name, first), (name, second))

    assert [problem.parameter for problem in query.problems] == [name]


def test_the_same_value_twice_is_one() -> None:
    """Nothing is wrong with saying a thing again."""
    query = parse(("page", "2"), ("page", "2"), ("kind", "a"), ("kind", "a"))

    assert not query.problems
    assert query.filters[0].texts == ("a",)


def test_blank_items_mean_nothing() -> None:
    """A form sends its empty fields too."""
    query = parse(
        ("search", " "), ("kind", ""), ("rank__from", ""), ("page", ""), ("sortBy", "")
    )

    assert query == ListQuery(page_size=50, usual_page_size=50)


def test_several_values_of_a_filter() -> None:
    """A repeated parameter is one filter with several values."""
    query = parse(("kind", "b"), ("kind", "a"))

    assert query.filters == (
        FilterValue("kind", FilterKind.CHOICE, ("b", "a"), ("b", "a")),
    )


def test_values_have_the_columns_types() -> None:
    """Texts become what the columns hold."""
    query = parse(
        ("level", "HIGH"), ("is_active", "yes"), ("balance__to", "1.5"), ("region", "3")
    )

    values = {f.path: f.values or f.high for f in query.filters}
    assert values == {
        "level": (Level.HIGH,),
        "is_active": (True,),
        "balance": Bound("1.5", Decimal("1.5")),
        "region": ((3,),),
    }


def test_a_day_of_a_timestamp_is_whole() -> None:
    """From midnight to midnight in UTC, the latter left out."""
    query = parse(("seen_at", "2026-01-31"), ("local_at__to", "2026-01-31"))

    seen, local = query.filters
    assert seen.values == (
        Span(datetime(2026, 1, 31, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)),
    )
    assert local.high == Bound(
        "2026-01-31",
        datetime(2026, 2, 1),  # noqa: DTZ001 - the column has no zone
        is_included=False,
    )


@pytest.mark.parametrize(
    ("low", "high"), [("5", "4"), ("10", "9")], ids=["by one", "as text it is not"]
)
def test_a_backward_range_is_said(low: str, high: str) -> None:
    """A range that can hold nothing is a mistake, not an empty list."""
    query = parse(("rank__from", low), ("rank__to", high))

    assert query.problems[0].message == f"Rank: from {low} to {high} is backwards."


def test_a_day_is_no_backward_range() -> None:
    """From a day to the same day is that day."""
    query = parse(("seen_at__from", "2026-01-31"), ("seen_at__to", "2026-01-31"))

    assert not query.problems


def test_several_columns_of_an_order() -> None:
    """Directions go with columns by their place; what is left out ascends."""
    query = parse(("sortBy", "rank,name"), ("sort", "desc"))

    assert query.order == (Order("rank", descending=True), Order("name"))


def test_a_column_stands_once_in_an_order() -> None:
    """The first mention counts."""
    query = parse(("sortBy", "name,rank,name"), ("sort", "desc,asc,asc"))

    assert query.order == (Order("name", descending=True), Order("rank"))


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("ann lee", (Term("ann"), Term("lee"))),
        ('"ann lee" bob', (Term("ann lee", is_phrase=True), Term("bob"))),
        ('say "ann  le', (Term("say"), Term("ann le", is_phrase=True))),
        ("ann ann", (Term("ann"),)),
        ('a"b c"d', (Term("a"), Term("b c", is_phrase=True), Term("d"))),
        ("100% _ \\", (Term("100%"), Term("_"), Term("\\"))),
    ],
)
def test_words_and_phrases(text: str, terms: tuple[Term, ...]) -> None:
    """Blanks part words, quotes keep a phrase; an open quote goes on to the end."""
    assert split_terms(text) == terms


def test_the_canonical_items_ask_for_the_same() -> None:
    """What a query writes into an address is read back as the same query."""
    items = [
        ("search", '"ann lee" bob'),
        ("kind", "a"),
        ("kind", "b"),
        ("rank__from", "1"),
        ("rank__empty", "yes"),
        ("seen_at__to", "2026-01-31"),
        ("sortBy", "rank,name"),
        ("sort", "desc,asc"),
        ("pageSize", "20"),
        ("page", "7"),
    ]
    query = parse(*items)

    assert query.to_items() == items
    assert parse(*query.to_items()) == query


@pytest.mark.parametrize(
    "changes",
    [{"search": ""}, {"filters": ()}, {"order": (Order("rank"),)}, {"page_size": 20}],
    ids=["search", "filters", "order", "page size"],
)
def test_another_list_begins_at_its_first_page(changes: dict[str, object]) -> None:
    """A search from page 150 does not land on the last page of what it finds."""
    query = parse(("search", "x"), ("kind", "a"), ("page", "150"))

    assert query.with_(**changes).page == 1


def test_one_value_of_a_filter_is_taken_away() -> None:
    """The others stay, and so do the other filters."""
    query = parse(("kind", "a"), ("kind", "b"), ("rank", "1"), ("page", "3"))

    left = query.without_filter("kind", "a")

    assert left.to_items() == [("kind", "b"), ("rank", "1")]


def test_the_last_value_takes_the_filter_away() -> None:
    """A filter without values is none."""
    query = parse(("kind", "a"), ("rank", "1"))

    assert query.without_filter("kind", "a").to_items() == [("rank", "1")]


@pytest.mark.parametrize(
    "token", ["x", "é", "A" * 9000, "!!!!", "AAAA", "=", "\u202e"], ids=repr
)
def test_a_broken_cursor_leaves_the_page_number(token: str) -> None:
    """It is no reason for an empty page; the page number says nearly the same."""
    query = parse(("page", "3"), ("after", token))

    assert (query.page, query.after, query.problems) == (3, None, ())
    assert "page 3 is shown by its number" in query.notes[0].message


def test_after_and_before_do_not_go_together() -> None:
    """The page number decides then."""
    query = parse(("after", "x"), ("before", "y"))

    assert query.after is query.before is None
    assert query.notes


def test_a_query_without_search_fields_is_not_searched() -> None:
    """A search that cannot be done does not show all rows."""
    spec = ListSpec(Customer, "customer", columns=("name",))

    query = parse_list(spec, [("search", "x")], CODEC)

    assert query.problems[0].message == "This list cannot be searched."

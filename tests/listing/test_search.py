"""What a search finds, in each way of looking, on both databases."""

from typing import Any

import pytest
from sqlalchemy import Engine, Select, insert, text
from sqlalchemy.orm import Session

from backoffice.database.estimates import ExplainPostgresql
from backoffice.listing.cursor import CursorCodec
from backoffice.listing.page import page_statements, read_page, select_rows
from backoffice.listing.params import parse_list
from backoffice.listing.spec import ListSpec, SearchField, SearchMode
from tests.listing.models import Customer, Order, Region, Remark, Tag

CODEC = CursorCodec("a secret of these tests")


def found(
    session: Session, search: str, *fields: SearchField, **given: Any
) -> list[int]:
    """The keys of the customers that a search in these fields finds, in order."""
    spec = ListSpec(Customer, "customer", columns=("name",), search=fields, **given)
    query = parse_list(spec, [("search", search)], CODEC)
    assert not query.problems
    page = read_page(session, spec, query, CODEC)
    assert page.count.value == len(page.rows)
    return sorted(row.id for row in page.rows)


def customers(session: Session, *names: str, **given: Any) -> None:
    """Customers of these names, with keys from 1."""
    for index, name in enumerate(names, 1):
        session.add(Customer(id=index, name=name, code=f"C-{index}", **given))
    session.flush()


NAME = SearchField("name")
WORD = SearchField("name", SearchMode.WORD_START)
START = SearchField("name", SearchMode.STARTS_WITH)
EXACT = SearchField("name", SearchMode.EXACT)
CODE = SearchField("code", SearchMode.EXACT)


@pytest.mark.parametrize(
    ("field", "search", "keys"),
    [
        pytest.param(NAME, "lee", [1, 2, 4], id="contains, whatever the case"),
        pytest.param(NAME, "lee ann", [1, 2], id="every word"),
        pytest.param(NAME, '"ann lee"', [1], id="a phrase"),
        pytest.param(NAME, "ee", [1, 2, 4], id="in the middle"),
        pytest.param(WORD, "le", [1, 2], id="a word's start"),
        pytest.param(WORD, "ee", [], id="not a word's middle"),
        pytest.param(WORD, "ANN LE", [1, 2], id="starts of several words"),
        pytest.param(WORD, '"ann le"', [1], id="words side by side"),
        pytest.param(WORD, "o'ne", [3], id="words in punctuation"),
        pytest.param(WORD, "smith", [3], id="behind a hyphen"),
        pytest.param(WORD, "-'!", [], id="nothing but punctuation"),
        pytest.param(WORD, "' | 1 & !lee:*", [], id="signs of the search language"),
        pytest.param(START, "ann", [1], id="the text's start"),
        pytest.param(START, "Lee, A", [], id="starts are looked for word by word"),
        pytest.param(START, '"Lee, A"', [2], id="a phrase starts the text"),
        pytest.param(EXACT, "xleex", [4], id="exact, in small letters"),
        pytest.param(EXACT, "lee", [], id="exact is the whole"),
    ],
)
def test_ways_of_looking(
    session: Session, field: SearchField, search: str, keys: list[int]
) -> None:
    """Each mode finds what it promises, the same on both databases."""
    customers(session, "Ann Lee", "Lee, Ann", "Bob O'Neil-Smith", "xleex")

    assert found(session, search, field) == keys


@pytest.mark.parametrize("field", [NAME, WORD, START], ids=lambda f: f.mode.value)
@pytest.mark.parametrize("wildcard", ["%", "_", "\\", "*", "?", "[a-z]", "A%", "A_n"])
def test_wildcards_are_plain_characters(
    session: Session, field: SearchField, wildcard: str
) -> None:
    """A search for "%" does not list everything."""
    customers(session, "Ann", "Bob")

    assert found(session, wildcard, field) in ([], [1])
    assert found(session, wildcard, field) == (
        [1] if field is WORD and wildcard == "A%" else []
    )


@pytest.mark.parametrize("search", ["50%", "a_b", "c\\d"])
def test_wildcards_are_found(session: Session, search: str) -> None:
    """Where they stand in a text they are found, and only there."""
    customers(session, "is 50% off", "a_b", "c\\d", "500 axb cxd")

    assert len(found(session, search, NAME)) == 1


def test_each_word_may_be_in_another_field(session: Session) -> None:
    """One word is in the name, the other in the code."""
    customers(session, "Ann", "Bob", "Ann")

    assert found(session, "ann C-3", NAME, CODE) == [3]


def test_a_code_is_found_in_small_letters(session: Session) -> None:
    """Who types a code does not press shift."""
    customers(session, "Ann", "Bob")

    assert found(session, "c-2", WORD, CODE) == [2]


def test_an_exact_number_is_found(session: Session) -> None:
    """A word that is no number matches no number, and breaks nothing."""
    customers(session, "Ann", "Bob")
    key = SearchField("id", SearchMode.EXACT)

    assert found(session, "2", key, NAME) == [2]
    assert found(session, "bob", key, NAME) == [2]
    assert found(session, "9" * 40, key, NAME) == []


def test_an_exact_enum_is_found(session: Session) -> None:
    """A word that is no member matches nothing, and breaks nothing."""
    customers(session, "Ann", level="HIGH")
    level = SearchField("level", SearchMode.EXACT)

    assert found(session, "HIGH", level) == [1]
    assert found(session, "nonsense", level) == []


def test_numbers_contain_digits(session: Session) -> None:
    """A column that is no text is searched as text."""
    customers(session, "Ann", "Bob", rank=12345)

    assert found(session, "234", SearchField("rank")) == [1, 2]


def test_a_related_field_hides_no_row(session: Session) -> None:
    """Who has no region is still found by name."""
    session.add(Region(id=1, name="North"))
    session.add(Customer(id=1, name="Northern", code="1", region_id=None))
    session.add(Customer(id=2, name="Bob", code="2", region_id=1))
    session.flush()

    assert found(session, "north", NAME, SearchField("region.name")) == [1, 2]


def test_a_field_of_the_same_table_is_searched(session: Session) -> None:
    """The manager is a customer too."""
    session.add(Customer(id=1, name="Boss", code="1"))
    session.flush()
    session.add(Customer(id=2, name="Ann", code="2", manager_id=1))
    session.flush()
    session.add(Customer(id=3, name="Bob", code="3", manager_id=2))
    session.flush()

    assert found(session, "boss", SearchField("manager.name")) == [2]
    assert found(session, "boss", SearchField("manager.manager.name")) == [3]


def test_a_collection_doubles_no_row(session: Session) -> None:
    """A customer with two fitting tags is one row and counts as one."""
    customers(session, "Ann", "Bob")
    ann = session.get_one(Customer, 1)
    ann.tags = [Tag(id=1, word="red"), Tag(id=2, word="reddish")]
    session.flush()

    assert found(session, "red", SearchField("tags.word")) == [1]


def test_a_reference_by_another_key_is_searched(session: Session) -> None:
    """A foreign key may name a unique column that is not the key."""
    customers(session, "Ann", "Bob")
    session.add_all([Remark(text="x", customer_code="C-2"), Remark(text="y")])
    session.flush()
    spec = ListSpec(
        Remark, "remark", columns=("text",), search=(SearchField("customer.name"),)
    )

    page = read_page(session, spec, parse_list(spec, [("search", "bob")], CODEC), CODEC)

    assert [row.text for row in page.rows] == ["x"]


def test_a_search_over_two_relations(session: Session) -> None:
    """The way to a field may be longer than one step."""
    session.add(Region(id=1, name="North"))
    session.flush()
    session.add(Customer(id=1, name="Ann", code="1", region_id=1))
    session.flush()
    session.add(Order(id=1, reference="x", customer_id=1))
    session.flush()
    spec = ListSpec(
        Order,
        "order",
        columns=("reference",),
        search=(SearchField("customer.region.name", SearchMode.WORD_START),),
    )

    page = read_page(session, spec, parse_list(spec, [("search", "nor")], CODEC), CODEC)

    assert len(page.rows) == 1


def test_a_long_word_breaks_nothing(session: Session) -> None:
    """The longest search that is let in is still only a search."""
    customers(session, "Ann")

    assert found(session, "x" * 300, NAME, WORD, CODE) == []


def test_words_of_all_fields_are_one_condition(postgresql: Engine) -> None:
    """What the word index holds is asked in its own words, so that it serves."""
    spec = ListSpec(
        Customer,
        "customer",
        columns=("name",),
        search=(SearchField("notes", SearchMode.WORD_START), WORD),
    )
    query = parse_list(spec, [("search", "ann")], CODEC)

    text = str(select_rows(spec, query, "postgresql").compile(postgresql))

    assert text.count("@@") == 1
    assert "customers.name, '') || ' ' || coalesce(customers.notes" in text


def test_a_wider_word_index_serves_a_narrower_search(session: Session) -> None:
    """The index finds what may fit; what does not is left out."""
    session.add(Customer(id=1, name="Ann", code="1", notes="lee"))
    session.flush()

    assert found(session, "lee", WORD) == []
    assert found(session, "ann", WORD) == [1]


def test_indexes_serve_words_and_codes_together(postgresql: Engine) -> None:
    """A word in the name or a code: each by its index, neither by reading the table."""
    spec = ListSpec(
        Customer,
        "customer",
        columns=("name",),
        search=(WORD, SearchField("notes", SearchMode.WORD_START), CODE),
    )
    query = parse_list(spec, [("search", "ann")], CODEC)

    with Session(postgresql) as session:
        session.execute(
            insert(Customer),
            [{"id": i, "name": f"Name{i}", "code": str(i)} for i in range(1, 3001)],
        )
        session.execute(text("ANALYZE customers"))
        plan = session.execute(
            ExplainPostgresql(select_rows(spec, query, "postgresql"))
        ).scalar_one()
        session.rollback()

    shown = str(plan)
    assert "'BitmapOr'" in shown
    assert "ix_customers_search" in shown
    assert "Seq Scan" not in shown


def test_all_words_are_asked_of_the_word_index_at_once(postgresql: Engine) -> None:
    """It puts its own findings together: no bitmap of one word and then of another."""
    words = (WORD, SearchField("notes", SearchMode.WORD_START), CODE)
    spec = ListSpec(Customer, "customer", columns=("name",), search=words)
    query = parse_list(spec, [("search", "name2 name7")], CODEC)

    with Session(postgresql) as session:
        session.execute(
            insert(Customer),
            [
                {"id": i, "name": f"Name{i} Name{i % 90}", "code": str(i)}
                for i in range(1, 3001)
            ],
        )
        session.execute(text("ANALYZE customers"))
        count = page_statements(spec, query, "postgresql")[0].statement
        assert isinstance(count, Select)
        plan = session.execute(ExplainPostgresql(count)).scalar_one()
        session.rollback()

    shown = str(plan)
    assert shown.count("'ix_customers_search'") == 1
    assert "BitmapAnd" not in shown
    assert "Seq Scan" not in shown


def test_words_and_codes_are_found_in_every_mixture(session: Session) -> None:
    """By their starts, as values, or both at once: each row once, none left out."""
    names = ("Ann Lee", "C-1 C-3", "C-3 Ann", "Lee", "Ann -")
    customers(session, *names)
    words = (WORD, SearchField("notes", SearchMode.WORD_START), CODE)

    assert found(session, "ann lee", *words) == [1]
    assert found(session, "c-2 c-1", *words) == [2]
    assert found(session, "c-3 c-3", *words) == [2, 3]
    assert found(session, "ann c-3", *words) == [3]
    assert found(session, "lee C-4", *words) == [4]
    assert found(session, "ann --", *words) == []


def test_an_index_serves_a_search_over_a_relation(postgresql: Engine) -> None:
    """The records that match come first, then the rows that refer to them."""
    spec = ListSpec(
        Order,
        "order",
        columns=("reference",),
        search=(
            SearchField("customer.name", SearchMode.WORD_START),
            SearchField("customer.code", SearchMode.EXACT),
        ),
    )
    query = parse_list(spec, [("search", "name7 12")], CODEC)

    with Session(postgresql) as session:
        session.execute(
            insert(Customer),
            [{"id": i, "name": f"Name{i}", "code": str(i)} for i in range(1, 3001)],
        )
        session.execute(
            insert(Order),
            [{"id": i, "reference": "r", "customer_id": i} for i in range(1, 3001)],
        )
        session.execute(text("ANALYZE customers, orders"))
        plan = session.execute(
            ExplainPostgresql(select_rows(spec, query, "postgresql"))
        ).scalar_one()
        session.rollback()

    shown = str(plan)
    assert "ix_orders_customer_id" in shown
    assert "Seq Scan" not in shown

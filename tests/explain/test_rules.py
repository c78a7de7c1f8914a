"""Every rule on plans of real servers: what it finds, and what it says to do."""

from dataclasses import replace

import pytest

from backoffice.explain.findings import NOBODY, Case, Finding, Severity
from backoffice.explain.judging import RULES, judge, verdict
from backoffice.explain.plan import read_plan
from tests.explain.record_plans import CASES, PLANNED
from tests.explain.recorded import VERSIONS, case, catalog, recorded

# What a server does not tell, no rule can find.
UNKNOWN = {
    "P8": {15, 16},  # storage: from 18 on
    "P18": {16, 18},  # these were built without JIT
    "P21": {15, 16},  # disabled steps: from 18 on
    "P22": {15, 16},  # serialization: from 17 on
}


def found(version: int, name: str, rule: str = "") -> list[Finding]:
    """What one rule finds in one recorded plan."""
    return list(RULES[rule or name.partition(" ")[0]](case(version, name)))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("rule", CASES)
def test_each_rule_finds_its_case(rule: str, version: int) -> None:
    """With proof, a reason and something to do, in sentences."""
    findings = found(version, rule)
    if version in UNKNOWN.get(rule, ()):
        assert findings == []
        return
    assert findings, rule
    for one in findings:
        assert one.rule == rule
        assert all((one.heading, one.evidence, one.why, one.advice))
        assert one.evidence.rstrip().endswith(".")


def test_every_rule_has_its_case() -> None:
    """Twenty-six of them."""
    assert set(RULES) == set(CASES) == {f"P{n}" for n in range(1, 27)}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("rule", PLANNED)
def test_some_rules_need_no_run(rule: str, version: int) -> None:
    """What the planner expects is enough for them."""
    assert found(version, f"{rule} planned")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_filter_without_an_index_gets_one(version: int) -> None:
    """The line for the model, with the model's name, and the same as SQL."""
    (one,) = found(version, "P3")
    assert one.code == 'Index("ix_corr_a", "a")'
    assert one.sql == "CREATE INDEX CONCURRENTLY ix_corr_a ON corr (a)"
    assert "the model Corr" in one.advice
    assert "200,000 rows" in one.evidence
    assert one.severity is Severity.BAD


def test_an_index_that_is_not_enough_gets_its_columns() -> None:
    """Both conditions, the more selective one in front."""
    (one,) = found(18, "P4")
    assert one.code == 'Index("ix_big_few_grp", "few", "grp")'


def test_a_sorted_list_gets_an_index_in_its_order() -> None:
    """Filter first, then the order: the scan under a LIMIT needs no sort."""
    assert found(18, "P5")[0].code == 'Index("ix_big_note", "note")'


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("P3 lowered", 'Index("ix_big_lower_name", func.lower(name))'),
        (
            "P3 start",
            (
                'Index("ix_big_name_start", "name", '
                'postgresql_ops={"name": "text_pattern_ops"})'
            ),
        ),
        ("P3 either", 'Index("ix_corr_a", "a"),\nIndex("ix_corr_b", "b")'),
        (
            "P3 words",
            (
                'Index("ix_big_note_words", text("to_tsvector(\'simple\'::regconfig, '
                'note)"), postgresql_using="gin")'
            ),
        ),
        ("P12 subquery", 'Index("ix_corr_a", "a")'),
        ("P3 join", 'Index("ix_child_parent_id", "parent_id")'),
        ("P3 recursion", 'Index("ix_child_parent_id", "parent_id")'),
    ],
)
def test_an_index_is_of_what_the_condition_looks_at(
    version: int, name: str, code: str
) -> None:
    """Lowered, its beginning, its words, each side of an OR, what it is joined by."""
    (one,) = found(version, name)
    assert one.code == code


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["P3 expression", "P3 cast"])
def test_no_index_helps_a_condition_on_an_expression(version: int, name: str) -> None:
    """Though there is one on its column: the condition itself has to be another."""
    (one,) = found(version, name)
    assert one.code == ""
    assert "Compare the column with a value of its own type" in one.advice
    for guess in RULES["P2"](case(version, name)):
        assert guess.sql == ""


@pytest.mark.parametrize("version", VERSIONS)
def test_groups_of_two_columns_are_counted_together(version: int) -> None:
    """Fresh statistics of each by itself do not tell."""
    (one,) = found(version, "P2 groups")
    assert one.sql.startswith("CREATE STATISTICS st_corr_a_b (ndistinct) ON a, b FROM")


@pytest.mark.parametrize("version", VERSIONS)
def test_not_in_becomes_not_exists(version: int) -> None:
    """It is compared with all of the subquery, for each row."""
    (one,) = found(version, "P12 not in")
    assert one.heading == "NOT IN compares each row with all of a subquery"
    assert "2,000 times, once for each row of parent" in one.evidence


@pytest.mark.parametrize("version", VERSIONS)
def test_an_order_by_another_tables_column_has_no_index(version: int) -> None:
    """It is said which column of which table, and of which view."""
    (one,) = found(version, "P14 another")
    assert "take b of small out of column_sortable_list of BigAdmin" in one.advice


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["P19", "P19 planned"])
def test_a_foreign_key_without_an_index_gets_one(version: int, name: str) -> None:
    """On the table that refers, seen by its time and before anything is deleted."""
    (one,) = found(version, name)
    assert one.code == 'Index("ix_child_parent_id", "parent_id")'
    assert one.sql.endswith("ON child (parent_id)")
    assert judge(case(version, name))[0].severity is not Severity.INFO


@pytest.mark.parametrize("version", VERSIONS)
def test_rows_that_nothing_joins_are_pairs(version: int) -> None:
    """How many of each, and how many pairs."""
    (one,) = found(version, "P26")
    assert "300 rows of small and 300 of small make 90,000 pairs." in one.evidence


@pytest.mark.parametrize("version", VERSIONS)
def test_a_search_is_advised_on_in_the_words_of_the_view(version: int) -> None:
    """Which field of which view, and what else it could be."""
    (one,) = found(version, "P25")
    assert "In BigAdmin, drop `note` from column_searchable_list" in one.advice
    assert "word_start" in one.advice
    assert "note" in one.code


def test_a_search_without_trigrams_gets_a_word_index() -> None:
    """The embedded server has none."""
    plain = replace(
        case(18, "P25"), catalog=replace(catalog(18), can_have_trigrams=False)
    )
    (one,) = RULES["P25"](plain)
    assert one.code.startswith('Index("ix_big_search", search_vector(note)')


def test_a_search_with_trigrams_gets_a_trigram_index() -> None:
    """As the model says it, and the extension first where it is not installed."""
    able = replace(
        case(18, "P25"), catalog=replace(catalog(18), can_have_trigrams=True)
    )
    (one,) = RULES["P25"](able)
    assert one.code == (
        'Index("ix_big_note_trgm", "note", postgresql_using="gin", '
        'postgresql_ops={"note": "gin_trgm_ops"})'
    )
    assert one.sql.startswith("CREATE EXTENSION pg_trgm;\nCREATE INDEX")


def test_columns_that_belong_together_get_statistics() -> None:
    """The planner takes them for independent until it is told."""
    (one,) = found(18, "P2")
    assert one.sql.startswith("CREATE STATISTICS st_corr_a_b_c ON a, b, c FROM corr")
    assert "expected 1, found 2,000" in one.evidence


def test_a_count_that_sorts_is_always_bad() -> None:
    """However quick it is: it is for nothing."""
    (first, *_) = judge(case(18, "P24 planned"))
    assert (first.rule, first.severity) == ("P24", Severity.BAD)


def test_what_is_quick_is_no_warning() -> None:
    """A plan of a few milliseconds has remarks at most."""
    findings = judge(case(16, "P11"))
    assert {one.severity for one in findings} == {Severity.INFO}


def test_the_worst_comes_first() -> None:
    """And where to start comes after what to do."""
    findings = judge(case(18, "P14"))
    assert [one.severity for one in findings] == sorted(
        (one.severity for one in findings), reverse=True
    )
    assert findings[-1].rule == "P1" or findings[0].rule != "P1"


@pytest.mark.parametrize("version", VERSIONS)
def test_the_verdict_names_the_step_that_takes_the_time(version: int) -> None:
    """One sentence that can be read aloud."""
    one = case(version, "P3 planned")
    assert verdict(one, judge(one)).startswith(
        "100\u00a0% of the expected cost is a sequential scan of corr that throws "
        "away 99"
    )


PLAIN = {
    "Plan": {
        "Node Type": "Index Scan",
        "Relation Name": "big",
        "Index Name": "big_pkey",
        "Index Cond": "(id = ?)",
        "Total Cost": 8.4,
        "Plan Rows": 1,
    }
}


def test_a_good_plan_is_called_one() -> None:
    """Nothing is made up where nothing is wrong."""
    one = Case(read_plan(PLAIN), catalog(18), NOBODY)
    assert judge(one) == ()
    assert verdict(one, ()) == "Nothing stands out: every table is read by an index."


def test_the_verdict_names_what_is_found_on_a_good_plan() -> None:
    """That nothing stands out is not said above a finding."""
    one = Case(read_plan(PLAIN), catalog(18), NOBODY)
    told = Finding("P21", Severity.INFO, "A step is switched off", "", "", "")
    assert verdict(one, (told,)) == (
        "The planner expects this to be quick. Worth knowing: A step is switched off."
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_no_rule_breaks_on_any_plan(version: int) -> None:
    """Every rule reads every recorded plan."""
    for name in recorded(version):
        if name != "catalog":
            for rule in RULES.values():
                list(rule(case(version, name, NOBODY)))

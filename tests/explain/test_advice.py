"""Is the advice right? Plans that lists of a school and a music shop really had.

Each was explained, judged by hand, and found wanting: too loud, of no use, or wrong.
"""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from backoffice.explain.advice import advise_index
from backoffice.explain.catalog_postgresql import Catalog, IndexFacts, TableFacts
from backoffice.explain.findings import Case, Finding, Searched, Severity, Subject
from backoffice.explain.judging import RULES, judge, verdict
from backoffice.explain.plan import read_plan

TRACK = TableFacts(
    schema="public",
    name="track",
    rows=100_000,
    live=100_000,
    analyzed_at=datetime(2026, 1, 1, tzinfo=UTC),
    columns={
        "track_id": "integer",
        "name": "text",
        "price": "numeric",
        "status": "text",
        "year": "integer",
    },
    distinct={"price": 2, "status": 4, "name": 90_000},
    indexes=(
        IndexFacts("track_pkey", ("track_id",), "btree", 1),
        IndexFacts("ix_track_year_status", ("year", "status"), "btree", 1),
    ),
)
CATALOG = Catalog("18.4", {"track": TRACK})
SUBJECT = Subject(
    identity="track",
    view="TrackAdmin",
    table="track",
    models={"track": "Track"},
    attributes={"track": {"name": "Name"}},
    searched=(Searched("Name", "track", "name", "contains"),),
    is_searched=True,
)


def step(kind: str, cost: float, rows: float, *below: Any, **more: Any) -> Any:
    """A step that was not run."""
    return {
        "Node Type": kind,
        "Startup Cost": more.pop("begin", 0.0),
        "Total Cost": cost,
        "Plan Rows": rows,
        "Plans": list(below),
        **{name.replace("_", " "): value for name, value in more.items()},
    }


def scan(
    cost: float, rows: float, *below: Any, kind: str = "Seq Scan", **more: Any
) -> Any:
    """A step that reads the tracks."""
    return step(kind, cost, rows, *below, Relation_Name="track", Alias="track", **more)


def ran(plan: Any, ms: float, found: float, **more: Any) -> Any:
    """The same, run in so many milliseconds."""
    more = {name.replace("_", " "): value for name, value in more.items()}
    measured = {"Actual Total Time": ms, "Actual Rows": found, "Actual Loops": 1}
    return {**plan, **measured, **more}


def case(plan: Any, **more: Any) -> Case:
    """The plan in its surroundings."""
    return Case(read_plan({"Plan": plan, **more}), CATALOG, SUBJECT)


def only(rule: str, one: Case) -> Finding:
    """The one finding of a rule."""
    (found,) = RULES[rule](one)
    return found


def rules(one: Case) -> list[str]:
    """The rules that found something, the worst first."""
    return [found.rule for found in judge(one)]


# Filters


def test_a_filter_that_most_rows_pass_throws_little_away() -> None:
    """Under a LIMIT only so many rows are read as it takes to fill it."""
    wide = scan(3_170, 92_000, Filter="(status = ?)")
    one = case(step("Limit", 345, 10_001, wide))
    assert "P3" not in rules(one)


def test_no_index_is_advised_on_that_would_not_be_used() -> None:
    """Where nearly half of the rows match, reading the table is the quickest way."""
    found = only("P3", case(scan(3_170, 43_000, Filter="(price >= ?)")))
    assert found.severity is Severity.INFO
    assert found.code == ""
    assert "So many rows match (43\N{NO-BREAK SPACE}%)" in found.advice


def test_a_rare_value_of_few_gets_its_index() -> None:
    """The plan knows that this one of two prices is rare."""
    found = only("P3", case(scan(3_170, 6_000, Filter="(price = '…'::numeric)")))
    assert found.code == 'Index("ix_track_price", "price")'


def test_what_an_index_finds_in_vain_is_seen_before_it_is_run() -> None:
    """By what the bitmap is expected to find, and what is left of it."""
    bitmap = step("Bitmap Index Scan", 500, 40_000, Index_Name="ix_track_year_status")
    heap = scan(
        9_000,
        200,
        bitmap,
        kind="Bitmap Heap Scan",
        Recheck_Cond="(year = ?)",
        Filter="(price = ?)",
    )
    found = only("P4", case(heap))
    assert "would find 40,000 rows" in found.evidence
    assert found.code == 'Index("ix_track_price_year", "price", "year")'


def test_how_many_a_word_finds_is_no_evidence() -> None:
    """The planner guesses both numbers, and their difference means nothing."""
    bitmap = step("Bitmap Index Scan", 500, 40_000, Index_Name="ix_track_search")
    words = "(to_tsvector('…'::regconfig, name) @@ '…'::tsquery)"
    heap = scan(
        9_000, 20, bitmap, kind="Bitmap Heap Scan", Recheck_Cond=words, Filter=words
    )
    assert list(RULES["P4"](case(heap))) == []


# Orders


def test_a_table_that_is_sorted_for_one_page_gets_an_index_in_its_order() -> None:
    """The key of the order and the one that breaks ties."""
    sort = step(
        "Sort",
        9_000,
        100_000,
        scan(3_000, 100_000),
        begin=8_900.0,
        Sort_Key=["track.name", "track.track_id"],
    )
    found = only("P14", case(step("Limit", 8_901, 51, sort, begin=8_900.0)))
    assert found.code == 'Index("ix_track_name_track_id", "name", "track_id")'
    assert "100,000 rows of track are read and sorted, and 51" in found.evidence


def test_an_order_that_an_index_only_begins_is_seen_too() -> None:
    """Rows in order of the year are sorted anew within it, all of one year at once."""
    walk = scan(4_000, 99_000, kind="Index Scan", Index_Name="ix_track_year_status")
    sort = step(
        "Incremental Sort",
        9_000,
        99_000,
        {**walk, "Filter": "(price >= ?)"},
        begin=8_000.0,
        Sort_Key=["track.year", "track.track_id"],
    )
    found = only("P14", case(step("Limit", 8_010, 51, sort, begin=8_000.0)))
    assert found.code == 'Index("ix_track_year_track_id", "year", "track_id")'


def test_rows_of_a_join_are_not_put_in_order_by_an_index() -> None:
    """What is sorted is what was joined, and no index has that."""
    join = step(
        "Hash Join", 4_000, 5_000, scan(3_000, 100_000), step("CTE Scan", 9, 5_000)
    )
    sort = step("Sort", 5_000, 5_000, join, begin=4_900.0, Sort_Key=["track.name"])
    assert list(RULES["P14"](case(step("Limit", 4_901, 51, sort)))) == []


def test_the_verdict_counts_what_is_sorted() -> None:
    """Not the page that comes out."""
    rows = ran(scan(3_000, 100_000), 10, 100_000)
    sort = ran(
        step("Sort", 9_000, 100_000, rows, Sort_Key=["track.name", "track.track_id"]),
        150,
        51,
    )
    limit = ran(step("Limit", 8_901, 51, sort), 151, 51)
    one = case(limit, **{"Execution Time": 151, "Planning Time": 1})
    assert "the sorting of 100,000 rows" in verdict(one, judge(one))


# Where it starts


def test_where_nothing_says_how_a_hot_step_is_no_alarm() -> None:
    """Expected it is a remark; measured and slow it is a warning; neither promises."""
    plain = scan(20_000, 100_000)
    (expected,) = judge(case(plain))
    assert (expected.rule, expected.severity) == ("P1", Severity.INFO)
    assert "No rule knows a quicker way" in expected.advice
    slow = case(ran(plain, 900, 100_000), **{"Execution Time": 900})
    (measured,) = judge(slow)
    assert (measured.rule, measured.severity) == ("P1", Severity.WARN)


def test_where_to_start_is_never_louder_than_what_to_do() -> None:
    """The search is a warning, so the step that it runs in is one."""
    looked = ran(
        scan(9_000, 10, Filter="(name ~~* '%…%'::text)"),
        1_000,
        10,
        Rows_Removed_by_Filter=99_990,
    )
    first, second = judge(case(looked, **{"Execution Time": 1_000}))
    assert (first.rule, first.severity) == ("P25", Severity.WARN)
    assert (second.rule, second.severity) == ("P1", Severity.WARN)


def test_what_comes_before_the_first_row_is_paid_in_full() -> None:
    """Below a LIMIT the sort has read everything, and the merge hardly anything."""
    sort = step("Sort", 11_232, 145_000, scan(5_998, 145_000), begin=10_867.0)
    merge = step("Gather Merge", 52_665, 350_000, sort, begin=11_867.0)
    plan = read_plan({"Plan": step("Limit", 11_873, 51, merge, begin=11_867.0)})
    own = {node.kind: node.own for node in plan.nodes}
    assert own["Seq Scan"] == 5_998
    assert 4_800 < own["Sort"] < 4_900
    assert own["Gather Merge"] < 1_100


# What was expected


def off(plan: Any, found: float) -> Case:
    """A plan whose number of rows was wrong."""
    return case(ran(plan, 200, found), **{"Execution Time": 200})


def test_a_guess_that_nothing_mends_is_no_alarm() -> None:
    """A word, a pattern, and what a subquery gives have no statistics."""
    for condition in (
        "(to_tsvector('…'::regconfig, name) @@ '…'::tsquery)",
        "(name ~~* '%…%'::text)",
        "(track_id = ANY ((InitPlan 1).col1))",
    ):
        found = only("P2", off(scan(100, 3, Filter=condition), 9_000))
        assert (found.severity, found.sql) == (Severity.INFO, "")
        assert "is a guess" in found.advice


def test_fresh_statistics_are_not_gathered_again() -> None:
    """More values of the column are; of old ones, as many as before."""
    wrong = off(scan(100, 3, Filter="(price = ?)"), 9_000)
    assert "ALTER COLUMN price SET STATISTICS 1000" in only("P2", wrong).sql
    old = replace(TRACK, changed=50_000)
    stale = replace(wrong, catalog=Catalog("18.4", {"track": old}))
    assert only("P2", stale).sql == "ANALYZE track"


def test_a_wrong_number_is_told_once() -> None:
    """Where it comes from, and not again by who reads the result."""
    cte = ran(
        scan(100, 3, Filter="(price = ?)"),
        50,
        9_000,
        Parent_Relationship="InitPlan",
        Subplan_Name="CTE matching",
    )
    reader = ran(step("CTE Scan", 10, 3, CTE_Name="matching"), 60, 9_000)
    plan = ran(step("Aggregate", 120, 1, cte, reader), 61, 1)
    found = list(RULES["P2"](case(plan, **{"Execution Time": 61})))
    assert [one.node for one in found] == [2]


def test_the_catalogue_of_the_server_is_nobodys_to_analyze() -> None:
    """Lists ask it for sizes; its own statistics are the server's affair."""
    facts = TableFacts("pg_catalog", "pg_class", 500, live=500, changed=400)
    plan = step("Seq Scan", 20, 1, Relation_Name="pg_class")
    one = Case(read_plan({"Plan": plan}), Catalog("18.4", {"pg_class": facts}))
    assert list(RULES["P20"](one)) == []


def test_a_cache_that_was_hardly_asked_is_no_finding() -> None:
    """A page of 51 rows is no reason to tune memory."""
    few = ran(step("Memoize", 1, 1), 1, 1, Cache_Hits=0, Cache_Misses=51)
    assert list(RULES["P23"](case(few))) == []
    many = ran(step("Memoize", 1, 1), 1, 1, Cache_Hits=0, Cache_Misses=5_100)
    assert list(RULES["P23"](case(many)))


# Searches


def test_a_word_index_comes_with_the_mode_that_uses_it() -> None:
    """In the words of the view, and the model's own name of the column."""
    found = only("P25", case(scan(9_000, 10, Filter="(name ~~* '%…%'::text)")))
    assert found.advice == (
        "In TrackAdmin, drop `Name` from column_searchable_list, or give it the mode "
        "word_start in column_search_modes and add a word index on name to the model "
        "Track."
    )
    assert found.code.startswith('Index("ix_track_search", search_vector(Name)')
    assert found.code.endswith(
        "from backoffice.database.textsearch import search_vector"
    )


def test_a_search_along_an_index_is_a_search() -> None:
    """The order's index is walked, and every text on the way is looked through."""
    walk = ran(
        scan(900, 50, kind="Index Scan", Index_Name="track_pkey"),
        80,
        51,
        Filter="(name ~~* '%…%'::text)",
        Rows_Removed_by_Filter=9_000,
    )
    one = case(ran(step("Limit", 10, 51, walk), 81, 51), **{"Execution Time": 81})
    assert "P25" in rules(one)
    assert "P4" not in rules(one)


def test_of_a_filter_and_an_order_the_one_that_helps_leads() -> None:
    """A range that leaves little comes first; one that leaves most does not."""
    one = case(scan(9_000, 10, Filter="(price >= ?)"))
    node = one.plan.root
    keys = ["track.name", "track.track_id"]
    narrow = advise_index(one, node, keys, kept=0.01)
    wide = advise_index(one, node, keys, kept=0.9)
    assert narrow is not None
    assert wide is not None
    assert narrow.code == 'Index("ix_track_price", "price")'
    assert wide.code == 'Index("ix_track_name_track_id", "name", "track_id")'


# Reading ahead


def test_a_first_page_that_reads_ahead_is_no_deep_page() -> None:
    """A parallel step hands over more than a LIMIT takes; nothing is left out."""
    ahead = ran(step("Gather Merge", 4_000, 30_000, begin=3_000), 40, 4_674)
    page = ran(step("Limit", 3_010, 51, ahead, begin=3_000), 41, 51)
    assert list(RULES["P13"](case(page))) == []


def test_a_subquery_beside_a_limit_is_not_what_it_reads() -> None:
    """PostgreSQL draws it below the LIMIT, before the LIMIT's own rows."""
    beside = ran(step("Seq Scan", 3_653, 8_704), 40, 4_674)
    beside = {**beside, "Parent Relationship": "InitPlan"}
    rows = ran(step("Sort", 3_801, 117, begin=3_800), 40, 51)
    page = ran(step("Limit", 3_801, 51, beside, rows, begin=3_800.6), 41, 51)
    assert list(RULES["P13"](case(page))) == []


def test_what_a_subquery_costs_is_no_offset() -> None:
    """It is in the LIMIT's own cost before its first row."""
    beside = step("Seq Scan", 836, 29_997, Parent_Relationship="InitPlan")
    rows = step("Index Only Scan", 17, 46, begin=0.29)
    page = step("Limit", 853, 46, beside, rows, begin=836.29)
    assert list(RULES["P13"](case(page))) == []


def test_a_deep_page_of_several_workers_is_one() -> None:
    """What the OFFSET leaves out is seen by what it costs to come there."""
    ahead = ran(step("Gather Merge", 4_000, 30_000, begin=3_000), 40, 15_051)
    page = ran(step("Limit", 3_502, 51, ahead, begin=3_500), 41, 51)
    assert "15,051 rows are read for 51" in only("P13", case(page)).evidence


def test_an_index_on_what_is_always_the_same_is_not_advised() -> None:
    """It would serve only values that are not there."""
    same = replace(TRACK, distinct={"status": 1})
    plan = read_plan(
        {
            "Plan": ran(
                scan(3_170, 1, Filter="(status = '…'::text)"),
                50,
                0,
                Rows_Removed_by_Filter=100_000,
            )
        }
    )
    (found,) = RULES["P3"](Case(plan, Catalog("18.4", {"track": same}), SUBJECT))
    assert found.code == ""
    assert "status is the same in every row" in found.advice
    page = step(
        "Limit",
        5_000,
        51,
        step(
            "Sort",
            5_000,
            100_000,
            scan(3_170, 100_000, Filter="(status = '…'::text)"),
            Sort_Key=["name", "track_id"],
        ),
    )
    plan = read_plan({"Plan": page})
    (found,) = RULES["P14"](Case(plan, Catalog("18.4", {"track": same}), SUBJECT))
    assert found.code == 'Index("ix_track_name_track_id", "name", "track_id")'


# Words

WORDS = "(to_tsvector('simple'::regconfig, {name}) @@ '…'::tsquery)"
GIN = IndexFacts("ix_words", ("to_tsvector('simple'::regconfig, name)",), "gin", 1)


def words_case(column: str, index: IndexFacts, **more: Any) -> Case:
    """A search by words in a column, of a table that has this index of words."""
    searched = Searched("Name", "track", "name", "word_start")
    subject = replace(SUBJECT, searched=(searched,))
    catalog = Catalog("18.4", {"track": replace(TRACK, indexes=(index,))})
    condition = WORDS.format(name=f"track.{column}")
    plan = ran(
        scan(9_000, 10, Filter=condition, **more), 50, 10, Rows_Removed_by_Filter=90_000
    )
    return Case(read_plan({"Plan": plan}), catalog, subject)


def test_a_word_index_of_another_expression_does_not_serve() -> None:
    """It has to be the very expression that is searched, brackets and casts aside."""
    other = replace(GIN, columns=("to_tsvector('simple'::regconfig, (status)::text)",))
    assert "search_vector(Name)" in only("P3", words_case("name", other)).code
    assert only("P3", words_case("name", GIN)).code == ""


def test_what_an_index_in_use_has_no_room_for_gets_its_own() -> None:
    """A word index cannot have another column: the filter's is put beside it."""
    bitmap = step(
        "Bitmap Index Scan",
        500,
        4_513,
        Index_Name="ix_words",
        Index_Cond=WORDS.format(name="track.name"),
    )
    heap = scan(
        9_000,
        10,
        bitmap,
        kind="Bitmap Heap Scan",
        Filter="(track.year = ?)",
        Recheck_Cond=WORDS.format(name="track.name"),
    )
    plan = read_plan({"Plan": ran(heap, 50, 0, Rows_Removed_by_Filter=4_513)})
    catalog = Catalog("18.4", {"track": replace(TRACK, indexes=(GIN,))})
    (found,) = RULES["P4"](Case(plan, catalog, SUBJECT))
    assert found.code == 'Index("ix_track_year", "year")'


# Workers


def test_what_each_worker_has_is_a_part() -> None:
    """A plan of several workers says how many rows one of them is expected to have."""
    part = scan(3_000, 58_824, Parallel_Aware=True)
    order = step("Sort", 4_000, 58_824, part, Sort_Key=["track.name", "track.track_id"])
    page = step(
        "Limit",
        5_000,
        51,
        step("Gather Merge", 5_000, 100_000, order, Workers_Planned=1),
    )
    found = only("P14", case(page))
    assert "100,001 rows of track are read and sorted" in found.evidence


def test_a_search_beside_a_limit_reads_all_of_its_table() -> None:
    """The LIMIT stops what it reads itself, and not the subquery that it waits for."""
    beside = scan(
        3_600,
        5_600,
        Filter="(track.name ~~* '%…%'::text)",
        Parent_Relationship="InitPlan",
    )
    rows = step("Index Scan", 3_700, 117, begin=0.4, Parent_Relationship="Outer")
    found = only("P25", case(step("Limit", 3_700, 117, beside, rows, begin=3_600.4)))
    assert "100,000 rows of track are looked through" in found.evidence

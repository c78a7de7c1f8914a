"""A save that changes one field leaves every other one as it was, bit by bit."""

from decimal import Decimal
from typing import Any

import pytest

from backoffice.audit.history import history_of
from models.analyses import SCORES
from models.publishing import Comment, Post
from tests.factories import (
    make_author,
    make_batch_analysis,
    make_comment,
    make_course,
    make_post,
    make_product,
    make_text_analysis,
)
from tests.office import Office, counted


def raw(site: Office, table: str, key: int) -> Any:
    """A row as the database says it, without the time of its change."""
    (row,) = site.values(
        f"SELECT to_jsonb(t) - 'updated_at' AS row FROM {table} t WHERE id = :k", k=key
    )
    return row[0]


def test_scores_come_back_as_they_were(site: Office) -> None:
    """Saved untouched, and saved with another field changed."""
    row = site.add(make_text_analysis)
    site.run(
        "UPDATE text_analyses SET emotions = CAST(:d AS jsonb) WHERE id = :k",
        d='{"joy": 0.10, "anger": 1e-7}',
        k=row.id,
    )
    before = raw(site, "text_analyses", row.id)
    browser = site.browser("editor")
    path = f"/admin/text-analysis/edit/{row.id}"
    seen = browser.follow(browser.submit(browser.get(path)))
    assert seen.notes == ["Nothing was changed, so nothing is saved."]
    assert browser.submit(browser.get(path), {"model": "other"}).status == 303
    assert raw(site, "text_analyses", row.id) == {**before, "model": "other"}


def test_a_score_out_of_range_is_said_on_its_field(site: Office) -> None:
    """By the database's own check, in words."""
    row = site.add(make_text_analysis)
    browser = site.browser("editor")
    page = browser.get(f"/admin/text-analysis/edit/{row.id}")
    seen = browser.submit(page, {"emotions": '{"joy": 1.5}'})
    assert seen.status == 400
    assert seen.errors == {"emotions": SCORES}


@pytest.mark.parametrize(
    "text", ["", " ", "a\nb", "a\r\nb", "\n\na\n", "\ta ", "“é”\u2028"]
)
def test_a_text_comes_back_as_it_was(site: Office, text: str) -> None:
    """Line ends, spaces and the empty text."""
    row = site.add(make_author, bio=text)
    browser = site.browser("editor")
    path = f"/admin/author/edit/{row.id}"
    page = browser.get(path)
    assert browser.submit(page, {"username": f"other{row.id}"}).status == 303
    assert site.value("SELECT bio FROM authors WHERE id = :k", k=row.id) == text


def test_an_empty_bio_is_not_the_empty_text(site: Office) -> None:
    """NULL stays NULL."""
    row = site.add(make_author, bio=None)
    browser = site.browser("editor")
    page = browser.get(f"/admin/author/edit/{row.id}")
    assert browser.submit(page, {"full_name": "Renamed"}).status == 303
    assert site.value("SELECT bio IS NULL FROM authors WHERE id = :k", k=row.id) is True


def test_a_short_text_with_lines_keeps_them(site: Office) -> None:
    """A field of one line would lose them in a browser: it gets several."""
    row = site.add(make_course, title="first\nsecond")
    browser = site.browser("editor")
    page = browser.get(f"/admin/course/edit/{row.id}")
    assert "<textarea" in page.html
    assert browser.submit(page, {"capacity": "31"}).status == 303
    found = site.value("SELECT title FROM courses WHERE id = :k", k=row.id)
    assert found == "first\nsecond"


@pytest.mark.parametrize(
    "moment",
    [
        "2024-02-29 23:59:59.999999+00",
        "2024-03-31 01:30:00.000001+00",
        "1900-01-01 00:00:00+00",
        "9999-12-31 23:59:59+00",
    ],
)
def test_a_time_comes_back_as_it_was(site: Office, moment: str) -> None:
    """Microseconds and the zone."""
    row = site.add(make_batch_analysis)
    site.run(
        "UPDATE batch_analyses SET finished_at = CAST(:m AS timestamptz) WHERE id = :k",
        m=moment,
        k=row.id,
    )
    before = raw(site, "batch_analyses", row.id)
    browser = site.browser("editor")
    page = browser.get(f"/admin/batch-analysis/edit/{row.id}")
    assert browser.submit(page, {"name": "Renamed"}).status == 303
    assert raw(site, "batch_analyses", row.id) == {**before, "name": "Renamed"}


def test_a_time_with_a_zone_is_read_with_it(site: Office) -> None:
    """Half past one in Jakarta is half past six in the evening of the day before."""
    row = site.add(make_batch_analysis)
    browser = site.browser("editor")
    page = browser.get(f"/admin/batch-analysis/edit/{row.id}")
    changes = {"finished_at": "2026-03-29 01:30:00.25+07:00"}
    assert browser.submit(page, changes).status == 303
    read = "SELECT finished_at AT TIME ZONE 'UTC' FROM batch_analyses WHERE id = :k"
    assert str(site.value(read, k=row.id)) == "2026-03-28 18:30:00.250000"


@pytest.mark.parametrize("price", ["0.00", "0.10", "99999999.99"])
def test_a_decimal_comes_back_as_it_was(site: Office, price: str) -> None:
    """No digit more, none less."""
    row = site.add(make_product, price=Decimal(price))
    browser = site.browser("editor")
    page = browser.get(f"/admin/product/edit/{row.id}")
    assert page.form().value("price") == price
    assert browser.submit(page, {"stock": "11"}).status == 303
    assert (
        str(site.value("SELECT price FROM products WHERE id = :k", k=row.id)) == price
    )


def test_another_spelling_of_the_same_value_is_no_change(site: Office) -> None:
    """2.5 for 2.50 writes nothing."""
    row = site.add(make_product, price=Decimal("2.50"))
    browser = site.browser("editor")
    page = browser.get(f"/admin/product/edit/{row.id}")
    seen = browser.follow(browser.submit(page, {"price": "2.5"}))
    assert seen.notes == ["Nothing was changed, so nothing is saved."]


def test_a_choice_that_is_none_any_more_stays(site: Office) -> None:
    """An old value in the table is shown as it is, and kept by a save."""
    row = site.add(make_post)
    site.run("ALTER TABLE posts DROP CONSTRAINT IF EXISTS ck_posts_status")
    constraints = site.values(
        "SELECT conname FROM pg_constraint WHERE conrelid = 'posts'::regclass "
        "AND contype = 'c' AND pg_get_constraintdef(oid) LIKE '%draft%'"
    )
    for (name,) in constraints:
        site.run(f'ALTER TABLE posts DROP CONSTRAINT "{name}"')
    site.run("UPDATE posts SET status = 'ancient' WHERE id = :k", k=row.id)
    browser = site.browser("editor")
    page = browser.get(f"/admin/post/edit/{row.id}")
    assert page.form().value("status") == "ancient"
    assert browser.submit(page, {"title": "Renamed"}).status == 303
    assert site.value("SELECT status FROM posts WHERE id = :k", k=row.id) == "ancient"


def test_the_hash_follows_the_text_and_a_second_one_is_refused(site: Office) -> None:
    """Computed, read-only, and unique: said on the text."""
    row = site.add(make_text_analysis, text="Once upon a time")
    browser = site.browser("editor")
    seen = browser.submit(
        browser.get("/admin/text-analysis/create"), {"text": "Once upon a time"}
    )
    assert seen.errors == {"text": "This text is here already."}
    page = browser.get(f"/admin/text-analysis/edit/{row.id}")
    assert browser.submit(page, {"text": "Twice", "hash": "0" * 64}).status == 303
    found = "SELECT hash = encode(sha256(convert_to(text, 'UTF8')), 'hex') FROM "
    assert site.value(f"{found} text_analyses WHERE id = :k", k=row.id) is True


def test_a_text_of_megabytes_comes_back_as_it_was(site: Office) -> None:
    """The list and the author's page read its beginning, the form the whole of it."""
    body = "Zażółć <b> 'gęślą'\n" * 100_000
    post = site.add(make_post, body=body)
    comment = site.add(make_comment, post_id=post.id, body=body)
    browser = site.browser("editor")

    with counted(site.engine) as statements:
        listed = browser.get("/admin/comment/list")
        author = browser.get(f"/admin/author/details/{post.author_id}")
        browser.get(f"/admin/post/details/{post.id}")
    assert listed.status == author.status == 200
    assert len(listed.html) < 200_000
    assert any("substr(comments.body" in statement for statement in statements)
    assert not any("posts.body" in s for s in statements if "LIMIT" in s)

    path = f"/admin/post/edit/{post.id}"
    assert browser.submit(browser.get(path), {"title": "Other"}).status == 303
    assert site.read(Post, post.id).body == body
    path = f"/admin/comment/edit/{comment.id}"
    assert browser.submit(browser.get(path), {"body": f"{body}x"}).status == 303
    assert site.read(Comment, comment.id).body == f"{body}x"

    with site.session() as session:
        (changed, *_) = history_of(session, "comments", str(comment.id), 5)
    before, after = changed.changes["body"]
    assert before == after == body[:1_000]
    seen = browser.get(f"/admin/comment/history/{comment.id}")
    assert seen.status == 200
    assert len(seen.html) < 50_000


def test_what_is_too_much_is_said_in_words(site: Office) -> None:
    """Beyond the request's limit nothing is read."""
    post = site.add(make_post)
    browser = site.browser("editor")
    seen = browser.get(f"/admin/post/edit/{post.id}")
    assert 'data-largest="10000000"' in seen.html
    seen = browser.submit(seen, {"body": "x" * 10_000_001})
    assert seen.status == 413
    assert "10 MB" in seen.text
    assert site.read(Post, post.id).body == post.body

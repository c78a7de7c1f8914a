"""What the tables of analyses promise."""

import hashlib
from decimal import Decimal

import pytest
from sqlalchemy import create_engine, delete, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backoffice.database.base import Base
from backoffice.database.triggers import refusal_of
from models.analyses import SCORES, BatchAnalysis, TextAnalysis, hash_of
from tests.factories import make_batch_analysis, make_text_analysis

CONTENT = "Selamat pagi, dunia: ñ 漢 🙂"


def test_hash_is_the_texts(demo_session: Session) -> None:
    """The hash is SHA-256 of the text in UTF-8."""
    analysis = make_text_analysis(demo_session, text=CONTENT)
    demo_session.refresh(analysis)

    assert analysis.hash == hashlib.sha256(CONTENT.encode()).hexdigest()


def test_hash_follows_the_text(demo_session: Session) -> None:
    """A new text has a new hash, before and after it is saved."""
    analysis = make_text_analysis(demo_session)

    analysis.text = CONTENT
    assert analysis.hash == hash_of(CONTENT)
    demo_session.flush()
    demo_session.refresh(analysis)
    assert analysis.hash == hash_of(CONTENT)


def test_hash_is_computed_past_the_orm(demo_session: Session) -> None:
    """Plain SQL gets the same hash, and cannot give another."""
    demo_session.execute(
        text("INSERT INTO text_analyses (text, hash) VALUES (:text, 'mine')"),
        {"text": CONTENT},
    )
    assert demo_session.scalar(select(TextAnalysis.hash)) == hash_of(CONTENT)

    demo_session.execute(update(TextAnalysis).values(hash="mine"))
    assert demo_session.scalar(select(TextAnalysis.hash)) == hash_of(CONTENT)


def test_hash_on_sqlite() -> None:
    """Where no trigger can compute it, both kinds of insert do."""
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        make_text_analysis(session, text="one")
        session.execute(insert(TextAnalysis), [{"text": "two"}])

        hashes = set(session.scalars(select(TextAnalysis.hash)))
    engine.dispose()

    assert hashes == {hash_of("one"), hash_of("two")}


def test_batch_leaves_its_texts(demo_session: Session) -> None:
    """The texts stay when their batch goes, and belong to none."""
    batch = make_batch_analysis(demo_session)
    analysis = make_text_analysis(demo_session, batch=batch)

    demo_session.execute(delete(BatchAnalysis))
    demo_session.refresh(analysis)

    assert analysis.batch_id is None


def test_emotions_come_back(demo_session: Session) -> None:
    """Scores are stored as they were given; none is NULL, not a JSON null."""
    scores = {"joy": 0.8, "fear": 0}
    given = make_text_analysis(demo_session, emotions=scores)
    none = make_text_analysis(demo_session, emotions=None)
    demo_session.expire_all()

    assert given.emotions == scores
    missing = select(TextAnalysis.id).where(TextAnalysis.emotions.is_(None))
    assert demo_session.scalars(missing).all() == [none.id]


def test_emotions_are_scores_on_sqlite_too() -> None:
    """A trigger looks into the document, where a check cannot."""
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        make_text_analysis(session, emotions={"joy": 1, "fear": 0.5})
        make_text_analysis(session, emotions={})
        make_text_analysis(session, emotions=None)
        for emotions in ({"joy": 1.5}, {"joy": "1"}, {"joy": None}, [1], 0.5):
            with pytest.raises(IntegrityError) as refused, session.begin_nested():
                make_text_analysis(session, emotions=emotions)
            assert refusal_of(refused.value) == ("emotions", SCORES)
        with pytest.raises(IntegrityError), session.begin_nested():
            session.execute(update(TextAnalysis).values(emotions={"joy": -1}))
    engine.dispose()


def test_counters_never_pass_the_size(demo_session: Session) -> None:
    """Two counters as large as integers get are refused, and not as an overflow."""
    with pytest.raises(IntegrityError, match="within_size"):
        make_batch_analysis(
            demo_session, size=2**31 - 1, processed=2**31 - 1, failed=2**31 - 1
        )


def test_sentiment_is_exact(demo_session: Session) -> None:
    """Three decimals come back as they went."""
    analysis = make_text_analysis(demo_session, sentiment=Decimal("-0.123"))
    demo_session.refresh(analysis)

    assert analysis.sentiment == Decimal("-0.123")

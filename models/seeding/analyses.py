"""Batches of texts, and findings that fit what the texts say."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from backoffice.seeding.chance import Chance, Weighted
from backoffice.seeding.plan import Fill
from models.analyses import (
    AnalysisStatus,
    AnalysisType,
    BatchAnalysis,
    OptimizationTier,
    TextAnalysis,
    hash_of,
)
from models.seeding.clock import NOW, Timeline
from models.seeding.tables import table_of

TIMES = ("created_at", "updated_at")
Row = tuple[Any, ...]

TEXTS_OF_A_BATCH = 50
FIRST_DAY = date(2025, 1, 7)

# What a text is, how it begins; {0} is its number: no text comes twice.
KINDS = (
    ("Product reviews", "Review of order {0}:"),
    ("Support mail", "Ticket {0}. Hello,"),
    ("Course feedback", "Course feedback, sheet {0}:"),
    ("Parents' evening", "Parents' evening, note {0}."),
    ("Reader comments", "Comment {0}:"),
    ("Exit interviews", "Interview {0}. In short:"),
)
GOOD = (
    "Everything went smoothly from the first day to the last.",
    "I could not be happier with how this turned out.",
    "The staff took their time and explained every step.",
    "It arrived earlier than promised and works perfectly.",
    "My daughter looks forward to it every week.",
    "A small thing, but the thank-you note made my day.",
    "This is the best I have seen in years.",
    "I have already recommended it to three friends.",
)
NEUTRAL = (
    "I have used it for about two weeks now.",
    "The instructions are in English and Indonesian.",
    "We met on Tuesday and again on Friday.",
    "The box contained two parts and a cable.",
    "There were about thirty people in the room.",
    "I will write again after the holidays.",
    "The price is the same as last year.",
)
BAD = (
    "Nobody answered my calls for a whole week.",
    "It broke on the second day and I want my money back.",
    "The room was loud, hot and far too small.",
    "I am tired of repeating the same question.",
    "What was promised and what came had little in common.",
    "We waited for two hours and were then sent home.",
    "I am worried that it will happen again.",
    "This was a waste of an evening.",
)

TYPES = Weighted(
    {
        AnalysisType.SENTIMENT: 40,
        AnalysisType.FULL: 30,
        AnalysisType.EMOTION: 18,
        AnalysisType.QUALITY: 12,
    }
)
TIERS = Weighted(
    {
        OptimizationTier.BALANCED: 60,
        OptimizationTier.ECONOMY: 28,
        OptimizationTier.PRECISE: 12,
    }
)
# What a tier uses, and its milliseconds: a start and some for each character.
MODELS = {
    OptimizationTier.ECONOMY: ("lexicon-2", 4, 0.02),
    OptimizationTier.BALANCED: ("compact-4", 60, 0.4),
    OptimizationTier.PRECISE: ("large-3", 450, 2.2),
}
# Half of the texts are content, a third are not, the others are neither.
MOODS = Weighted({1: 48, -1: 34, 0: 18})


def fills(texts: int, seed: int) -> tuple[Fill, ...]:
    """The analyses' tables in these sizes."""
    desk = Laboratory(texts, seed)
    return (
        Fill(
            table_of(BatchAnalysis),
            (
                "id", "name", "status", "size", "processed", "failed", "finished_at",
                *TIMES,
            ),
            desk.batches, desk.batches, desk.make_batches,
        ),
        Fill(
            table_of(TextAnalysis),
            (
                "id", "batch_id", "text", "hash", "type", "tier", "status",
                "sentiment", "quality", "emotions", "milliseconds", "model", *TIMES,
            ),
            texts, texts, desk.make_texts,
        ),
    )  # fmt: skip


class Laboratory:
    """What batches and texts must agree about."""

    def __init__(self, texts: int, seed: int) -> None:
        self.texts = texts
        # One text in ten came alone.
        self._batched = texts * 9 // 10
        self.batches = -(-self._batched // TEXTS_OF_A_BATCH)
        self._chance = Chance(seed, "analyses")
        self._timeline = Timeline(
            FIRST_DAY, lambda day: 1.0 if day.weekday() < 5 else 0.15
        )

    def make_batches(self, units: range, _random: Random) -> Iterator[Row]:
        """Batches with the counts of their texts."""
        for unit in units:
            first = unit * TEXTS_OF_A_BATCH
            members = range(first, min(first + TEXTS_OF_A_BATCH, self._batched))
            states = [self._status(text) for text in members]
            failed = states.count(AnalysisStatus.FAILED)
            done = states.count(AnalysisStatus.DONE)
            status = self._batch_status(unit)
            created = self._when(unit)
            ended = created + timedelta(seconds=len(members) * 3 + unit % 60)
            over = status in {AnalysisStatus.DONE, AnalysisStatus.FAILED}
            kind = KINDS[unit % len(KINDS)][0]
            yield (
                unit + 1,
                f"{kind}, {created:%d %B %Y}",
                status.value,
                len(members),
                done,
                failed,
                ended if over else None,
                created,
                created if status is AnalysisStatus.PENDING else ended,
            )

    def make_texts(self, units: range, random: Random) -> Iterator[Row]:
        """Texts, and what was found in those that are done."""
        for unit in units:
            batch = unit // TEXTS_OF_A_BATCH if unit < self._batched else None
            mood = MOODS.at(random.random())
            text = self._text(unit, batch, mood, random)
            kind, tier = TYPES.at(random.random()), TIERS.at(random.random())
            status = self._status(unit)
            created = self._created(unit, batch)
            found: tuple[Any, ...] = (None,) * 5
            if status is AnalysisStatus.DONE:
                found = _findings(kind, tier, mood, len(text), random)
            milliseconds = found[3]
            updated = created + timedelta(milliseconds=milliseconds or 0)
            yield (
                unit + 1,
                None if batch is None else batch + 1,
                text,
                hash_of(text),
                kind.value,
                tier.value,
                status.value,
                *found,
                created,
                updated,
            )

    def _text(self, unit: int, batch: int | None, mood: int, random: Random) -> str:
        """A beginning with a number of its own, and sentences of one mood."""
        own = (unit if batch is None else batch) % len(KINDS)
        sentences = {1: GOOD, 0: NEUTRAL, -1: BAD}[mood]
        chosen = [sentences[int(random.random() * len(sentences))] for _ in range(2)]
        chosen.insert(1, NEUTRAL[int(random.random() * len(NEUTRAL))])
        if random.random() < 0.3:
            chosen.append(sentences[int(random.random() * len(sentences))])
        unique = dict.fromkeys(chosen)
        return f"{KINDS[own][1].format(100_000 + unit)} {' '.join(unique)}"

    def _status(self, text: int) -> AnalysisStatus:
        """What became of a text, as its batch counts it."""
        if text < self._batched:
            batch = self._batch_status(text // TEXTS_OF_A_BATCH)
            if batch is AnalysisStatus.PENDING:
                return batch
            if batch is AnalysisStatus.RUNNING and text % TEXTS_OF_A_BATCH > 20:
                return AnalysisStatus.PENDING
            if batch is AnalysisStatus.FAILED and text % TEXTS_OF_A_BATCH > 5:
                return AnalysisStatus.FAILED
        failed = self._chance.below(40, text) == 0
        return AnalysisStatus.FAILED if failed else AnalysisStatus.DONE

    def _batch_status(self, batch: int) -> AnalysisStatus:
        """The last ones wait, the one before is running, one in thirty failed."""
        left = self.batches - batch
        if left <= 2:
            return AnalysisStatus.PENDING
        if left == 3:
            return AnalysisStatus.RUNNING
        if self._chance.below(30, batch, 1) == 0:
            return AnalysisStatus.FAILED
        return AnalysisStatus.DONE

    def _when(self, batch: int) -> datetime:
        return self._timeline.at((batch + 0.5) / self.batches)

    def _created(self, text: int, batch: int | None) -> datetime:
        if batch is not None:
            place = text % TEXTS_OF_A_BATCH
            return self._when(batch) + timedelta(seconds=3 * place)
        alone = self.texts - self._batched
        return min(self._timeline.at((text - self._batched + 0.5) / alone), NOW)


def _findings(
    kind: AnalysisType, tier: OptimizationTier, mood: int, length: int, random: Random
) -> tuple[Any, ...]:
    """Sentiment, quality, emotions, milliseconds and model of one text."""
    score = min(max(random.gauss(0.62 * mood, 0.16), -1), 1)
    quality = min(max(random.gauss(0.55 + length / 900, 0.12), 0), 1)
    model, start, each = MODELS[tier]
    spent = int((start + each * length) * (0.8 + random.random() ** 3))
    emotions = _emotions(score, random)
    has_sentiment = kind is not AnalysisType.QUALITY
    has_quality = kind in {AnalysisType.QUALITY, AnalysisType.FULL}
    has_emotions = kind in {AnalysisType.EMOTION, AnalysisType.FULL}
    return (
        _thousandths(score) if has_sentiment else None,
        _thousandths(quality) if has_quality else None,
        emotions if has_emotions else None,
        spent,
        model,
    )


def _emotions(score: float, random: Random) -> dict[str, float]:
    """Joy and trust rise with the sentiment, anger and sadness fall with it."""
    up, down = max(score, 0), max(-score, 0)
    centres = {
        "joy": 0.08 + 0.8 * up,
        "trust": 0.15 + 0.55 * up,
        "anger": 0.05 + 0.7 * down,
        "sadness": 0.06 + 0.5 * down,
        "fear": 0.04 + 0.3 * down,
        "surprise": 0.2,
    }
    return {
        name: round(min(max(random.gauss(centre, 0.05), 0), 1), 2)
        for name, centre in centres.items()
    }


def _thousandths(value: float) -> Decimal:
    return Decimal(round(value * 1000)).scaleb(-3)

"""Batches of texts, and findings that fit what the texts say."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Kind:
    """What a text is; how it begins, with its number; what such texts say."""

    name: str
    begin: str
    good: tuple[str, ...]
    neutral: tuple[str, ...]
    bad: tuple[str, ...]


# A text's number stands in it: no text comes twice.
KINDS = (
    Kind(
        "Product reviews",
        "Review of order {0}:",
        (
            "It arrived earlier than promised and works perfectly.",
            "The best I have bought in years.",
            "Well made, well packed, and the thank-you note made my day.",
            "I have already recommended it to three friends.",
            "Even my mother-in-law likes it.",
        ),
        (
            "I have used it for about two weeks now.",
            "The instructions are in English and Indonesian.",
            "The box contained two parts and a cable.",
            "The price is the same as last year.",
        ),
        (
            "It broke on the second day and I want my money back.",
            "The colour has nothing to do with the picture.",
            "One part was missing and nobody answers my calls.",
            "Never again. It smells, it wobbles, and it was not cheap.",
            "I am tired of sending photographs of the damage.",
        ),
    ),
    Kind(
        "Support mail",
        "Ticket {0}. Hello,",
        (
            "thank you, it works again and I understand why.",
            "your colleague took her time and explained every step.",
            "that was the quickest answer I have ever had.",
            "everything is fine now, please close the ticket.",
        ),
        (
            "I use the version of last month on two machines.",
            "you find the log attached.",
            "my customer number is in the subject.",
            "I can be reached in the mornings.",
        ),
        (
            "this is the fourth time I ask the same question.",
            "since the update I have lost two days of work.",
            "nobody called back, although it was promised twice.",
            "I am worried that our data is gone for good.",
        ),
    ),
    Kind(
        "Course feedback",
        "Course feedback, sheet {0}:",
        (
            "I look forward to this hour every week.",
            "For the first time I understand what a proof is for.",
            "The teacher listens, and one can ask anything.",
            "The excursion was wonderful.",
        ),
        (
            "We meet on Tuesdays and Fridays.",
            "There are about thirty of us in the room.",
            "We are in the third chapter now.",
            "I took the course because of a friend.",
        ),
        (
            "The room is loud, hot and far too small.",
            "I am lost since the second week and afraid of the exam.",
            "We copy from the board and that is all.",
            "A waste of an afternoon.",
        ),
    ),
    Kind(
        "Parents' evening",
        "Parents' evening, note {0}.",
        (
            "Our daughter goes to school happily and tells us about it at dinner.",
            "We feel that our son is seen and taken seriously.",
            "Thank you for the extra hours before the exam.",
            "The new garden is a joy for everybody.",
        ),
        (
            "Both parents were there.",
            "We will send the form next week.",
            "The next meeting is after the holidays.",
            "He takes the bus at six.",
        ),
        (
            "Homework takes until ten at night, and there are tears.",
            "We heard of the bad mark when it was too late.",
            "The bus was late again and the children stood in the rain.",
            "We are angry that nobody told us.",
        ),
    ),
    Kind(
        "Reader comments",
        "Comment {0}:",
        (
            "this made me smile on a grey morning.",
            "beautifully written, more of this please.",
            "I learned more from this page than from the whole book.",
            "I read it aloud to the family and we all laughed.",
        ),
        (
            "the second photograph shows the old market.",
            "there is a longer version in the printed issue.",
            "I live two streets away.",
            "the bridge was built in 1932.",
        ),
        (
            "half of this is wrong and the rest is copied.",
            "I am sad to see what has become of this column.",
            "the author has clearly never been there.",
            "one paragraph of text, five advertisements. Terrible.",
        ),
    ),
    Kind(
        "Exit interviews",
        "Interview {0}. In short:",
        (
            "the best team I have ever worked with.",
            "I was trusted from the first day.",
            "I leave with a heavy heart and would come back.",
            "I could learn something new every month.",
        ),
        (
            "I was here for four years.",
            "my new place is in another town.",
            "I handed over my keys on Friday.",
            "I worked mostly in the warehouse.",
        ),
        (
            "promises were made each spring and broken each autumn.",
            "I was afraid of Monday on Friday.",
            "nobody said thank you, not once.",
            "the shifts made me ill.",
        ),
    ),
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
            kind = KINDS[unit % len(KINDS)].name
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
        kind = KINDS[(unit if batch is None else batch) % len(KINDS)]
        sentences = {1: kind.good, 0: kind.neutral, -1: kind.bad}[mood]
        chosen = [sentences[int(random.random() * len(sentences))] for _ in range(2)]
        chosen.insert(1, kind.neutral[int(random.random() * len(kind.neutral))])
        if random.random() < 0.3:
            chosen.append(sentences[int(random.random() * len(sentences))])
        unique = dict.fromkeys(chosen)
        begin = kind.begin.format(100_000 + unit)
        return f"{begin} {_sentences(unique)}"

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


def _sentences(chosen: Iterable[str]) -> str:
    """What follows a colon or a greeting begins small, what follows a stop does not."""
    first, *others = chosen
    return " ".join([first, *(other[0].upper() + other[1:] for other in others)])


def _thousandths(value: float) -> Decimal:
    return Decimal(round(value * 1000)).scaleb(-3)

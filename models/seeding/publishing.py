"""Authors, their posts over some years, and what readers said."""

from collections.abc import Iterator
from datetime import date, timedelta
from random import Random
from typing import Any

from backoffice.seeding.chance import Chance, Weighted
from backoffice.seeding.plan import Fill
from models.publishing import Author, Comment, Post, PostStatus
from models.seeding.clock import NOW, Timeline
from models.seeding.people import DOMAINS, People, address
from models.seeding.tables import table_of

TIMES = ("created_at", "updated_at")
Row = tuple[Any, ...]

POSTS_OF_AN_AUTHOR = 8
COMMENTS_OF_A_POST = 3
FIRST_DAY = date(2021, 9, 1)

SUBJECTS = (
    ("gamelan", "music", "the players listen before they play"),
    ("batik", "craft", "wax and dye have to agree"),
    ("street food", "food", "the best stall has the longest queue"),
    ("volcanoes", "science", "a mountain is never quite asleep"),
    ("rice terraces", "farming", "water is shared by the hour"),
    ("shadow puppets", "theatre", "the night is long and so is the story"),
    ("public libraries", "reading", "a quiet room is worth a great deal"),
    ("night trains", "travel", "one arrives without having left"),
    ("exam season", "school", "sleep helps more than a last chapter"),
    ("school gardens", "school", "chillies teach patience"),
    ("coral reefs", "science", "colour is a sign of health"),
    ("old maps", "history", "what is left out says the most"),
    ("bicycles", "city", "the street belongs to those who use it"),
    ("market prices", "economy", "the price of rice is the price of everything"),
    ("local football", "sport", "everybody knows better than the referee"),
    ("rain", "weather", "one learns to wait under a roof"),
)
TITLES = (
    "What {0} taught me about {1}",
    "A beginner's guide to {0}",
    "Ten years of {0}",
    "Why {0} still matters",
    "The trouble with {0}",
    "Notes on {0}",
    "In praise of {0}",
    "{0}: a short history",
    "Rethinking {0}",
    "A morning with {0}",
)
SENTENCES = (
    "Anyone who has spent a season with {0} knows that {2}.",
    "I had read a lot about {0} before I saw it for myself.",
    "The first thing one notices is how many people care about {1}.",
    "My neighbour says that {2}, and she is usually right.",
    "It took three visits until I understood what was going on.",
    "There are easier ways to spend a weekend, and few better ones.",
    "Most of what is written about {0} was written far away from it.",
    "An old teacher of mine used to say: {2}.",
    "Numbers help: last year there were twice as many visitors as the year before.",
    "None of this would work without the people who come early and clean up late.",
    "If you go, take some water, small change and an open mind.",
    "I was wrong about {0}, and I am glad of it.",
    "The young ones do it differently, and that is how it should be.",
    "Next time I will write about {1} in general.",
)
REPLIES = (
    "Thank you, this is just what I was looking for.",
    "I remember it differently, but it was a pleasure to read.",
    "Could you say where the photographs were taken?",
    "My grandmother would have agreed with every word.",
    "There is a small mistake in the second paragraph.",
    "Lovely. More of this, please.",
    "I am not convinced, but you made me think.",
    "We read this in class today. The pupils had many questions.",
    "Is there a way to get this as a printed page?",
    "The part about the neighbour made me laugh.",
    "Half of this is true for my town as well.",
    "First time here, and I will come back.",
)
BIOS = (
    "Writes about {0} and {1}.",
    "Teacher by day, writer by night. Mostly {0}.",
    "Born in Magelang, lives in Yogyakarta. Interested in {0}, {1} and good coffee.",
    "Collects stories about {0}.",
)
STATUSES = Weighted(
    {PostStatus.PUBLISHED: 82, PostStatus.DRAFT: 11, PostStatus.ARCHIVED: 7}
)


def fills(authors: int, seed: int) -> tuple[Fill, ...]:
    """Publishing's tables in these sizes."""
    desk = Desk(authors, seed)
    return (
        Fill(
            table_of(Author),
            ("id", "username", "full_name", "email", "bio", "is_active", *TIMES),
            authors, authors, desk.make_authors,
        ),
        Fill(
            table_of(Post),
            ("id", "author_id", "title", "body", "status", "published_at", *TIMES),
            desk.posts, desk.posts, desk.make_posts,
        ),
        Fill(
            table_of(Comment),
            ("id", "post_id", "name", "body", "is_approved", *TIMES),
            desk.comments, desk.comments, desk.make_comments,
        ),
    )  # fmt: skip


class Desk:
    """Who writes what, and when."""

    def __init__(self, authors: int, seed: int) -> None:
        self.authors = authors
        self.posts = authors * POSTS_OF_AN_AUTHOR
        self.comments = self.posts * COMMENTS_OF_A_POST
        self._people = People(seed, "authors")
        self._readers = People(seed, "readers")
        self._chance = Chance(seed, "publishing")
        # A little more is written each year, and less in the summer.
        self._timeline = Timeline(
            FIRST_DAY, lambda day: (day.year - 2018) * (0.6 if day.month == 7 else 1)
        )

    def make_authors(self, units: range, _random: Random) -> Iterator[Row]:
        """Authors in the order in which they came; one in ten has left."""
        for unit in units:
            person = self._people[unit]
            draw = self._chance.number(unit)
            created = self._timeline.at(0.6 * unit / self.authors)
            one, other = SUBJECTS[draw % 16], SUBJECTS[(draw // 16) % 16]
            bio = None if draw % 7 == 0 else BIOS[draw // 256 % 4]
            yield (
                unit + 1,
                person.local.replace(".", "_"),
                person.full_name,
                address(person, DOMAINS[draw // 4096 % len(DOMAINS)]),
                bio and bio.format(one[0], other[1]),
                draw % 10 != 0,
                created,
                created + timedelta(days=draw % 200),
            )

    def make_posts(self, units: range, random: Random) -> Iterator[Row]:
        """Posts in their order; a few authors write most of them."""
        for unit in units:
            share = unit / self.posts
            # Authors come over the first six tenths of the time.
            known = max(1, int(self.authors * min(1, share / 0.6)))
            author = int(known * random.random() ** 2)
            subject = SUBJECTS[int(random.random() * len(SUBJECTS))]
            title = TITLES[int(random.random() * len(TITLES))].format(*subject[:2])
            status = STATUSES.at(random.random())
            created = self._timeline.at(share)
            later = min(created + timedelta(hours=1 + random.random() * 90), NOW)
            yield (
                unit + 1,
                author + 1,
                title[0].upper() + title[1:],
                _body(subject, random),
                status.value,
                None if status is PostStatus.DRAFT else later,
                created,
                later,
            )

    def make_comments(self, units: range, random: Random) -> Iterator[Row]:
        """Comments in their order, most of them on what is new; some wait."""
        for unit in units:
            share = (unit + 0.5) / self.comments
            known = max(1, int(share * self.posts))
            post = int(known * (1 - random.random() ** 3))
            reader = self._readers[int(random.random() * 3 * self.posts)]
            says = [REPLIES[int(random.random() * len(REPLIES))]]
            if random.random() < 0.3:
                says.append(REPLIES[int(random.random() * len(REPLIES))])
            time = self._timeline.at(share)
            waits = NOW - time < timedelta(days=3) or random.random() < 0.04
            yield (
                unit + 1,
                min(post, known - 1) + 1,
                reader.full_name,
                " ".join(dict.fromkeys(says)),
                not waits,
                time,
                time,
            )


def _body(subject: tuple[str, str, str], random: Random) -> str:
    """Two to four paragraphs that keep to their subject."""
    left = list(SENTENCES)
    paragraphs = []
    for _ in range(2 + int(random.random() * 3)):
        count = 2 + int(random.random() * 2)
        chosen = [left.pop(int(random.random() * len(left))) for _ in range(count)]
        paragraphs.append(" ".join(sentence.format(*subject) for sentence in chosen))
    return "\n\n".join(paragraphs)

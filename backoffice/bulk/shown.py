"""What a preflight has shown, kept with its selection until it is confirmed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from typing import Any

from backoffice.bulk.models import Selection
from backoffice.bulk.target import Digest
from backoffice.bulk.trial import Preflight


@dataclass(frozen=True, slots=True)
class Shown:
    """Which rows were shown, what the action was told, and what would be left out.

    `digest` is empty where the rows could not be counted; `versions` are kept of few.
    `is_capped` where more may be refused than is known.
    """

    digest: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    excluded: Sequence[str] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] | None = None
    statement: str = ""
    is_capped: bool = False
    # Of more rows than that: what was visible then.
    snapshot: str = ""
    # Why the page before was not run, and which rows had become others: it is told
    # until something else is asked.
    reason: str = ""
    drift: Mapping[str, Any] | None = None

    @property
    def mark(self) -> str:
        """What a confirmation bears of it; the same again if the same is shown again.

        Everything that decides what would run is in it.
        """
        parts = [
            self.digest,
            dict(self.parameters),
            sorted(self.excluded),
            dict(self.refused),
            self.is_capped,
        ]
        text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
        return sha256(text.encode(errors="surrogatepass")).hexdigest()

    @property
    def rows(self) -> Digest | None:
        """How many rows were shown and their hash, where they were counted."""
        count, _, hashed = self.digest.partition(":")
        return Digest(int(count), hashed) if hashed else None

    def still_told(self, before: "Shown | None") -> "Shown":
        """The same, with why the page before it was not run, if nothing else was asked.

        Who comes back to it finds the rows that have become others.
        """
        if before is None or before.drift is None:
            return self
        if dict(before.parameters) != dict(self.parameters):
            return self
        if list(before.excluded) != list(self.excluded):
            return self
        return replace(self, reason=before.reason, drift=before.drift)

    def document(self) -> dict[str, Any]:
        """It as it is kept."""
        return asdict(self)


def shown_of(
    found: Preflight,
    *,
    parameters: Mapping[str, str] | None,
    excluded: Sequence[str],
    most: int,
) -> Shown:
    """What a preflight shows; each row's version is kept of at most `most` rows."""
    return Shown(
        digest=str(found.digest) if found.digest else "",
        parameters=dict(parameters or {}),
        excluded=list(excluded),
        refused={one.row.key: one.words for one in found.refused},
        versions=dict(found.versions)
        if found.versions is not None and found.count <= most
        else None,
        statement=found.statement,
        is_capped=found.is_refused_capped or not found.is_whole,
        snapshot=found.snapshot,
    )


def last_shown(selection: Selection) -> Shown | None:
    """What was shown last of a selection; None where nothing was."""
    return Shown(**selection.shown) if selection.shown else None

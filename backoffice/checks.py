"""What a check has to say: a level, a sentence, a hint and an id that stays."""

from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """How bad a finding is; errors stop a deployment."""

    INFO = 20
    WARNING = 30
    ERROR = 40


@dataclass(frozen=True, slots=True)
class CheckMessage:
    """One finding of `manage.py check`, after Django's `CheckMessage`."""

    level: Level
    text: str
    hint: str = ""
    id: str = ""

    def __str__(self) -> str:
        head = f"{self.level.name.lower()} {self.id}: {self.text}"
        hint = self.hint.replace("\n", "\n    ")
        return f"{head}\n    {hint}" if hint else head

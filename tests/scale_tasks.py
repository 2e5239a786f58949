"""Tasks that end the process that works on them; imported by worker processes."""

import os
from dataclasses import dataclass
from typing import Any, ClassVar

from duetto.data.utterance import Utterance
from duetto.scale.tasks import Opened


@dataclass(frozen=True)
class Deadly:
    """Ends its process at some recordings, and has a defect at another."""

    name: ClassVar[str] = "deadly"
    ids: str = ""

    def open(self) -> Opened:
        def answer(utterance: Utterance) -> dict[str, Any]:
            if utterance.id in self.ids.split():
                os._exit(9)
            if utterance.id == "r5":
                raise KeyError("a defect")
            return {"size": utterance.audio.stat().st_size}

        return Opened(f"deadly {self.ids}", {"size": "int64"}, answer)


@dataclass(frozen=True)
class Stillborn:
    """Cannot be opened."""

    name: ClassVar[str] = "stillborn"

    def open(self) -> Opened:
        os._exit(9)

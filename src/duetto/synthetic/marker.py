"""`SYNTHETIC.json`: states that a corpus is synthetic, whether it is complete, and what is planted in each utterance.

Plan ─ save ─▶ SYNTHETIC.json ─ read_marker ─▶ Record
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..corpora.iemocap import SYNTHETIC_MARKER
from ..errors import CorpusError
from ..utils import files
from ..utils.reading import Record, read_json
from .channel import ceilings
from .plan import Plan
from .ratings import rating_ceilings

MARKER = SYNTHETIC_MARKER
"""Name of the file at the root of a synthetic corpus."""
VERSION = 2
"""Of what is written. The same version, options, seed and machine give the same bytes."""
NOTE = (
    "Synthetic speech by espeak-ng in the layout of IEMOCAP, written by duetto. No human speaks here, and no"
    " result on it says anything about recognising the emotions of people."
)


def content(plan: Plan, *, complete: bool = True) -> dict[str, Any]:
    """Describe a corpus.

    Args:
        plan: The corpus.
        complete: Whether all of it is written.

    Returns:
        The content of the marker.
    """
    options = plan.options
    return {
        "synthetic": True,
        "complete": complete,
        "note": NOTE,
        "version": VERSION,
        "seed": options.seed,
        "size": options.size,
        "leak": options.leak,
        "unseen_test_voices": options.unseen_test_voices,
        "other_labels": options.other_labels,
        "channel": {"own": options.channel.own, "sibling": options.channel.sibling},
        "ceilings": ceilings(options.channel),
        "rating_ceilings": rating_ceilings(options.channel),
        "utterances": {
            line.id: {
                "emotion": line.emotion,
                "style": line.style,
                "wording": line.wording,
                "scripted": line.scripted,
            }
            for line in plan.lines
        },
    }


def save(folder: Path, plan: Plan, *, complete: bool) -> None:
    """Write the marker of a corpus.

    Args:
        folder: Of the corpus.
        plan: The corpus.
        complete: Whether all of it is written.
    """
    text = json.dumps(content(plan, complete=complete), indent=1, ensure_ascii=False)
    files.write_text(folder / MARKER, text + "\n")


def is_complete(folder: str | Path) -> bool:
    """Check for a synthetic corpus that was written to its end.

    Args:
        folder: Of the corpus.

    Returns:
        Whether it is one.

    Raises:
        CorpusError: The marker is damaged.
    """
    return (Path(folder) / MARKER).is_file() and _is_complete(read_unfinished(Path(folder)))


def read_marker(folder: str | Path) -> Record:
    """Read the marker of a complete corpus.

    Args:
        folder: Of the corpus.

    Returns:
        Its content.

    Raises:
        CorpusError: There is no marker, it is damaged, or the corpus is incomplete.
    """
    marker = read_unfinished(Path(folder))
    if not _is_complete(marker):
        raise CorpusError(f"{folder}: the synthesis of this corpus was interrupted; run it again to go on")
    return marker


def read_unfinished(folder: Path) -> Record:
    """Read the marker of a corpus, which need not be complete.

    Args:
        folder: Of the corpus.

    Returns:
        Its content.

    Raises:
        CorpusError: There is no marker, or it is damaged.
    """
    marker = read_json(folder / MARKER, error=CorpusError, repair="write the corpus again, into a new folder")
    if not marker.boolean("synthetic"):
        raise marker.wrong("'synthetic' must be true")
    marker.record("utterances")
    return marker


def _is_complete(marker: Record) -> bool:
    return marker.boolean("complete", True)  # versions up to 0.9 wrote the marker last

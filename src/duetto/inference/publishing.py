"""A model folder made ready for the Hugging Face Hub.

model folder ─ stage ─▶ its files, and a card with the metadata that the Hub reads
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from ..asr.finder import LANGUAGE_MODEL_FILE, trained_languages
from ..errors import ConfigurationError, ModelError
from ..utils import files
from ..utils.hub import PREFIX, leads_elsewhere
from ..utils.reading import read_bytes
from . import pretrained
from .model_folder import PATTERNS
from .recogniser import Recogniser

_FRONT = re.compile(r"\A---\n(.*?)^---\n", re.M | re.S)
_LONGEST_CARD = 1 << 20
_TAGS = ("speech-emotion-recognition", "audio-classification", "onnx", "duetto")


@dataclass(frozen=True)
class Publication:
    """What the card of a model on the Hub states.

    Attributes:
        repository: OWNER/NAME.
        license: Identifier of a licence; None for what the card states, or `unknown`.
        languages: ISO 639-1 codes of the languages that the model was made for; none for what the card or the model
            states.
        scores: Name of a metric of the Hub → the model's score on test data, from 0 to 1.
        dataset: Name of the test data.
    """

    repository: str
    license: str | None = None
    languages: Sequence[str] = ()
    scores: Mapping[str, float] | None = None
    dataset: str = ""

    def metadata(self, folder: Path) -> dict[str, Any]:
        """Make the metadata of the card.

        Args:
            folder: The model folder.

        Returns:
            Key → JSON value.
        """
        languages = list(self.languages)
        if not languages and (folder / LANGUAGE_MODEL_FILE).is_file():
            languages = list(trained_languages(folder))
        scores = [{"type": metric, "value": round(value, 4)} for metric, value in (self.scores or {}).items()]
        dataset = {"name": self.dataset, "type": self.dataset}
        task = {"type": "audio-classification", "name": "Speech emotion recognition"}
        result = {"task": task, "dataset": dataset, "metrics": scores}
        return {
            "license": self.license or "unknown",
            **({"language": languages} if languages else {}),
            "library_name": "duetto",
            "pipeline_tag": "audio-classification",
            "tags": list(_TAGS),
            **({"metrics": list(self.scores), "model-index": [self._index(result)]} if self.scores else {}),
        }

    def _index(self, result: Mapping[str, Any]) -> dict[str, Any]:
        return {"name": self.repository.partition("/")[2], "results": [result]}


def stage(folder: Path, out: Path, publication: Publication) -> None:
    """Copy a model folder, with a card that the Hub reads.

    Args:
        folder: The model folder, which is opened first: what cannot predict is not published.
        out: An empty folder.
        publication: What the card states.

    Raises:
        ModelError: The folder holds no valid model, or a link to a file elsewhere.
        ConfigurationError: Another licence was given than the card states.
    """
    Recogniser(folder, asr="corpus", require_speech=False)
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not any(fnmatch(name, pattern) for pattern in PATTERNS) or path.is_dir():
            continue
        if leads_elsewhere(path):
            raise ModelError(f"{path}: is a link to a file elsewhere; replace it by the file")
        files.copy(path, out / name)
    card = folder / pretrained.CARD
    text = f"# {publication.repository}\n\n    duetto predict FILE --model FOLDER\n"
    if card.is_file():
        text = read_bytes(card, error=ModelError, limit=_LONGEST_CARD).decode("utf-8", errors="replace")
    files.write_text(out / pretrained.CARD, card_text(text, publication, folder))


def card_text(text: str, publication: Publication, folder: Path) -> str:
    """Complete a card by the metadata that the Hub reads, at its beginning.

    Args:
        text: The card, with or without metadata; what it states stays.
        publication: What else it states.
        folder: The model folder.

    Returns:
        The card; `FOLDER` in its command is the name on the Hub.

    Raises:
        ConfigurationError: Another licence was given than the card states.
    """
    found = _FRONT.match(text)
    front, body = (found[1], text[found.end() :]) if found else ("", text)
    stated = dict(re.findall(r"^([\w-]+):[ \t]*(.*?)[ \t]*$", front, flags=re.M))
    if publication.license and stated.get("license", publication.license) != publication.license:
        raise ConfigurationError(
            f"license {publication.license}: the card of the model states {stated['license']}; leave --license out"
        )
    added = {key: value for key, value in publication.metadata(folder).items() if key not in stated}
    lines = "".join(f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in added.items())
    body = body.replace("--model FOLDER", f"--model {PREFIX}{publication.repository}")
    return f"---\n{front}{lines}---\n{body}"

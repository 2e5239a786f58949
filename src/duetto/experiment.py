"""An experiment: one frozen configuration, read from TOML; each file states only its differences.

    experiments/fusion-word2vec.toml ─ load ─▶ Experiment ─▶ features, inputs, model, training

`SYSTEMS` names the experiments that come with duetto; a path to any other TOML file works as well.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_type_hints

from .errors import ConfigurationError
from .frames import MAX_FRAMES, MAX_WORDS

EXPERIMENTS = Path(__file__).parent / "experiments"

SYSTEMS: dict[str, str] = {
    "acoustic": "acoustic.toml",
    "acoustic-portable": "acoustic-portable.toml",
    "embedding-speech2vec": "embedding-speech2vec.toml",
    "embedding-word2vec": "embedding-word2vec.toml",
    "embedding-spoken": "embedding-spoken.toml",
    "embedding-random": "embedding-random.toml",
    "fusion-speech2vec": "fusion-speech2vec.toml",
    "fusion-word2vec": "fusion-word2vec.toml",
    "fusion-spoken": "fusion-spoken.toml",
    "fusion-random": "fusion-random.toml",
}
"""Name of a system → its experiment file."""

_CHOICES: dict[str, tuple[str, ...]] = {
    "encoders": ("acoustic", "words"),
    "embeddings": ("random", "file", "word2vec", "speech2vec", "spoken"),
    "unknown": ("random", "zero", "mean", "subword"),
    "padding": ("packed", "pre", "post"),
    "normalisation": ("none", "train", "speaker", "utterance"),
    "features": ("corrected", "pyaudioanalysis", "voice"),
    "acoustic_encoder": ("bilstm", "statistics"),
    "augmentation": ("none", "recording"),
    "epoch_choice": ("development", "last"),
}


@dataclass(frozen=True)
class Experiment:
    """Everything that defines a system, apart from data, seed and device.

    title: a line for tables. paper_ua: the figure in the paper's table, in percent, where there is one.
    encoders: `acoustic`, `words`, or both.
    features: what the acoustic encoder hears, see `features.kinds`. max_frames: frames kept, from the beginning
        (paper: 200). acoustic_encoder: `bilstm`, or `statistics` (`models.encoders.StatisticsEncoder`).
    normalisation: `train` z-scores by training statistics, `speaker` by each speaker's own, `utterance` by each
        utterance's own, or `none`.
    augmentation: `recording` lets training hear each utterance as it came or as one of `augmented_copies` that
        were recorded elsewhere (`augment.recording`), drawn anew every epoch; never development or test data.
    padding: `packed` reads each sequence to its own end; `pre` and `post` pad with zeros to max_frames
        and max_words and read the padding as well, as the paper's Keras code most likely did.
    embeddings: what the second encoder reads. A table of word types, trained along: `random`, `file`
        (vectors given when training), `word2vec` or `speech2vec` (trained on the training part; a file that
        is given replaces them). Or `spoken`: Speech2Vec of every single spoken word, from its sound.
    word_dim: their dimension. unknown: what a word gets that the vectors lack (`words.vectors.table`).
    max_words: words kept, from the beginning (paper: 128).
    hidden, dense, head_layers, recurrent_dropout, dropout: see `models.fusion.ModelConfig`.
    epochs, batch_size, learning_rate: paper, section 4.1. class_weights: weigh the loss by inverse
        class frequency. patience: epochs without gain on development data before training stops;
        0 never stops early. epoch_choice: weights of the best `development` epoch, or of the `last`.
    """

    name: str
    title: str
    encoders: tuple[str, ...]
    paper_ua: float | None = None
    label_set: str = "four"
    features: str = "corrected"
    max_frames: int = MAX_FRAMES
    normalisation: str = "train"
    padding: str = "packed"
    embeddings: str = "random"
    word_dim: int = 50
    unknown: str = "random"
    max_words: int = MAX_WORDS
    hidden: int = 128
    dense: int = 256
    head_layers: int = 1
    recurrent_dropout: float = 0.2
    dropout: float = 0.3
    epochs: int = 20
    batch_size: int = 32
    learning_rate: float = 1e-3
    class_weights: bool = False
    patience: int = 0
    epoch_choice: str = "development"
    acoustic_encoder: str = "bilstm"
    augmentation: str = "none"
    augmented_copies: int = 4

    def __post_init__(self) -> None:
        for key, choices in _CHOICES.items():
            value = getattr(self, key)
            values = value if isinstance(value, tuple) else (value,)
            if not values or set(values) - set(choices):
                raise ConfigurationError(f"{key} = {value!r} is not valid; choose from {', '.join(choices)}")
        for key in (
            "max_frames",
            "max_words",
            "word_dim",
            "hidden",
            "dense",
            "epochs",
            "batch_size",
            "augmented_copies",
        ):
            if getattr(self, key) < 1:
                raise ConfigurationError(f"{key} = {getattr(self, key)} is not valid; give a whole number from 1 on")
        if len(set(self.encoders)) < len(self.encoders):
            raise ConfigurationError(f"encoders = {list(self.encoders)} names one twice")
        for key in ("head_layers", "patience"):
            if getattr(self, key) < 0:
                raise ConfigurationError(f"{key} = {getattr(self, key)} is not valid; give a whole number from 0 on")
        if self.acoustic_encoder == "statistics" and self.normalisation == "utterance":
            raise ConfigurationError(
                "normalisation = 'utterance' makes every mean 0 and every deviation 1, which is all that "
                "acoustic_encoder = 'statistics' hears; set normalisation = \"train\", or another encoder"
            )
        if not self.learning_rate > 0:
            raise ConfigurationError(f"learning_rate = {self.learning_rate} is not valid; give a number above 0")
        for key in ("recurrent_dropout", "dropout"):
            if not 0 <= getattr(self, key) < 1:
                raise ConfigurationError(f"{key} = {getattr(self, key)} is not valid; give a share in [0, 1)")

    @property
    def uses_audio(self) -> bool:
        """Whether the system hears the acoustics."""
        return "acoustic" in self.encoders

    @property
    def copies(self) -> int:
        """How many changed copies of each utterance training hears beside the original."""
        return self.augmented_copies if self.augmentation != "none" and self.uses_audio else 0

    @property
    def uses_words(self) -> bool:
        """Whether the system reads words."""
        return "words" in self.encoders

    def to_json(self) -> str:
        """The configuration as JSON, keys sorted: equal experiments have equal text."""
        return json.dumps(asdict(self), sort_keys=True)


def from_mapping(values: Mapping[str, Any], where: str) -> Experiment:
    """An `Experiment` from TOML or JSON values; `where` opens every error."""
    known = {field.name for field in fields(Experiment)}
    for key in values:
        if key not in known:
            raise ConfigurationError(f"{where}: unknown key {key!r}; known keys are {', '.join(sorted(known))}")
    for key in ("name", "title", "encoders"):
        if key not in values:
            raise ConfigurationError(f"{where}: {key!r} is required")
    hints = get_type_hints(Experiment)
    converted = {key: _convert(value, hints[key], f"{where}: {key}") for key, value in values.items()}
    try:
        return Experiment(**converted)
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: {error}") from error


def _convert(value: Any, hint: Any, where: str) -> Any:
    if isinstance(value, list):
        value = tuple(value)
    options = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    kinds = tuple(tuple if get_args(option) else option for option in options)
    if float in kinds and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise ConfigurationError(f"{where} = {value!r} is not of type {hint}")
    return value


def load(system: str | Path, **changes: Any) -> Experiment:
    """The experiment of a system name or a TOML file, with some fields changed."""
    path = EXPERIMENTS / SYSTEMS[str(system)] if str(system) in SYSTEMS else Path(system)
    if not path.is_file():
        raise ConfigurationError(
            f"{str(system)!r} is neither a system nor a file; systems are {', '.join(SYSTEMS)}, "
            "and any TOML experiment file works as well"
        )
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: not valid TOML ({error})") from error
    return replace(from_mapping(values, str(path)), **changes)


def changed(experiment: Experiment, settings: Sequence[str]) -> Experiment:
    """An experiment with some keys set, each given as `key=value`; its name and title say which.

    The value is TOML; what is not TOML is taken as a string, so `epoch_choice=last` needs no quotes.
    """
    values: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = (part.strip() for part in setting.partition("="))
        if not equals or key in ("name", "title"):
            raise ConfigurationError(f"setting {setting!r} is not valid; give KEY=VALUE, such as epoch_choice=last")
        try:
            values[key] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            values[key] = text
    if not values:
        return experiment
    suffix = ", ".join(f"{key}={value}" for key, value in values.items())
    names = {"name": f"{experiment.name} ({suffix})", "title": f"{experiment.title} ({suffix})"}
    return from_mapping({**asdict(experiment), **values, **names}, "setting")

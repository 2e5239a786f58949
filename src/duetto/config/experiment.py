"""An experiment: one frozen configuration, read from TOML; each file states only its differences.

    experiments/fusion-word2vec.toml ─ load ─▶ Experiment ─▶ features, inputs, model, training

`SYSTEMS` names the experiments that come with duetto; a path to any other TOML file works as well.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_type_hints

from ..audio.timing import MAX_FRAMES, MAX_WORDS
from ..errors import ConfigurationError
from ..utils.reading import finite, read_toml, shortened
from .cnn_stacks import STACKS
from .encoders import ACOUSTIC_ENCODERS, WORD_ENCODERS

EXPERIMENTS = Path(__file__).parent / "systems"

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
    "fusion-speech2vec-100": "fusion-speech2vec-100.toml",
    "fusion-speech2vec-200": "fusion-speech2vec-200.toml",
    "fusion-speech2vec-300": "fusion-speech2vec-300.toml",
    "fusion-word2vec-100": "fusion-word2vec-100.toml",
    "fusion-word2vec-200": "fusion-word2vec-200.toml",
    "fusion-word2vec-300": "fusion-word2vec-300.toml",
    "acoustic-attention": "acoustic-attention.toml",
    "embedding-attention": "embedding-attention.toml",
    "embedding-shuffled": "embedding-shuffled.toml",
    "fusion-attention": "fusion-attention.toml",
    "fusion-cross-attention": "fusion-cross-attention.toml",
    "fusion-confidence": "fusion-confidence.toml",
    "fusion-modality-dropout": "fusion-modality-dropout.toml",
    "fusion-speaker": "fusion-speaker.toml",
    "fusion-robust": "fusion-robust.toml",
    "mcnn": "mcnn.toml",
    "waveform-cnn": "waveform-cnn.toml",
    "spectrogram-cnn": "spectrogram-cnn.toml",
    "spectrogram-alexnet": "spectrogram-alexnet.toml",
    "acoustic-distilled": "acoustic-distilled.toml",
}
"""Name of a system → its experiment file."""

_CHOICES: dict[str, tuple[str, ...]] = {
    "encoders": ("acoustic", "words"),
    "embeddings": ("random", "file", "word2vec", "speech2vec", "spoken"),
    "unknown": ("random", "zero", "mean", "subword", "spoken"),
    "padding": ("packed", "pre", "post"),
    "normalisation": ("none", "train", "speaker", "utterance"),
    "features": ("corrected", "pyaudioanalysis", "spectrogram", "waveform", "voice"),
    "acoustic_encoder": ACOUSTIC_ENCODERS,
    "augmentation": ("none", "recording"),
    "recurrent_mask": ("per-sample", "shared"),
    "epoch_choice": ("development", "last", "best-on-test"),
    "pooling": ("last", "attention"),
    "fusion": ("concatenate", "cross-attention", "confidence"),
    "word_encoder": WORD_ENCODERS,
    "word_order": ("given", "shuffled"),
}

LONGEST, WIDEST, _MOST = 100_000, 65_536, 1_000_000
"""The most frames or words of a sequence (with padding `pre` or `post`, of every sequence), units of a layer, and
repetitions of anything: beyond what any corpus needs, and within what a computer can do."""

_LIMITS: tuple[tuple[tuple[str, ...], Callable[[float], bool], str], ...] = (
    (("max_frames", "max_words"), lambda value: 1 <= value <= LONGEST, f"a whole number from 1 to {LONGEST}"),
    (("word_dim", "hidden", "dense"), lambda value: 1 <= value <= WIDEST, f"a whole number from 1 to {WIDEST}"),
    (
        ("epochs", "batch_size", "augmented_copies"),
        lambda value: 1 <= value <= _MOST,
        f"a whole number from 1 to {_MOST}",
    ),
    (("patience",), lambda value: 0 <= value <= _MOST, f"a whole number from 0 to {_MOST}"),
    (("head_layers",), lambda value: 0 <= value <= 100, "a whole number from 0 to 100"),
    (("learning_rate", "distil_temperature"), lambda value: 0 < value < math.inf, "a number above 0"),
    (("recurrent_dropout", "dropout", "modality_dropout"), lambda value: 0 <= value < 1, "a share in [0, 1)"),
    (("auxiliary", "verification"), lambda value: 0 <= value < math.inf, "a weight from 0 on"),
    (("distil_weight",), lambda value: 0 <= value <= 1, "a share in [0, 1]"),
    (("paper_ua",), lambda value: value is None or 0 <= value <= 100, "a percentage"),
)
"""Keys, what holds for a valid value (NaN never does), and what to give."""

LEAKING_CHOICE = "best-on-test"
"""The choice of an epoch by its UA on test data: only there to show how much that flatters."""


@dataclass(frozen=True)
class Experiment:
    """Everything that defines a system, apart from data, seed and device.

    title: a line for tables. paper_ua: the figure in the paper's table, in percent, where there is one.
    encoders: `acoustic`, `words`, or both.
    features: what the acoustic encoder hears, see `features.registry`: short-term features in one of their modes, a
        spectrogram, the waveform, or features of the voice alone. max_frames: frames of it kept, from the
        beginning (paper: 200 of 100 ms; spectrograms and waveforms have frames of 10 ms).
    acoustic_encoder: `bilstm`, `statistics` (`models.encoders.StatisticsEncoder`), or one of
        `convolutions.STACKS`. initial: a safetensors file with weights that its convolutions start from, such as
        torchvision's for `alexnet`; empty to start at random.
    normalisation: `train` z-scores by training statistics, `speaker` by each speaker's own, `utterance` by each
        utterance's own, or `none`.
    augmentation: `recording` lets training hear each utterance as it came or as one of `augmented_copies` that
        were recorded elsewhere (`audio.augment.recording`), drawn anew every epoch; never development or test data.
    padding: `packed` reads each sequence to its own end; `pre` and `post` pad with zeros to max_frames
        and max_words and read the padding as well, as the paper's Keras code most likely did.
    embeddings: what the second encoder reads. A table of word types, trained along: `random`, `file`
        (vectors given when training), `word2vec` or `speech2vec` (trained on the training part; a file that
        is given replaces them). Or `spoken`: Speech2Vec of every single spoken word, from its sound.
    word_dim: their dimension. unknown: what a word gets that the vectors lack (`embeddings.table.table`). With
        `spoken`, a word that training did not hold is read as the known one that sounds most like it as well.
    max_words: words kept, from the beginning (paper: 128).
    hidden, dense, head_layers, recurrent_dropout, dropout: see `models.emotion.ModelConfig`.
    recurrent_mask: what drops out together: one mask a sample (`per-sample`, Keras), or one a batch (`shared`).
    epochs, batch_size, learning_rate: paper, section 4.1. class_weights: weigh the loss by inverse
        class frequency. patience: epochs without gain on development data before training stops;
        0 never stops early. epoch_choice: weights of the best `development` epoch, or of the `last`. Or
        `best-on-test`, which LEAKS: results are of kind `leak`, and the audit says so.
    pooling: what a BiLSTM says of a sequence, its `last` states or the mean of all weighted by `attention`.
    word_encoder: `bilstm`, or the multi-resolution CNN `mcnn`, with `hidden` filters a kernel size.
    fusion: `concatenate` both encodings; let the steps of each encoder see the other's first
        (`cross-attention`); or weigh each encoder's own answer by its `confidence`.
    auxiliary: with `confidence`, the weight of the encoders' own cross-entropy (mean of the two) in the loss.
    modality_dropout: share of training utterances for which one encoder's output, either at random, is zero.
    verification: weight of the loss that pulls encodings of one emotion together (`models.multiresolution_cnn`).
    word_order: `shuffled` reads the words of each utterance in an order drawn from seed and utterance id, in
        training and in test: what a system loses by it is what it knew from word order.
    teacher: a system (or TOML file) that is trained first, on the same training part, and whose answers for it
        the system learns beside the labels; empty for none. distil_temperature, distil_weight: see
        `models.distillation.loss`.
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
    recurrent_mask: str = "per-sample"
    dropout: float = 0.3
    epochs: int = 20
    batch_size: int = 32
    learning_rate: float = 1e-3
    class_weights: bool = False
    patience: int = 0
    epoch_choice: str = "development"
    pooling: str = "last"
    word_encoder: str = "bilstm"
    fusion: str = "concatenate"
    auxiliary: float = 1.0
    modality_dropout: float = 0.0
    verification: float = 0.0
    word_order: str = "given"
    acoustic_encoder: str = "bilstm"
    initial: str = ""
    teacher: str = ""
    distil_temperature: float = 2.0
    distil_weight: float = 0.5
    augmentation: str = "none"
    augmented_copies: int = 4

    def __post_init__(self) -> None:
        for key, choices in _CHOICES.items():
            value = getattr(self, key)
            values = value if isinstance(value, tuple) else (value,)
            if not values or set(values) - set(choices):
                raise ConfigurationError(f"{key} = {shortened(value)} is not valid; choose from {', '.join(choices)}")
        if len(set(self.encoders)) < len(self.encoders):
            raise ConfigurationError(f"encoders = {list(self.encoders)} names one twice")
        for keys, valid, what in _LIMITS:
            for key in keys:
                if not valid(getattr(self, key)):
                    raise ConfigurationError(f"{key} = {shortened(getattr(self, key))} is not valid; give {what}")
        for problem in _contradictions(self):
            raise ConfigurationError(problem)

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


def _contradictions(e: Experiment) -> Iterator[str]:
    """Keys that do not fit together, and what to change."""
    if e.augmentation != "none" and not e.uses_audio:
        yield f"augmentation = {e.augmentation!r} changes recordings, and this system hears none; add 'acoustic'"
    if e.acoustic_encoder == "statistics" and e.normalisation == "utterance":
        yield (
            "normalisation = 'utterance' makes every mean 0 and every deviation 1, which is all that "
            "acoustic_encoder = 'statistics' hears; set normalisation = \"train\", or another encoder"
        )
    stack = STACKS.get(e.acoustic_encoder)
    if stack is not None and e.features != stack.features:
        yield (
            f"acoustic_encoder = {e.acoustic_encoder!r} reads features = {stack.features!r}, not {e.features!r}; "
            "set both"
        )
    if e.initial and stack is None:
        yield (
            f"initial = {e.initial!r} has no use for acoustic_encoder = {e.acoustic_encoder!r}; "
            f"weights can start {', '.join(STACKS)}"
        )
    fused, dropped = f"fusion = {e.fusion!r}", f"modality_dropout = {e.modality_dropout}"
    for key, given in ((fused, e.fusion != "concatenate"), (dropped, e.modality_dropout > 0)):
        if given and not (e.uses_audio and e.uses_words):
            yield f'{key} needs two encoders; set encoders = ["acoustic", "words"]'
    if not e.uses_words:
        for key, default in (("word_encoder", "bilstm"), ("word_order", "given")):
            if getattr(e, key) != default:
                yield f"{key} = {getattr(e, key)!r} needs words; add 'words' to encoders"
    if e.fusion == "cross-attention":
        if e.pooling != "attention" or {e.word_encoder, e.acoustic_encoder} != {"bilstm"}:
            yield f'{fused} pools the states of two BiLSTMs; set pooling = "attention" and both encoders to "bilstm"'
        if e.modality_dropout:
            yield f"{dropped} cannot be had with {fused}, where both encodings hold both modalities; leave one out"


def from_mapping(values: Mapping[str, Any], where: str) -> Experiment:
    """An `Experiment` from TOML or JSON values; `where` opens every error."""
    known = {field.name for field in fields(Experiment)}
    for key in values:
        if key not in known:
            raise ConfigurationError(
                f"{where}: unknown key {shortened(key)}; known keys are {', '.join(sorted(known))}"
            )
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
    if float in kinds and (number := finite(value)) is not None:
        value = number
    fine = isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))
    if not fine or (isinstance(value, tuple) and not all(isinstance(item, str) for item in value)):
        raise ConfigurationError(f"{where} = {shortened(value)} is not of type {hint}")
    return value


def load(system: str | Path, **changes: Any) -> Experiment:
    """The experiment of a system name or a TOML file, with some fields changed."""
    path = EXPERIMENTS / SYSTEMS[str(system)] if str(system) in SYSTEMS else Path(system)
    if not path.is_file():
        raise ConfigurationError(
            f"{str(system)!r} is neither a system nor a file; systems are {', '.join(SYSTEMS)}, "
            "and any TOML experiment file works as well"
        )
    return replace(from_mapping(read_toml(path, error=ConfigurationError), str(path)), **changes)


def teacher_of(experiment: Experiment) -> Experiment | None:
    """The experiment of the teacher, where there is one, with as many epochs as its student; it must know the same
    classes and learn by itself."""
    if not experiment.teacher:
        return None
    teacher = load(experiment.teacher, epochs=experiment.epochs)
    if teacher.label_set != experiment.label_set:
        raise ConfigurationError(
            f"teacher {teacher.name!r} knows label_set = {teacher.label_set!r}, and {experiment.name!r} learns "
            f"{experiment.label_set!r}; they must be the same"
        )
    if teacher.epoch_choice == LEAKING_CHOICE:
        raise ConfigurationError(
            f"teacher {teacher.name!r} chooses its epoch on test data, which its student would learn from; set its "
            "epoch_choice to development or last"
        )
    if teacher.teacher:
        raise ConfigurationError(f"teacher {teacher.name!r} has a teacher itself; choose a system that learns alone")
    return teacher


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
        except (ValueError, RecursionError, KeyError):
            values[key] = text
    if not values:
        return experiment
    suffix = ", ".join(f"{key}={value}" for key, value in values.items())
    names = {"name": f"{experiment.name} ({suffix})", "title": f"{experiment.title} ({suffix})"}
    return from_mapping({**asdict(experiment), **values, **names}, "setting")

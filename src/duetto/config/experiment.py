"""An experiment: one frozen configuration, read from TOML; each file states only its differences from the defaults.

    systems/fusion-word2vec.toml ─ load ─▶ Experiment ─▶ features, inputs, model, training

`SYSTEMS` are the experiments that come with duetto; `load` takes the path of any other TOML file as well.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from ..audio.timing import MAX_FRAMES, MAX_WORDS
from ..data.utterance import DIMENSION, DIMENSIONS
from ..embeddings.table import UnknownPolicy
from ..errors import ConfigurationError
from ..features import registry
from ..utils.reading import read_toml
from .contradictions import DEFAULT_SHRINKAGE, contradictions
from .encoders import ACOUSTIC_ENCODERS, WORD_ENCODERS
from .fields import Condition, Dropout, Percentage, Positive, Share, Weight, field_types, from_values, one_of, whole

SYSTEMS: dict[str, Path] = {
    path.stem: path for path in sorted((Path(__file__).parent / "systems").glob("*.toml"), key=lambda path: path.stem)
}
"""Name of a system that comes with duetto → its experiment file: every TOML file in `config/systems`."""

LONGEST, WIDEST, _MOST = 100_000, 65_536, 1_000_000
"""Largest length of a sequence, width of a layer or vector, and number of repetitions: beyond what any corpus needs,
and within what a computer can do."""

DEFAULT_LABELS = "four"
"""The paper's label set (section 3)."""

Length = Annotated[int, whole(1, LONGEST)]
"""A number of frames or words."""

Width = Annotated[int, whole(1, WIDEST)]
"""A number of units or values."""

Count = Annotated[int, whole(1, _MOST)]
"""A number of repetitions."""

Dimension = Annotated[
    str, Condition(lambda name: DIMENSION.fullmatch(name) is not None, f"names are such as {', '.join(DIMENSIONS)}")
]
"""Name of a dimension in manifests."""

LEAKING_CHOICE = "best-on-test"
"""The value of `epoch_choice` that selects the epoch on test data: only there to measure how much that flatters."""


@dataclass(frozen=True)
class Experiment:
    """Everything that defines a system, apart from data, seed and device.

    A field's annotation states its valid values, and its docstring what it is. Section and table numbers are those of
    the paper; a default without one is ours, and leaves out whatever the paper does not have.

    Raises:
        ConfigurationError: A value is not valid, or two values contradict each other.
    """

    name: str
    """Name of the system: the stem of its file, and the folder of its runs."""

    title: str
    """Its name in tables and reports."""

    encoders: tuple[Literal["acoustic", "words"], ...]
    """The modalities: `acoustic` is the paper's ENC1, `words` its ENC2."""

    paper_ua: Percentage | None = None
    """Unweighted accuracy that the paper reports, in percent; None for a system that is not in its tables."""

    label_set: str = DEFAULT_LABELS
    """The classes: a key of `data.labels.LABEL_SETS`, or their names, separated by commas: `angry,bored,calm`. `four`
    is the paper's (section 3)."""

    dimensions: tuple[Dimension, ...] = ()
    """Dimensions that are learned beside the classes, such as `["arousal", "valence", "dominance"]`, in the units of
    the manifest: a second linear layer on the encoders' output (`models.heads.DimensionHead`). A network learns both at
    once (`dimension_weight`); with any other `classifier` they are a ridge regression (`training.ridge`). An utterance
    without a rating of a dimension does not count for that one. The paper has none."""

    # acoustic input

    features: Annotated[str, Condition(registry.is_known, f"choose from {registry.choices()}")] = "corrected"
    """Input of the acoustic encoder: a key of `features.registry.FEATURES`. `corrected` are the paper's 34 short-term
    features (section 2.1) by their definitions, `pyaudioanalysis` the same with the defects of that package.
    `encoder:FOLDER`, `encoder-means:FOLDER` and so on are those of `whisper`, `whisper-means` … with the speech encoder
    in that folder (`duetto encoder build`)."""

    speech_only: bool = False
    """Compute the features without pauses: only of what `audio.pauses.keep_speech` keeps. The paper cuts nothing."""

    max_frames: Length = MAX_FRAMES
    """Frames kept of an utterance, from its beginning (from its end with `padding = "pre"`). 200 frames of 100 ms are
    the paper's 20 s (section 2.1); spectrograms and waveforms have frames of 10 ms. Features of the whole recording
    have one frame, whatever this says."""

    normalisation: Literal["none", "train", "speaker", "utterance", "shrinkage"] = "train"
    """z-scores of each feature by the statistics of the training part (`train`), of the speaker, or of the utterance;
    `shrinkage` begins with those of the training part and approaches those of the speaker with every recording
    (`normalisation.adaptation`); `none` leaves features as they are. The paper states none."""

    shrinkage: Weight = DEFAULT_SHRINKAGE
    """Recordings of the speaker that count as much as the training statistics, with `normalisation = "shrinkage"`; 0
    chooses one of `training.adapted.SHRINKAGES` on development speakers, after training with the default."""

    augmentation: Literal["none", "recording"] = "none"
    """`recording`: in every epoch, training draws each utterance as it is or as one of `augmented_copies`, which
    `audio.augment.recording` changes as another room, microphone or line would. Development and test data are never
    augmented."""

    augmented_copies: Count = 4
    """Augmented copies of each training utterance. 4 is ours: each costs another extraction of the features."""

    # word input

    embeddings: Literal["random", "file", "word2vec", "speech2vec", "spoken"] = "random"
    """Input of the word encoder. A trainable table of word types, initialised at `random`, from a `file` of vectors
    given to training, or by `word2vec` or `speech2vec` trained on the training part (a given file replaces these).
    Or `spoken`: the Speech2Vec embedding of each spoken word, computed from its audio."""

    word_dim: Width = 50
    """Dimension of a word vector (paper, sections 4.2 and 4.3: 50; Table 3: 100, 200, 300)."""

    unknown: UnknownPolicy = "random"
    """Row of the table for a word without a vector, see `embeddings.table.table`. With `spoken`, a word outside the
    vocabulary is moreover read as the word of the vocabulary that sounds most like it."""

    max_words: Length = MAX_WORDS
    """Words kept of an utterance, from its beginning (from its end with `padding = "pre"`). Paper, section 4.2: 128."""

    word_order: Literal["given", "shuffled"] = "given"
    """`shuffled` permutes the words of each utterance, by seed and utterance id, in training and in test: the loss in
    accuracy is what word order contributes."""

    # both inputs

    padding: Literal["packed", "pre", "post"] = "packed"
    """`packed` reads each sequence to its own end. `pre` and `post` fill up with zeros to `max_frames` and `max_words`
    and read the zeros too, as the paper's Keras code most likely did (section 4.1: "padded with zeros")."""

    # model

    classifier: Literal["network", "svm", "logistic", "discriminant"] = "network"
    """What follows the encoders: a `network`, trained by gradient descent, or a classifier that is fitted at once to
    one vector for each utterance (`training.classifiers`): `svm`, support vector machines with RBF kernel, `logistic`,
    multinomial logistic regression, or `discriminant`, regularised linear discriminant analysis. Development data
    choose the settings of the first two. They leave the keys of networks and of training by epochs unused."""

    acoustic_encoder: Annotated[str, one_of(ACOUSTIC_ENCODERS)] = "bilstm"
    """The paper's `bilstm` (section 2.3), `statistics` (mean and standard deviation over time,
    `models.encoders.StatisticsEncoder`), `vector` (the one frame of features of the whole recording,
    `models.encoders.VectorEncoder`), or a CNN of `config.cnn_stacks.STACKS`."""

    initial: str = ""
    """Path of a safetensors file with initial weights of the CNN, such as torchvision's for `alexnet`; empty for random
    initial weights."""

    word_encoder: Annotated[str, one_of(WORD_ENCODERS)] = "bilstm"
    """The paper's `bilstm` (section 2.4), the multi-resolution CNN `mcnn` (`models.multiresolution_cnn`), or `tfidf`,
    weighted counts of the words and word pairs of the training transcripts (`embeddings.tfidf`)."""

    sentences: str = ""
    """Folder of a sentence encoder (`embeddings.sentences`), whose embedding of all words stands beside the weighted
    counts of `word_encoder = "tfidf"`; empty for none. The model folder gets a copy."""

    pooling: Literal["last", "attention"] = "last"
    """How a BiLSTM summarises a sequence: its `last` states (paper, section 2.3), or the mean of all states weighted by
    `attention`."""

    fusion: Literal["concatenate", "cross-attention", "confidence"] = "concatenate"
    """How two encoders meet: `concatenate` their encodings (paper, section 2.5), let the steps of each attend to those
    of the other first (`cross-attention`), or weigh the answer of each by its `confidence`."""

    hidden: Width = 128
    """LSTM units per direction (paper, section 4.1); filters of each kernel size with `mcnn`."""

    dense: Width = 256
    """Units of every dense layer (paper, section 4.1)."""

    head_layers: Annotated[int, whole(0, 100)] = 1
    """Dense layers between encoders and logits. Paper: 1 for words and fusion (sections 4.2 and 4.3), 0 for acoustic
    features alone (section 4.1)."""

    recurrent_dropout: Dropout = 0.2
    """Share of the recurrent input of the LSTMs that is dropped (paper, section 4.3)."""

    recurrent_mask: Literal["per-sample", "shared"] = "per-sample"
    """Recurrent dropout draws one mask for each sample (as Keras does) or one `shared` by the batch."""

    dropout: Dropout = 0.3
    """Share of the output of dense layers that is dropped (paper, section 4.2)."""

    modality_dropout: Dropout = 0.0
    """Share of training utterances for which the output of one encoder, chosen at random, is zero."""

    # training

    epochs: Count = 20
    """Epochs at most (paper, section 4.1)."""

    batch_size: Count = 32
    """Utterances in a batch (paper, section 4.1)."""

    learning_rate: Positive = 1e-3
    """Learning rate of Adam (paper, section 4.1)."""

    class_weights: bool = False
    """Weigh the loss of each utterance by the inverse frequency of its class, with any `classifier`."""

    soft_labels: bool = False
    """Train on the distribution of the annotators' votes (`data.votes.soft_label`) instead of the label. Utterances
    without votes keep their label; scores and everything fitted on development data use labels."""

    patience: Annotated[int, whole(0, _MOST)] = 0
    """Epochs without improvement on development data after which training stops; 0 trains all `epochs`."""

    epoch_choice: Literal["development", "last", "best-on-test"] = "development"
    """Keep the weights of the epoch that is best on `development` data, or those of the `last`. `best-on-test` LEAKS:
    its results are marked as a leak, and the audit reports it."""

    auxiliary: Weight = 1.0
    """Weight of the mean of the encoders' own cross-entropies in the loss, with `fusion = "confidence"`."""

    verification: Weight = 0.0
    """Weight of the verification loss, which draws encodings of one emotion together (`models.multiresolution_cnn`)."""

    dimension_weight: Weight = 1.0
    """Weight in the loss of 1 − CCC, the mean over `dimensions` of the concordance within a batch; and of the mean CCC
    beside UA in what chooses the epoch on development data. 1 is ours."""

    # distillation

    teacher: str = ""
    """A system or TOML file that is trained first, on the same training part, and whose probabilities there are soft
    targets beside the labels; empty for none."""

    distil_temperature: Positive = 2.0
    """Temperature T of both softmaxes of the distillation loss (`models.distillation`; Albanie et al. 2018)."""

    distil_weight: Share = 0.5
    """Weight w of the soft targets in the loss; the labels get 1 − w. 0.5 is ours."""

    def __post_init__(self) -> None:
        for key, accepted in field_types(Experiment).items():
            if problem := accepted.problem(key, getattr(self, key)):
                raise ConfigurationError(problem)
        for problem in contradictions(self):
            raise ConfigurationError(problem)

    @property
    def uses_audio(self) -> bool:
        """Whether the system has an acoustic encoder."""
        return "acoustic" in self.encoders

    @property
    def uses_words(self) -> bool:
        """Whether the system has a word encoder."""
        return "words" in self.encoders

    @property
    def most_frames(self) -> int:
        """Frames that the acoustic encoder reads at most."""
        return 1 if registry.is_whole_recording(self.features) else self.max_frames

    @property
    def counts_words(self) -> bool:
        """Whether the words of an utterance become one vector of weighted counts (`embeddings.tfidf`)."""
        return self.uses_words and self.word_encoder == "tfidf"

    @property
    def most_word_vectors(self) -> int:
        """Words, or vectors made of words, that the word encoder reads at most."""
        return 1 if self.counts_words else self.max_words

    @property
    def copies(self) -> int:
        """Augmented copies of each training utterance, beside the original."""
        return self.augmented_copies if self.augmentation != "none" and self.uses_audio else 0

    def to_json(self) -> str:
        """The configuration as JSON.

        Returns:
            Equal text for equal experiments: keys are sorted.
        """
        return json.dumps(asdict(self), sort_keys=True)


def from_mapping(values: Mapping[str, Any], where: str) -> Experiment:
    """Make an `Experiment` of TOML or JSON values.

    Args:
        values: Key → value; keys with a default may be missing.
        where: Opens the message of every error, such as the name of the file.

    Returns:
        The experiment.

    Raises:
        ConfigurationError: A key is unknown or missing, a value is of the wrong type or not valid, or values
            contradict each other.
    """
    return from_values(Experiment, values, where)


def load(system: str | Path, **changes: Any) -> Experiment:
    """Load an experiment.

    Args:
        system: Name of a system in `SYSTEMS`, or path of a TOML file.
        **changes: Fields to change, and their values.

    Returns:
        The experiment with these changes.

    Raises:
        ConfigurationError: There is no such system or file, or the experiment is not valid.
    """
    path = SYSTEMS.get(str(system), Path(system))
    if not path.is_file():
        raise ConfigurationError(
            f"{str(system)!r} is neither a system nor a file; systems are {', '.join(SYSTEMS)}, "
            "and any TOML experiment file works as well"
        )
    return replace(from_mapping(read_toml(path, error=ConfigurationError), str(path)), **changes)


def teacher_of(experiment: Experiment) -> Experiment | None:
    """The experiment of a distilled system's teacher.

    Args:
        experiment: Any experiment.

    Returns:
        The teacher's experiment, with as many epochs as its student and, unless it states its own, its classes; None
        where there is no teacher.

    Raises:
        ConfigurationError: The teacher has other classes, has a teacher itself, or selects its epoch on test data.
    """
    if not experiment.teacher:
        return None
    teacher = load(experiment.teacher, epochs=experiment.epochs)
    if teacher.label_set == DEFAULT_LABELS:
        teacher = replace(teacher, label_set=experiment.label_set)
    if teacher.label_set != experiment.label_set:
        raise ConfigurationError(
            f"teacher {teacher.name!r} has label_set = {teacher.label_set!r}, and its student {experiment.name!r} "
            f"{experiment.label_set!r}; they must be the same"
        )
    if teacher.epoch_choice == LEAKING_CHOICE:
        raise ConfigurationError(
            f"teacher {teacher.name!r} selects its epoch on test data, which its student would learn from; set its "
            "epoch_choice to development or last"
        )
    if teacher.teacher:
        raise ConfigurationError(f"teacher {teacher.name!r} has a teacher itself; choose a system without one")
    return teacher


def with_overrides(experiment: Experiment, overrides: Sequence[str]) -> Experiment:
    """Change fields of an experiment, as `duetto train --set` does.

    Args:
        experiment: What to change.
        overrides: `KEY=VALUE` each. The value is TOML; what is not TOML is a string, so `epoch_choice=last` needs no
            quotes.

    Returns:
        The changed experiment; its name and title list the overrides.

    Raises:
        ConfigurationError: An override is not of this form, or the changed experiment is not valid.
    """
    values: dict[str, Any] = {}
    for override in overrides:
        key, equals, text = (part.strip() for part in override.partition("="))
        if not equals or key in ("name", "title"):
            raise ConfigurationError(f"setting {override!r} is not valid; give KEY=VALUE, such as epoch_choice=last")
        try:
            values[key] = tomllib.loads(f"value = {text}")["value"]
        except (ValueError, RecursionError, KeyError):
            values[key] = text
    if not values:
        return experiment
    suffix = ", ".join(f"{key}={value}" for key, value in values.items())
    names = {"name": f"{experiment.name} ({suffix})", "title": f"{experiment.title} ({suffix})"}
    return from_mapping({**asdict(experiment), **values, **names}, "setting")

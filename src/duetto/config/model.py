"""The architecture of an emotion model, as plain data: PyTorch trains it, ONNX graphs repeat it.

Experiment ─ ModelConfig.from_experiment ─▶ ModelConfig ─┬─ models.emotion.EmotionModel
                                                         └─ models.onnx.networks.emotion
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from ..data.labels import classes
from ..errors import ConfigurationError
from ..features.registry import feature_spec
from .experiment import Experiment


@dataclass(frozen=True)
class ModelConfig:
    """Shape of an emotion model; the defaults are the paper's (section 4).

    The keys of the same name in `config.experiment.Experiment` have the same meaning; `Experiment` also checks that
    they fit together.

    Attributes:
        encoders: `acoustic`, `words`, or both.
        classes: Number of classes.
        n_features: Values in an acoustic frame.
        word_dim: Values in the vector of a word.
        hidden: LSTM units per direction, or filters per kernel size of the CNN over words.
        dense: Units of every dense layer.
        head_layers: Dense layers between the encoders and the logits.
        recurrent_dropout: Share of the LSTM states that is dropped in training.
        recurrent_mask: `per-sample` or `shared`; see `models.lstm`.
        dropout: Share of the outputs of dense layers that is dropped in training.
        pooling: How a BiLSTM's states become one vector: `last` or `attention`.
        fusion: `concatenate`, `cross-attention` or `confidence`.
        word_encoder: One of `config.encoders.WORD_ENCODERS`.
        modality_dropout: Share of training utterances for which one encoder's output is set to zero.
        acoustic_encoder: One of `config.encoders.ACOUSTIC_ENCODERS`.
        classifier: `network`, `svm`, `logistic` or `discriminant`.
        dimensions: Number of dimensions that are predicted beside the classes.

    Raises:
        ConfigurationError: `encoders` is empty or names an unknown encoder.
    """

    encoders: tuple[str, ...] = ("acoustic", "words")
    classes: int = 4
    n_features: int = 34
    word_dim: int = 50
    hidden: int = 128
    dense: int = 256
    head_layers: int = 1
    recurrent_dropout: float = 0.2
    recurrent_mask: str = "per-sample"
    dropout: float = 0.3
    pooling: str = "last"
    fusion: str = "concatenate"
    word_encoder: str = "bilstm"
    modality_dropout: float = 0.0
    acoustic_encoder: str = "bilstm"
    classifier: str = "network"
    dimensions: int = 0

    def __post_init__(self) -> None:
        if not self.encoders or set(self.encoders) - {"acoustic", "words"}:
            raise ConfigurationError(f"encoders {self.encoders} are not valid; choose acoustic, words, or both")

    @property
    def vector_size(self) -> int:
        """Values of the vector that a classifier other than a network reads."""
        return self.n_features if "acoustic" in self.encoders else self.word_dim

    @property
    def encoded_size(self) -> int:
        """Values of the encoders' outputs, concatenated."""
        return self.dense * len(self.encoders) if self.classifier == "network" else self.vector_size

    @property
    def outputs(self) -> int:
        """Values that the exported graph gives for each utterance: logits, then dimensions."""
        return self.classes + self.dimensions

    @classmethod
    def from_experiment(cls, experiment: Experiment, word_dim: int) -> ModelConfig:
        """Describe the model of an experiment.

        Args:
            experiment: Supplies the architecture, the label set and the features.
            word_dim: Values in the vector of a word; that of given vectors may differ from `experiment.word_dim`.

        Returns:
            The configuration.
        """
        shared = {
            field.name: getattr(experiment, field.name) for field in fields(cls) if hasattr(experiment, field.name)
        }
        shared["classes"] = len(classes(experiment.label_set))
        shared["n_features"] = feature_spec(experiment.features).dim
        shared["word_dim"] = word_dim
        shared["dimensions"] = len(experiment.dimensions)
        return cls(**shared)

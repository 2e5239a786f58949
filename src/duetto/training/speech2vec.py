"""Train Speech2Vec (Chung and Glass 2018) on the spoken words of a corpus.

    utterances with word times + MFCC store ─ Segments ─ Speech2VecTask ─ training.fit ─▶ folder
    folder ─ inference.SpokenWordEncoder ─▶ (words, dim) ─ mean over the instances of a type ─▶ Vectors

Words are slices of the memory-mapped MFCC store, so memory does not grow with the hours of speech.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .. import inference
from ..data.utterance import Utterance
from ..embeddings.spoken_words import MAX_WORD_FRAMES, NO_NEIGHBOURS, Segments
from ..errors import ConfigurationError, ModelError
from ..models.speech2vec import Speech2Vec, Speech2VecConfig, SpokenBatch
from ..preprocessing import Normaliser, pad
from ..utils import files
from ..utils.progress import Progress
from ..utils.reading import read_json
from .dataset import buckets
from .loop import CHOSEN, LAST, History, TrainingConfig, derive, fit, set_num_threads

log = logging.getLogger(__name__)

SETTINGS = "speech2vec.json"
"""File of a training folder that describes model and data, so that no other training is resumed there."""

_BUSY = "another process is training in it; wait for it, or choose another folder"
_FEWEST_TRAINING = 0.8


class Speech2VecTask:
    """Mean squared error of the MFCC of neighbouring words (a `loop.Task`).

    Every word is a centre once an epoch; batches are bucketed by length. The score is the negative error on development
    words.

    Args:
        train: Training words.
        development: Development words.
        normaliser: Of MFCC.
        window: Context words on each side (k in the paper: 3).
        batch_size: Centre words in a batch.
        seed: Of the order of batches.
        objective: `skipgram` predicts the context from the centre word, `cbow` the centre word from its context.
    """

    def __init__(
        self,
        train: Segments,
        development: Segments,
        normaliser: Normaliser,
        *,
        window: int = 3,
        batch_size: int = 128,
        seed: int = 0,
        objective: str = "skipgram",
    ) -> None:
        self.train, self.development, self.normaliser = train, development, normaliser
        self.window, self.batch_size, self.seed, self.objective = window, batch_size, seed, objective

    def batches(self, epoch: int) -> list[np.ndarray]:
        """Draw the batches of an epoch.

        Args:
            epoch: From 0.

        Returns:
            Of each batch, the indices of centre words that have a neighbour.
        """
        return self._batches(self.train, derive(self.seed, "batches", epoch))

    def _batches(self, segments: Segments, seed: int) -> list[np.ndarray]:
        alone = np.bincount(segments.utterance, minlength=len(segments.ids)) < 2
        centres = np.flatnonzero(~alone[segments.utterance])
        batches = buckets(segments.lengths[centres], self.batch_size, np.random.default_rng(seed))
        return [centres[batch] for batch in batches]

    def loss(self, model: nn.Module, batch: np.ndarray) -> Tensor:
        """Compute the loss of one batch.

        Args:
            model: A `Speech2Vec`.
            batch: Indices of centre words.

        Returns:
            Its mean squared error.
        """
        return model(self._collate(self.train, batch, next(model.parameters()).device))

    def develop(self, model: nn.Module) -> dict[str, float]:
        """Score the model on development words.

        Args:
            model: A `Speech2Vec`.

        Returns:
            The negative mean squared error as `score`, and the error; a score of 0 where no word has a neighbour.
        """
        device = next(model.parameters()).device
        batches = self._batches(self.development, 0)
        if not batches:
            return {"score": 0.0}
        errors = [float(model(self._collate(self.development, b, device))) for b in batches]
        error = float(np.average(errors, weights=[len(b) for b in batches]))
        return {"score": -error, "development_loss": error}

    def _collate(self, segments: Segments, centres: np.ndarray, device: torch.device) -> SpokenBatch:
        source, other = segments.neighbours(centres, self.window)
        around, target = np.unique(other, return_inverse=True)
        if self.objective == "cbow":
            centres, around, source, target = around, centres, target, source
        inputs, targets = (self._padded(segments, index, device) for index in (centres, around))
        pairs = (torch.from_numpy(x.astype(np.int64)).to(device) for x in (source, target))
        return SpokenBatch(*inputs, *targets, *pairs)

    def _padded(self, segments: Segments, index: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor]:
        padded = pad([self.normaliser(segments[i]) for i in index], maximum=MAX_WORD_FRAMES)
        return torch.from_numpy(padded.values).to(device), torch.from_numpy(padded.lengths).to(device)


def hold_out(
    utterances: Sequence[Utterance], share: float, *, seed: int = 0
) -> tuple[list[Utterance], list[Utterance]]:
    """Draw utterances for development.

    Whole speakers are drawn until the share is reached, if every utterance names its speaker; where that would take
    more than a fifth of the corpus (few speakers), single utterances are drawn.

    Args:
        utterances: The corpus.
        share: Of the corpus to draw, from 0 to 0.5.
        seed: Of the draw.

    Returns:
        Training and development utterances, in the order of the corpus.

    Raises:
        ConfigurationError: The share is out of range.
    """
    if not 0 <= share <= 0.5:
        raise ConfigurationError(f"a development share of {share} is not valid; give 0 to 0.5")
    wanted = min(max(1, round(share * len(utterances))), len(utterances) - 1) if share else 0
    rng = np.random.default_rng([seed, len(utterances)])
    drawn = [int(i) for i in rng.permutation(len(utterances))[:wanted]]
    sizes = Counter(u.speaker for u in utterances)
    if wanted and None not in sizes:
        speakers = sorted(map(str, sizes))
        order = [speakers[i] for i in rng.permutation(len(speakers))]
        enough = int(np.searchsorted(np.cumsum([sizes[s] for s in order]), wanted)) + 1
        chosen = set(order[:enough])
        if sum(sizes[s] for s in chosen) <= (1 - _FEWEST_TRAINING) * len(utterances):
            drawn = [i for i, u in enumerate(utterances) if u.speaker in chosen]
    development = set(drawn)
    parts: tuple[list[Utterance], list[Utterance]] = ([], [])
    for i, utterance in enumerate(utterances):
        parts[i in development].append(utterance)
    return parts


def train(
    utterances: Sequence[Utterance],
    development: Sequence[Utterance],
    frames: Mapping[str, np.ndarray],
    folder: Path,
    *,
    config: Speech2VecConfig,
    training: TrainingConfig,
    window: int = 3,
    batch_size: int = 128,
    wait: Callable[[], None] | None = None,
    progress: Progress | None = None,
) -> inference.SpokenWordEncoder:
    """Train Speech2Vec, and export its encoder.

    Args:
        utterances: Training data, with word times.
        development: Chooses the epoch; where no two words in it are neighbours, the last epoch is kept.
        frames: Utterance id → (frames, 13) MFCC (`features.mfcc`).
        folder: Where checkpoints and the encoder go. A training that was killed there is resumed.
        config: Of the model.
        training: How to train.
        window: Context words on each side.
        batch_size: Centre words in a batch.
        wait: Called before waiting for another process that trains in the folder; None makes that an error.
        progress: Counts training steps.

    Returns:
        The encoder.

    Raises:
        ConfigurationError: No two words with times are neighbours, an option is out of range, or the folder is in use.
        ModelError: The folder holds another training.
    """
    if window < 1 or batch_size < 1:
        raise ConfigurationError(f"window = {window} and batch_size = {batch_size}: both must be 1 or more")
    segments, held_out = Segments.of(utterances, frames), Segments.of(development, frames)
    _check_words(segments)
    if not _has_neighbours(held_out):
        log.info("no development words that have a neighbour: the last epoch is kept")
        training = replace(training, choice="last", patience=0)
    about: dict[str, Any] = {"config": asdict(config), "window": window, "batch_size": batch_size}
    about["features"] = getattr(frames, "key", None)
    about |= {"data": segments.digest(), "development_data": held_out.digest()}
    with files.lock(folder, wait=wait, busy=_BUSY):
        _claim(folder, about)
        normaliser = Normaliser.fit((segments[i] for i in range(len(segments))), config.n_features)
        set_num_threads(training.threads)
        torch.manual_seed(derive(training.seed, "weights"))
        model = Speech2Vec(config)
        options = {"window": window, "batch_size": batch_size, "seed": training.seed, "objective": config.objective}
        task = Speech2VecTask(segments, held_out, normaliser, **options)
        history = fit(model, task, training, folder, progress=progress)
        weights = {name: tensor.detach().cpu().numpy() for name, tensor in model.state_dict().items()}
        about |= {"training": asdict(training), "development_words": len(held_out)}
        about |= _counts(segments) | _learned(history) | {"mean_frame_error": _mean_frame_error(held_out, normaliser)}
        inference.export_spoken(weights, normaliser, about, folder)
    return inference.SpokenWordEncoder(folder)


def _check_words(segments: Segments) -> None:
    """Refuse words of which none has a neighbour; log how many have no sound."""
    if not _has_neighbours(segments):
        raise ConfigurationError(NO_NEIGHBOURS)
    for reason, number in segments.dropped.items():
        log.warning("%d of %d words dropped: %s", number, len(segments) + sum(segments.dropped.values()), reason)


def _has_neighbours(segments: Segments) -> bool:
    return bool((np.diff(segments.utterance) == 0).any())


def _counts(segments: Segments) -> dict[str, Any]:
    """Counts of words, for `SpokenWordEncoder.about`."""
    return {
        "words": len(segments),
        "types": len({word for word in segments.words if word}),
        "without_type": segments.words.count(""),
        "cut": segments.cut,
        "dropped": dict(segments.dropped),
    }


def _learned(history: History) -> dict[str, Any]:
    """Epochs, the one kept (from 1), and its errors, for `SpokenWordEncoder.about`."""
    kept = history.epochs[history.chosen]
    return {
        "epochs": len(history.epochs),
        "epoch_kept": history.chosen + 1,
        "loss": kept["loss"],
        "development_loss": kept.get("development_loss"),
    }


def _mean_frame_error(segments: Segments, normaliser: Normaliser) -> float | None:
    """Error of a decoder that always returns the mean frame of the training words.

    The development error is to be compared with it, since the speech of one speaker may vary less, or more, than that
    of all together.
    """
    sums = [(float(np.square(normaliser(segments[i])).sum()), segments[i].size) for i in range(len(segments))]
    return sum(error for error, _ in sums) / sum(size for _, size in sums) if sums else None


def _claim(folder: Path, about: dict[str, Any]) -> None:
    """Record what is trained in a folder; refuse one that holds another training."""
    path = folder / SETTINGS
    if path.is_file() and path in files.recover(folder):  # it was torn, so the checkpoints are of an unknown training
        for name in (LAST, CHOSEN):
            (folder / name).unlink(missing_ok=True)
    if not path.is_file():
        files.write_text(path, json.dumps(about))
        return
    recorded = read_json(path, error=ModelError, repair=f"delete {folder} and train again")
    other = [name for name, value in about.items() if recorded.get(name) != json.loads(json.dumps(value))]
    if other:
        raise ModelError(
            f"{folder}: was trained with other settings or on other words ({', '.join(other)} differ); "
            "choose another folder, or delete this one"
        )

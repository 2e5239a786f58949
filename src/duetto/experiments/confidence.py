"""Fits the confidence of a trained system or fusion to recordings that training did not contain.

    model folder, Fold ─ inner folds: speakers left out, corpora left out ─▶ models without them
    what was left out, and copies of it over other channels ─▶ answers, distances ─ confidence_fit ─▶ confidence.npz

    PART/inner/J/NAME             a system, trained without the J-th part of the speakers (as in `fusion_runner`)
    PART/inner/corpus-J/NAME      the same without the J-th corpus

Test data take part in none of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .. import runs, training
from ..config.experiment import Experiment
from ..data.utterance import Utterance, by_id
from ..errors import ConfigurationError, ModelError
from ..evaluation.product import PosteriorFusion
from ..features.registry import feature_spec
from ..inference import DESCRIPTION, Session
from ..inference.confidence import Confidence
from ..inference.confidence_fit import HeldOut, fit
from ..inference.familiarity import Familiarity, stacked
from ..inference.fusion_folder import branch_folder, is_fusion, read_fusion, utterance_has_content
from ..splits import Fold
from ..training import FoldInputs
from .export import chosen_training
from .fold_inputs import fold_inputs
from .inner_folds import corpus_folds, inner_folds
from .workspace import Features, Workspace

COPIES = 2
"""Copies of what is left out, over other channels."""

FOLDS = 5
"""Parts of the speakers, for systems that are no fusion."""

MOST_COPIED = 400
"""Utterances that are copied, spread evenly: each copy costs an extraction of its features."""

_INNER = "inner"


def fit_run(
    run: Path,
    utterances: Sequence[Utterance],
    workspace: Workspace,
    *,
    fold: int | None = None,
    seed: int | None = None,
    copies: int = COPIES,
) -> Confidence:
    """Fit the confidence of one training of a run folder, and write it there.

    Args:
        run: Of a system or a fusion, finished.
        utterances: The corpus of the run.
        workspace: Caches features and word vectors.
        fold: Its number; the first by default.
        seed: One of the run's; the first by default.
        copies: See `fit_confidence`.

    Returns:
        What was written.

    Raises:
        ModelError: `run` is no run folder or that of a baseline, or its training is unfinished.
        ConfigurationError: An utterance of the run is missing, or the run has no such fold or seed.
    """
    experiments = runs.branches_of(run)
    number, chosen = chosen_training(run, fold, seed)
    described, known = runs.read(run)["folds"][number], {u.id: u for u in utterances}
    parts = {}
    for part in ("train", "development", "test"):
        if missing := [name for name in described[part] if name not in known]:
            raise ConfigurationError(
                f"utterance {missing[0]!r} of {run} is not in the manifest; give the manifest that it was trained on"
            )
        parts[part] = tuple(known[name] for name in described[part])
    own = Fold(described["name"], **parts)
    folder = run / runs.member(number, chosen)
    return fit_confidence(folder, experiments, own, workspace, seed=chosen, copies=copies)


def fit_confidence(
    part: Path,
    experiments: Sequence[Experiment],
    fold: Fold,
    workspace: Workspace,
    *,
    seed: int = 0,
    copies: int = COPIES,
) -> Confidence:
    """Fit the confidence of a model folder to recordings of other speakers, channels and corpora, and write it there.

    Speakers: those of the training part, left out in turn, for fusions and for classifiers that are fitted in seconds;
    the development speakers for networks. Channels: copies of the same recordings (`audio.augment.recording`), for
    systems that read audio. Corpora: those of the training part (`Utterance.corpus`), left out in turn, where it holds
    two or more. Models without them that lie in `part` already are not trained again.

    Args:
        part: Folder of a training of one system, or of a fusion with its branches.
        experiments: The system, or the branches in the order of the fusion.
        fold: What it was trained on; the test part is not used.
        workspace: Caches features and word vectors.
        seed: Of the training.
        copies: Copies of each recording that is left out, of `MOST_COPIED` recordings at most; 0 for none.

    Returns:
        What was written.

    Raises:
        ModelError: The training is unfinished.
    """
    work = _Work(part, tuple(experiments), fold, workspace, seed, copies)
    held_out = [answers for own in work.left_out() for answers in work.answers(own)]
    densities, unseen = work.densities()
    counts: dict[str, int] = {}
    for each in held_out:
        counts[each.kind] = counts.get(each.kind, 0) + len(each.target)
    about = {
        "answers": counts,
        "speakers": len({u.speaker for u in fold.train}),
        "corpora": sorted({u.corpus for u in fold.train if u.corpus}),
        "copies": copies if densities else 0,
    }
    found = fit(held_out, densities, unseen, about)
    found.save(part)
    return found


@dataclass(frozen=True)
class _LeftOut:
    """What one model was not trained on. folder: "" where it is the model itself. kind: see `HeldOut`."""

    kind: str
    fold: Fold
    folder: str


@dataclass(frozen=True)
class _Work:
    """One fit; the fields are the arguments of `fit_confidence`."""

    part: Path
    experiments: tuple[Experiment, ...]
    fold: Fold
    workspace: Workspace
    seed: int
    copies: int

    @property
    def fusion(self) -> PosteriorFusion | None:
        """What joins the branches; None for a system by itself."""
        return read_fusion(self.part)[0] if is_fusion(self.part) else None

    def left_out(self) -> Iterator[_LeftOut]:
        """All inner folds."""
        if not is_fusion(self.part) and self.experiments[0].classifier == "network":
            yield _LeftOut("speakers", replace(self.fold, test=self.fold.development), "")
        else:
            for number, fold in enumerate(inner_folds(self.fold, self._folds()).folds):
                yield _LeftOut("speakers", fold, f"{_INNER}/{number}")
        for number, fold in enumerate(corpus_folds(self.fold)):
            yield _LeftOut("corpora", fold, f"{_INNER}/corpus-{number}")

    def _folds(self) -> int:
        """As many parts as the fusion has models of; else `FOLDS`."""
        found = len([path for path in (self.part / _INNER).glob("*") if path.name.isdecimal()])
        return found if found > 1 else FOLDS

    def answers(self, own: _LeftOut) -> Iterator[HeldOut]:
        """Answers of the models without a part, for that part and for copies of it."""
        utterances = by_id(own.fold.test)
        models = [self._model(e, own) for e in self.experiments]
        yield self._held_out(own.kind, models, utterances, [model.inputs.frames for model in models])
        if not any(e.uses_audio for e in self.experiments) or own.kind == "corpora":
            return
        copied = self._copied()
        some = [u for u in utterances if u.id in copied]
        for copy in range(self.copies if some else 0):
            frames = [self._copies(e)[copy] if e.uses_audio else None for e in self.experiments]
            yield self._held_out("channels", models, some, frames)

    def _features(self, experiment: Experiment) -> Features:
        return self.workspace.features(experiment, [*self.fold.train, *self.fold.development, *self.fold.test])

    def _copied(self) -> frozenset[str]:
        ids = sorted(u.id for u in (*self.fold.train, *self.fold.development))
        chosen = np.unique(np.linspace(0, len(ids) - 1, min(len(ids), MOST_COPIED)).round().astype(int))
        return frozenset(ids[i] for i in chosen)

    def _copies(self, experiment: Experiment) -> tuple[Mapping[str, np.ndarray], ...]:
        copied = self._copied()
        utterances = [u for u in by_id([*self.fold.train, *self.fold.development]) if u.id in copied]
        augmented = replace(experiment, augmentation="recording", augmented_copies=self.copies)
        return self.workspace.augmented(augmented, utterances)

    def _model(self, experiment: Experiment, own: _LeftOut) -> _Model:
        """A model without a part, trained unless it lies there."""
        home = self.part / own.folder
        if own.folder:
            folder = home / experiment.name
        else:
            folder = branch_folder(self.part, experiment.name) if is_fusion(self.part) else self.part
        inputs = fold_inputs(experiment, own.fold, self._features(experiment), self.workspace)
        if not (folder / DESCRIPTION).is_file():
            if not own.folder:
                raise ModelError(f"{folder}: its training is unfinished; run the same `duetto train` again to go on")
            training.train(experiment, inputs, folder, seed=self.seed)
        session = Session(folder)
        density, unseen = (
            _density(session, own.fold.train, inputs, self.seed) if experiment.uses_audio else (None, None)
        )
        return _Model(session, inputs, density, unseen)

    def _held_out(
        self,
        kind: str,
        models: Sequence[_Model],
        utterances: Sequence[Utterance],
        frames: Sequence[Mapping[str, np.ndarray] | None],
    ) -> HeldOut:
        logits, distances = [], []
        for model, own in zip(models, frames, strict=True):
            inputs = replace(model.inputs, frames=own)
            prepared = training.prepare(
                utterances, model.session.preprocessor, inputs.frames, inputs.vectoriser(), seed=self.seed
            )
            logits.append(model.session.logits_of(prepared.frames, prepared.words))
            if model.density is not None and prepared.frames is not None:
                distances.append(model.density.distances(model.density.embedded(prepared.frames)))
        classes = models[0].session.preprocessor.classes
        target = np.array([classes.index(str(u.label)) for u in utterances], np.int64)
        d = np.mean(distances, axis=0) if distances else np.full(len(target), np.nan)
        return HeldOut(kind, self._joined(models, logits, utterances), target, d)

    def _joined(
        self, models: Sequence[_Model], logits: Sequence[np.ndarray], utterances: Sequence[Utterance]
    ) -> np.ndarray:
        """Log-posteriors (n, classes), as a prediction computes them."""
        fusion = self.fusion
        if fusion is None:
            return logits[0].astype(np.float64) / models[0].session.temperature
        present = [[utterance_has_content(m.session.preprocessor, u) for u in utterances] for m in models]
        return fusion.log_posteriors(np.stack(logits), np.array(present))

    def densities(self) -> tuple[dict[str, Familiarity], np.ndarray]:
        """Density of the whole training part for each branch that reads audio, and distances of unseen speakers."""
        found: dict[str, Familiarity] = {}
        unseen: list[np.ndarray] = []
        whole = _LeftOut("speakers", self.fold, "")
        for experiment in self.experiments:
            if experiment.uses_audio:
                model = self._model(experiment, whole)
                assert model.density is not None and model.unseen is not None
                found[experiment.name if self.fusion else ""] = model.density
                unseen.append(model.unseen)
        return found, np.mean(unseen, axis=0) if unseen else np.zeros(0)


@dataclass(frozen=True)
class _Model:
    """A model and what it reads. density, unseen: of what it was trained on (`Familiarity.fit`); None without audio."""

    session: Session
    inputs: FoldInputs
    density: Familiarity | None
    unseen: np.ndarray | None


def _density(
    session: Session, utterances: Sequence[Utterance], inputs: FoldInputs, seed: int
) -> tuple[Familiarity, np.ndarray]:
    ordered = by_id(utterances)
    prepared = training.prepare(ordered, session.preprocessor, inputs.frames, inputs.vectoriser(), seed=seed)
    assert prepared.frames is not None
    whole = feature_spec(session.preprocessor.experiment.features).whole_recording
    return Familiarity.fit(stacked(prepared.frames, whole=whole), [str(u.speaker) for u in ordered])

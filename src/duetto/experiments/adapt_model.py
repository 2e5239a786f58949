"""`duetto adapt`: a model with a linear head, adapted to a user's recordings, with the gain measured.

model + labelled utterances ─ adapt ─▶ model folder, and results of both heads for speakers left out (`adapting`)
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .. import audio, inference, report
from ..config.encoders import LINEAR
from ..data.utterance import Utterance, by_id
from ..errors import ConfigurationError, DuettoError, ModelError
from ..evaluation import Difference, SystemResult, from_utterances, paired_bootstrap
from ..evaluation.product import log_softmax
from ..features import registry
from ..features.content import Contents
from ..inference import Session, confidence_fit
from ..inference.confidence import Confidence
from ..inference.confidence_fit import HeldOut
from ..inference.familiarity import Familiarity
from ..inference.fusion_folder import branch_folder, is_fusion, read_fusion
from ..inference.model_folder import find
from ..inference.pretrained import TERMS, terms
from ..inference.recogniser import Recogniser
from ..inference.scoring import source_of
from ..inference.sources import guarded
from ..inference.training_data import ADAPTED
from ..utils import files, parallel
from ..utils.progress import Progress
from .adapting import AdaptedHead, Labelled, LinearHead, check, choose, cross_validated
from .export import README, check_free

_AGREEMENT = 1e-3
"""Greatest difference of logits between a graph and its linear head, or between an adapted head and its graph, as a
share of the largest logit: float32 against float64."""

_ANEW = (
    "To train it anew on its corpus and yours: duetto corpus join CORPUS MINE -o BOTH, then duetto train SYSTEM "
    "--manifest BOTH -o RUN"
)


@dataclass(frozen=True)
class Adaptation:
    """An adapted model, and what adaptation gained.

    Attributes:
        folder: Of the adapted model.
        adapted: λ, temperature, and the head.
        before: The model as it was; None where no gain can be measured.
        after: Adapted without the speaker of each utterance; None where no gain can be measured.
        gain: UA after − UA before, in points; None where no gain can be measured.
        notes: What was left out, and what the figures rest on.
        errors: Why utterances were not read.
    """

    folder: Path
    adapted: AdaptedHead
    before: SystemResult | None
    after: SystemResult | None
    gain: Difference | None
    notes: tuple[str, ...]
    errors: tuple[DuettoError, ...]

    @property
    def statement(self) -> str:
        """The gain in a sentence."""
        if self.gain is None:
            return "the gain is not known: it takes recordings of two speakers or more to measure it"
        low, high = self.gain.ci95
        figure = f"UA {self.gain.mean:+.1f} points [{low:+.1f} to {high:+.1f}] for speakers that were not adapted to"
        if low > 0:
            return f"gain: {figure}"
        return f"no gain was established: {figure}; the model as it was may serve as well"


def adapt(
    model: str, utterances: Sequence[Utterance], folder: Path, *, workers: int = 1, progress: Progress | None = None
) -> Adaptation:
    """Adapt the head of a model to labelled recordings, measure the gain, and write the adapted model.

    Args:
        model: A name or a folder; with a linear classifier on features of the whole recording.
        utterances: The user's, each with its speaker; those without a class of the model are left out.
        folder: Of the adapted model; must be empty or missing.
        workers: Recordings at a time.
        progress: Counts recordings.

    Returns:
        The adaptation.

    Raises:
        ConfigurationError: The system has no linear head, an utterance has no speaker, there are fewer than two
            classes, or the folder is not empty.
        ModelError: The model is missing or damaged.
        MissingExtraError: The extra `train` is not installed.
    """
    check_free(folder)
    recogniser, session, base = _opened(model)
    known = [u for u in by_id(utterances) if u.label in recogniser.labels]
    if nameless := [u.id for u in known if u.speaker is None]:
        raise ConfigurationError(f"utterance {nameless[0]!r} has no speaker; the gain is measured by speakers left out")
    read, errors = _vectors(recogniser, known, workers, progress)
    if not read:
        raise ConfigurationError(f"no utterance to adapt to: label some with {', '.join(recogniser.labels)}")
    inside = [u for u, _ in read]
    data = Labelled(
        np.stack([x for _, x in read]).astype(np.float64),
        np.array([recogniser.labels.index(str(u.label)) for u in inside], np.int64),
        np.array([u.speaker for u in inside], np.str_),
        session.preprocessor.experiment.class_weights,
    )
    check(data)
    _agree(base(data.x) * _temperature(session), _logits(session, data.x), f"{model}: its graph is no linear head")
    adapted = choose(base, data)
    before, after, gain = _measured(base, data, inside, recogniser.labels)
    confidence = None if after is None else _confidence(after, data, Confidence.load(session.folder))
    notes = (*_notes(utterances, recogniser.labels, data, adapted), _confidence_note(confidence))
    result = Adaptation(folder, adapted, before, after, gain, notes, tuple(errors))
    with files.new_folder(folder.absolute()) as temporary:
        _write(temporary, model, session, adapted.head, data.x)
        if confidence is not None:
            confidence.save(temporary)
        recordings = sorted(set(Contents()(u.audio.absolute() for u in inside).values()))
        files.write_text(temporary / ADAPTED, json.dumps({"recordings": recordings}))
        files.write_text(temporary / README, card(model, result))
    return result


def _opened(model: str) -> tuple[Recogniser, Session, LinearHead]:
    """The recogniser, its network, and the head of its calibrated logits."""
    folder = find(model)
    linear = "a linear classifier (discriminant, logistic) on features of the whole recording, such as emodb-ravdess"
    if is_fusion(folder):
        found = [branch_folder(folder, name) for name in read_fusion(folder)[0].names]
        able = [str(path) for path in found if _is_adaptable(Session(path))]
        branches = f"adapt a branch of it: {', '.join(able)}; or " if able else ""
        raise ConfigurationError(f"{model} is a fusion; only a model with {linear} can be adapted. {branches}{_ANEW}")
    session = Session(folder)
    if not _is_adaptable(session):
        e = session.preprocessor.experiment
        raise ConfigurationError(
            f"{model}: {e.name} has classifier {e.classifier!r} on {e.features if e.uses_audio else 'words'!r}; only a "
            f"model with {linear} can be adapted. {_ANEW}"
        )
    recogniser = Recogniser(model, require_speech=False)
    head = linear_head(session).part(slice(len(session.preprocessor.classes)))
    return recogniser, session, head.divided(_temperature(session))


def _is_adaptable(session: Session) -> bool:
    """Whether a model is linear in one vector of the whole recording."""
    e = session.preprocessor.experiment
    whole = e.uses_audio and not e.uses_words and registry.is_whole_recording(e.features)
    return whole and e.classifier in LINEAR


def _temperature(session: Session) -> float:
    """What the logits are divided by for a familiar recording."""
    confidence = Confidence.load(session.folder)
    return session.temperature * (1.0 if confidence is None else confidence.temperature)


def linear_head(session: Session) -> LinearHead:
    """Read a linear head from its answers to the unit vectors, whatever the form of its graph.

    Args:
        session: A network on one vector that is linear in it.

    Returns:
        The head of its outputs: logits, then the ratings of dimensions.
    """
    width = registry.feature_spec(session.preprocessor.experiment.features).dim
    unit = np.eye(width)
    weight = (_outputs(session, unit) - _outputs(session, -unit)) / 2
    return LinearHead(weight.T.copy(), _outputs(session, np.zeros((1, width)))[0])


def _outputs(session: Session, x: NDArray[np.floating]) -> NDArray[np.float64]:
    return session.outputs_of([row[None].astype(np.float32) for row in x], None).astype(np.float64)


def _logits(session: Session, x: NDArray[np.floating]) -> NDArray[np.float64]:
    return _outputs(session, x)[:, : len(session.preprocessor.classes)]


def _agree(found: NDArray[np.float64], expected: NDArray[np.float64], message: str) -> None:
    difference = float(np.abs(found - expected).max())
    if difference > _AGREEMENT * max(1.0, float(np.abs(expected).max())):
        raise ModelError(f"{message}: logits differ by {difference:.3g}")


def _vectors(
    recogniser: Recogniser, utterances: Sequence[Utterance], workers: int, progress: Progress | None
) -> tuple[list[tuple[Utterance, NDArray[np.float32]]], list[DuettoError]]:
    """The normalised vector of each utterance that can be read, and the errors of the others."""
    work = partial(_vector, recogniser)
    read, errors = [], []
    outcomes = parallel.in_order(work, utterances, workers=workers, crashed=work)
    for done, (u, outcome) in enumerate(zip(utterances, outcomes, strict=True), 1):
        if isinstance(outcome, DuettoError):
            errors.append(outcome)
        else:
            read.append((u, outcome))
        if progress:
            progress(done, len(utterances))
    return read, errors


def _vector(recogniser: Recogniser, utterance: Utterance) -> NDArray[np.float32] | DuettoError:
    def vector(source: audio.Source) -> NDArray[np.float32]:
        frames = recogniser.prepare_inputs(source).frames
        assert frames is not None
        return frames[0]

    try:
        source = source_of(utterance)
    except DuettoError as error:
        return error
    return guarded(vector, source)


def _measured(
    base: LinearHead, data: Labelled, utterances: Sequence[Utterance], classes: tuple[str, ...]
) -> tuple[SystemResult | None, SystemResult | None, Difference | None]:
    """Results before and after, and the difference; None with one speaker."""
    answered = cross_validated(base, data)
    if answered is None:
        return None, None, None
    logits, parts = answered
    before = from_utterances("unadapted", utterances, classes, base(data.x)[None], (0,), title="the model as it was")
    title = "adapted, to other speakers than the one tested"
    after = from_utterances("adapted", utterances, classes, logits[None], (0,), title=title, fold=parts)
    return before, after, paired_bootstrap(after, before)


def _confidence(after: SystemResult, data: Labelled, own: Confidence | None) -> Confidence:
    """Fit the confidence of the adapted model to its answers for speakers left out.

    What is unfamiliar is what is unlike the user's recordings. How probabilities widen with the distance is that of the
    model it comes from: the user's recordings alone, which are all alike, cannot show it.
    """
    density, unseen = Familiarity.fit(data.x, data.speakers.tolist())
    distances = unseen if len(unseen) == len(data.x) else density.distances(data.x)
    answers = HeldOut("speakers", log_softmax(after.logits[0]), data.target, distances)
    shape = (0.0, confidence_fit.KNEES[0]) if own is None else (own.slope, own.knee)
    about = {"answers": {"speakers": len(data.target)}, "speakers": len(set(data.speakers.tolist())), "adapted": True}
    return confidence_fit.fit([answers], {"": density}, unseen, about, shape)


def _confidence_note(confidence: Confidence | None) -> str:
    if confidence is None:
        return (
            "no statement of unfamiliar recordings or of error rates (`--reject`): that of the model held for its own "
            "head, and one speaker alone shows none"
        )
    return (
        f"confidence fitted again, to {confidence.about['answers']['speakers']:,} answers for speakers left out: a "
        "recording unlike yours is unfamiliar, and `--reject` holds error rates from "
        f"{confidence.points.best:.2g} on; probabilities widen with the distance as in the model it comes from"
    )


def _notes(
    utterances: Sequence[Utterance], classes: tuple[str, ...], data: Labelled, adapted: AdaptedHead
) -> tuple[str, ...]:
    counts = Counter(data.target.tolist())
    found = ", ".join(f"{name} {counts[k]}" for k, name in enumerate(classes))
    speakers = len(set(data.speakers.tolist()))
    notes = [f"adapted to {len(data.target):,} utterances of {speakers} speakers: {found}"]
    if others := len(utterances) - sum(u.label in classes for u in utterances):
        notes.append(f"{others:,} utterances left out, whose label is no class of the model or which have none")
    how = "chosen on speakers left out in turn" if adapted.chosen else "not chosen, for lack of a second speaker"
    shrunk = "∞ (the head as it was)" if math.isinf(adapted.strength) else f"{adapted.strength:g}"
    notes.append(f"λ = {shrunk}, last temperature {adapted.temperature:.3g}: {how}")
    return tuple(notes)


def _write(folder: Path, model: str, session: Session, head: LinearHead, x: NDArray[np.float64]) -> None:
    """Write the model folder, and check its answers."""
    e = session.preprocessor.experiment
    preprocessor = replace(session.preprocessor, experiment=replace(e, title=f"{e.title}, adapted"))
    weights = {"head.0.weight": head.weight, "head.0.bias": head.bias}
    if e.dimensions:  # they stay as they are
        ratings, ones = linear_head(session).part(slice(len(preprocessor.classes), None)), np.ones(len(e.dimensions))
        weights |= {"dimensions.linear.weight": ratings.weight, "dimensions.linear.bias": ratings.bias}
        weights |= {"dimensions.mean": 0 * ones, "dimensions.scale": ones}
    weights = {name: value.astype(np.float32) for name, value in weights.items()}
    inference.export(weights, preprocessor, 1.0, folder)
    if known := terms(find(model)):
        files.write_text(folder / TERMS, f"Adapted from {Path(model).name or model}. {known}\n")
    _agree(_logits(Session(folder), x), head(x), f"{folder}: the graph that was written departs from the adapted head")


def card(model: str, result: Adaptation) -> str:
    """Write the README of an adapted model.

    Args:
        model: What was adapted.
        result: The adaptation.

    Returns:
        Markdown.
    """
    table = ""
    if result.before is not None and result.after is not None:
        table = "\n" + report.markdown([result.before, result.after])
    notes = "".join(f"- {note}\n" for note in result.notes)
    return (
        f"# {Path(model).name or model}, adapted\n\n    duetto predict FILE --model FOLDER\n\n"
        f"{notes}- {result.statement}\n"
        "- fitted: Σ w·−log softmax((W₀+ΔW)x + b₀+Δb)[y] + ½λ(s‖ΔW‖² + ‖Δb‖²), s the mean of ‖x‖², "
        "(W₀, b₀) the model's head, divided by the temperature that fits the data\n"
        f"{table}"
    )

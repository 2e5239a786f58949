"""All tests of one model on one manifest.

model, utterances, Plan ─ run ─▶ Tested(outcomes, notes, errors)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..data.utterance import Utterance
from ..errors import ConfigurationError, DuettoError
from ..utils.progress import Progress
from . import calibration, correctness, fairness, rejection, robustness
from .answers import Answered, Answers, Predictor
from .conditions import CONDITIONS, VOICES
from .figures import Sample
from .outcome import FAILED, Outcome
from .recordings import Chosen, choose
from .thresholds import THRESHOLDS, Limits

FEW_VOICES = f"babble needs more than {VOICES} recordings"


@dataclass(frozen=True)
class Plan:
    """What to test.

    Attributes:
        groups: Keys of `THRESHOLDS`.
        conditions: Keys of `CONDITIONS`.
        limits: The limits.
        most: Most utterances; None for all.
        seed: Of the draw of utterances.
        workers: Recordings at a time.
    """

    groups: tuple[str, ...] = tuple(THRESHOLDS)
    conditions: tuple[str, ...] = tuple(CONDITIONS)
    limits: Limits = field(default_factory=Limits)
    most: int | None = None
    seed: int = 0
    workers: int = 1

    def __post_init__(self) -> None:
        for what, given, known in (("tests", self.groups, THRESHOLDS), ("conditions", self.conditions, CONDITIONS)):
            if unknown := [name for name in given if name not in known]:
                raise ConfigurationError(f"{what}: {unknown[0]!r} is not known; choose from {', '.join(known)}")
            if not given:
                raise ConfigurationError(f"{what}: none is given; choose from {', '.join(known)}")

    @property
    def passes(self) -> int:
        """How often each utterance is predicted."""
        return 1 + ("robustness" in self.groups) * len(self.conditions)


@dataclass(frozen=True)
class Tested:
    """The outcomes of all tests.

    Attributes:
        model: Its name.
        classes: Of the model.
        utterances: Number of utterances.
        outcomes: In the order of the groups.
        notes: What a reader should know.
        errors: Why utterances have no answer.
    """

    model: str
    classes: tuple[str, ...]
    utterances: int
    outcomes: tuple[Outcome, ...]
    notes: tuple[str, ...]
    errors: tuple[DuettoError, ...] = ()

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """The tests that fail."""
        return tuple(outcome for outcome in self.outcomes if outcome.status == FAILED)


def run(
    model: Predictor,
    rejecting: Predictor | None,
    utterances: Sequence[Utterance],
    plan: Plan,
    *,
    made_by: Mapping[str, str],
    folder: Path | None = None,
    progress: Progress | None = None,
) -> Tested:
    """Test a model.

    Args:
        model: Answers for any sound (`duetto.load(…, require_speech=False)`).
        rejecting: The same model, as it gives a recording without speech no emotion; None for no test of that.
        utterances: Labelled.
        plan: What to test.
        made_by: See `Answers`.
        folder: Where answers are kept, so that an interrupted call resumes; None for nowhere.
        progress: Counts predictions.

    Returns:
        The outcomes.

    Raises:
        ConfigurationError: No utterance has a class of the model, or none could be read.
    """
    chosen = choose(utterances, model.labels, plan.most, plan.seed)
    answers = Answers(model, chosen.utterances, made_by, folder, plan.workers)
    step = _counter(progress, plan.passes * len(chosen.utterances))
    clean = answers.of(None, step)
    if not clean.utterances:
        raise ConfigurationError(f"no recording could be read; the first error: {clean.errors[0]}")
    sample = Sample(clean.result(Path(model.name).name or model.name, model.labels), plan.limits)
    found = [*_of_clean(sample, clean, plan)]
    if "robustness" in plan.groups:
        found += _of_conditions(answers, clean, model.labels, plan, step)
    if "rejection" in plan.groups and rejecting is not None:
        found += rejection.of_sounds(rejecting, plan.limits)
    order = list(THRESHOLDS)
    found.sort(key=lambda outcome: order.index(outcome.group))
    return Tested(model.name, model.labels, len(clean.utterances), tuple(found), _notes(chosen, clean), clean.errors)


def _of_clean(sample: Sample, clean: Answered, plan: Plan) -> Iterator[Outcome]:
    """Tests of the recordings as they are."""
    if "correctness" in plan.groups:
        yield from correctness.outcomes(sample, clean.utterances, plan.limits)
    if "fairness" in plan.groups:
        yield from fairness.outcomes(sample, clean.utterances, plan.limits)
    if "calibration" in plan.groups:
        yield from calibration.outcomes(sample, plan.limits)
    if "rejection" in plan.groups:
        yield from rejection.of_speech(sample, clean, plan.limits)


def _of_conditions(
    answers: Answers, clean: Answered, classes: tuple[str, ...], plan: Plan, step: Callable[[], None] | None
) -> Iterator[Outcome]:
    for condition in plan.conditions:
        if CONDITIONS[condition].mixes and not answers.recordings.enough_voices():
            yield from robustness.undecided(condition, plan.limits, FEW_VOICES)
            continue
        changed = answers.of(condition, step)
        if not changed.utterances:
            yield from robustness.undecided(condition, plan.limits, str(changed.errors[0]))
            continue
        yield from robustness.outcomes(clean, changed, condition, classes, plan.limits)


def _notes(chosen: Chosen, clean: Answered) -> tuple[str, ...]:
    notes = list(chosen.notes)
    if clean.errors:
        notes.append(f"{len(clean.errors):,} utterances left out, which could not be read or analysed")
    for by in correctness.GROUPINGS:
        if all(getattr(u, by) is None for u in clean.utterances):
            notes.append(f"the {by} of no utterance is known")
    return tuple(notes)


def _counter(progress: Progress | None, total: int) -> Callable[[], None] | None:
    """A callback that counts its calls."""
    if progress is None:
        return None
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    return step

"""Rejection: no emotion without speech, speech found where there is some, and confidence that is worth something."""

from __future__ import annotations

from collections.abc import Iterator

from ..audio.timing import SAMPLE_RATE
from ..errors import DuettoError
from ..evaluation import COVERAGES, selective
from .answers import Answered, Predictor
from .figures import Figure, Sample, quantile, wider, wilson
from .outcome import FAILED, PASSED, UNDECIDED, Outcome
from .sounds import sounds
from .thresholds import Limits

COVERAGE = 0.6
"""Share of the answers, the most confident first, whose accuracy is tested; one of `evaluation.COVERAGES`."""

_GROUP = "rejection"


def of_sounds(model: Predictor, limits: Limits) -> Iterator[Outcome]:
    """Test sounds without speech.

    Args:
        model: Loaded so that it gives a recording without speech no emotion.
        limits: The limits.

    Yields:
        A test for each sound.
    """
    made = sounds()
    predictions = model.predict_many({"waveform": x, "sample_rate": SAMPLE_RATE} for x in made.values())
    for name, outcome in zip(made, predictions, strict=True):
        limit = limits.limit(_GROUP, "no_emotion", name)
        if isinstance(outcome, DuettoError):
            value, status, note = None, UNDECIDED, str(outcome)
        else:
            value = 100.0 * (outcome.label is None)
            status = PASSED if limit.holds(value) else FAILED
            answer = "" if outcome.label is None else f"{outcome.label}, p = {max(outcome.probabilities.values()):.2f}"
            note = answer
        about = (_GROUP, "no_emotion", "sound", name, name)
        yield Outcome(*about, value, None, limit.low, limit.high, 1, status, note)


def of_speech(sample: Sample, answered: Answered, limits: Limits) -> Iterator[Outcome]:
    """Test what is rejected of speech.

    Args:
        sample: Answers for the recordings as they are.
        answered: The same.
        limits: The limits.

    Yields:
        The tests.
    """
    for test, figure in (("speech_found", sample.share(~answered.without_speech)), ("confident_right", _right(sample))):
        if figure is not None:
            yield figure.against(limits.limit(_GROUP, test), _GROUP, test, title="all")


def _right(sample: Sample) -> Figure:
    """WA of the most confident answers."""
    found = selective(sample.result).accuracy[COVERAGES.index(COVERAGE)]
    kept = max(1, round(COVERAGE * len(sample.result.ids)))
    alone = wilson(found.mean / 100 * kept, kept, quantile())
    bounds = wider(found.ci95, (100 * alone[0], 100 * alone[1]))
    return Figure(found.mean, bounds, kept, sample.problem())

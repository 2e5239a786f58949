"""The most confident wrong answers of a model, and what moved them.

Scored ─ most_confident_errors ─▶ utterances ─ explained ─▶ report.effects.ExplainedAnswer
"""

from __future__ import annotations

from ..data.utterance import Utterance
from ..errors import DuettoError
from ..report.effects import ExplainedAnswer
from .prediction import Prediction
from .recogniser import Recogniser
from .scoring import Scored, given_words_of, source_of
from .sources import guarded


def most_confident_errors(scored: Scored, number: int) -> list[tuple[Utterance, Prediction]]:
    """Choose wrong answers.

    Args:
        scored: The predictions of a model.
        number: How many at most.

    Returns:
        The most confident wrong ones first; equals by id.
    """
    wrong = [(u, p) for u, p in scored.predictions if p.label != u.label]
    return sorted(wrong, key=lambda pair: (-round(_confidence(pair[1]), 6), pair[0].id))[:number]


def explained(
    recogniser: Recogniser, utterance: Utterance, prediction: Prediction, *, given_words: bool = False
) -> ExplainedAnswer | DuettoError:
    """Explain an answer.

    Args:
        recogniser: What answered.
        utterance: With its label.
        prediction: The answer.
        given_words: Whether the words of the utterance were read, instead of recognised.

    Returns:
        The effects of its moments and words, or the error that prevented the explanation.
    """
    given = given_words_of(utterance) if given_words else {}
    explanation = guarded(lambda _: recogniser.explain(source_of(utterance), **given), utterance.audio)
    if isinstance(explanation, DuettoError):
        return explanation
    label = str(prediction.label)
    moments = [(f"{m.start:.2f}–{m.end:.2f} s", m.effects.get(label)) for m in explanation.moments]
    words = [(f"“{w.word}”", w.effects.get(label)) for w in explanation.words]
    effects = tuple((name, effect) for name, effect in (*moments, *words) if effect is not None)
    return ExplainedAnswer(utterance.id, str(utterance.label), label, _confidence(prediction), effects)


def _confidence(prediction: Prediction) -> float:
    return max(prediction.probabilities.values())

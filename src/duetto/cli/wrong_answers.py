"""`duetto evaluate --manifest --explain`: what moved the most confident wrong answers, for the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from ..data.text import tokens
from ..data.utterance import Utterance
from ..errors import DuettoError
from ..inference.explanation import Explanation
from ..inference.prediction import Prediction
from ..inference.recogniser import Recogniser
from ..inference.scoring import Scored, source_of
from ..inference.sources import guarded
from ..report.effects import ExplainedAnswer
from ..utils.progress import bar
from .output import echo


def explained_errors(
    scored: Scored, number: int, recognisers: Mapping[Path, tuple[Recogniser, Sequence[Utterance]]], given_words: bool
) -> list[ExplainedAnswer]:
    """Explain the most confident wrong answers of a model.

    Args:
        scored: Its predictions.
        number: How many at most.
        recognisers: Folder → what answered, and the utterances that it answered: several for the folds of a run.
        given_words: Whether the words of the utterances were read, instead of recognised.

    Returns:
        The answers, the most confident first. One that cannot be explained is left out, and named on standard error.
    """
    by_id = {u.id: recogniser for recogniser, utterances in recognisers.values() for u in utterances}
    chosen, found = most_confident_errors(scored.predictions, number), []
    with bar(f"explain {scored.model}") as progress:
        for done, (utterance, prediction) in enumerate(chosen, 1):
            explain = partial(_explain, by_id[utterance.id], given_words=given_words)
            outcome = guarded(lambda _, u=utterance, f=explain: f(u), utterance.audio)
            if isinstance(outcome, DuettoError):
                echo(f"error: {outcome}", err=True)
            else:
                found.append(_answer(utterance, prediction, outcome))
            if progress:
                progress(done, len(chosen))
    return found


def most_confident_errors(
    predictions: Sequence[tuple[Utterance, Prediction]], number: int
) -> list[tuple[Utterance, Prediction]]:
    """Choose wrong answers.

    Args:
        predictions: Labelled utterances and their predictions.
        number: How many at most.

    Returns:
        The most confident wrong ones first; equals by id.
    """
    wrong = [(u, p) for u, p in predictions if p.label != u.label]
    return sorted(wrong, key=lambda pair: (-round(_probability(pair[1]), 6), pair[0].id))[:number]


def _probability(prediction: Prediction) -> float:
    return max(prediction.probabilities.values())


def _explain(recogniser: Recogniser, utterance: Utterance, *, given_words: bool) -> Explanation:
    if not given_words:
        return recogniser.explain(source_of(utterance))
    transcript = utterance.text if utterance.words is None and tokens(utterance) else None
    return recogniser.explain(source_of(utterance), transcript=transcript, words=utterance.words)


def _answer(utterance: Utterance, prediction: Prediction, explanation: Explanation) -> ExplainedAnswer:
    label = str(prediction.label)
    moments = [(f"{m.start:.2f}–{m.end:.2f} s", m.effects.get(label)) for m in explanation.moments]
    words = [(f"“{w.word}”", w.effects.get(label)) for w in explanation.words]
    effects = tuple((name, effect) for name, effect in (*moments, *words) if effect is not None)
    return ExplainedAnswer(utterance.id, str(utterance.label), label, _probability(prediction), effects)

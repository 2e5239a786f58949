"""The recogniser of a command."""

from __future__ import annotations

import typer

from ..inference.confidence import AUTO
from ..inference.recogniser import Recogniser
from .output import echo


def open_recogniser(model: str, asr: str, require_speech: bool, reject: str | None) -> Recogniser:
    """Open a model and print its terms on standard error.

    Args:
        model: See `duetto.load`.
        asr: See `duetto.load`.
        require_speech: See `duetto.load`.
        reject: A share, or `auto`; None where no answer is marked.

    Returns:
        The recogniser.

    Raises:
        BadParameter: `reject` is no number.
        ModelError: The model is missing, damaged or unfinished.
        ConfigurationError: `asr` or `reject` is not valid for this model.
    """
    recogniser = Recogniser(model, asr=asr, require_speech=require_speech, reject=rate(reject))
    if recogniser.terms:
        echo(f"model {recogniser.name}: {recogniser.terms}", err=True)
    return recogniser


def rate(reject: str | None) -> float | str | None:
    """Read the value of `--reject`.

    Args:
        reject: As given.

    Returns:
        A share, or `auto`; None where no answer is marked.

    Raises:
        BadParameter: It is no number.
    """
    if reject is None or reject == AUTO:
        return reject
    try:
        return float(reject)
    except ValueError as error:
        raise typer.BadParameter(f"--reject {reject}: give a share such as 0.1, or {AUTO}") from error

"""`duetto push`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from .. import runs
from ..data.utterance import LANGUAGE
from ..inference.model_folder import find
from ..inference.publishing import Publication, stage
from ..utils import hub
from .options import usage_errors
from .output import echo


def _repository(value: str) -> str:
    with usage_errors():
        if hub.parse(value).revision is not None or value.startswith(hub.PREFIX):
            raise typer.BadParameter(f"{value}: give OWNER/NAME")
    return value


def _languages(value: list[str] | None) -> list[str] | None:
    for code in value or ():
        if not LANGUAGE.fullmatch(code):
            raise typer.BadParameter(f"{code!r} is no language code; give one such as en or de")
    return value


def push(
    model: Annotated[str, typer.Argument(help="A run folder, an exported folder, or a model that comes with duetto.")],
    repository: Annotated[str, typer.Argument(metavar="OWNER/NAME", callback=_repository, help="On the Hub.")],
    private: Annotated[bool, typer.Option("--private", help="Make a repository that is created private.")] = False,
    license_: Annotated[
        str | None,
        typer.Option("--license", help="Of the weights, such as cc-by-4.0; by default what the card states."),
    ] = None,
    language: Annotated[
        list[str] | None, typer.Option(callback=_languages, help="That the model is for, such as de; may be repeated.")
    ] = None,
    fold: Annotated[
        int | None, typer.Option(help="Of a run: number of the fold, from 0; the first by default.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of a run: seed of the training; the first by default.")] = None,
    int8: Annotated[bool, typer.Option("--int8", help="Of a run: 8-bit weights in the graph.")] = False,
    message: Annotated[str, typer.Option("--message", "-m", help="Of the commit.")] = "Upload by duetto",
) -> None:
    """Upload a model to the Hugging Face Hub, with its card; `hub:OWNER/NAME` names it wherever a model is taken.

    A run is exported and verified first (as by `duetto export`), and the weights of PyTorch lie beside the graph as
    model.safetensors. Needs the extra `hub` and a token (`hf auth login`, or HF_TOKEN), which is never printed.

    Examples:

        duetto push runs/fusion me/my-voices --private --license cc-by-4.0 --language de

        duetto predict call.wav --model hub:me/my-voices

        duetto predict call.wav --model hub:me/my-voices@v1.0
    """
    publication = Publication(repository, license_, tuple(language or ()))
    with tempfile.TemporaryDirectory() as temporary:
        staged = Path(temporary, "model")
        staged.mkdir()
        if (Path(model) / runs.RUN).is_file():
            from ..experiments.publishing import stage_run  # late: needs PyTorch

            stage_run(Path(model), staged, publication, fold=fold, seed=seed, int8=int8)
        elif fold is not None or seed is not None or int8:
            raise typer.BadParameter(f"{model}: --fold, --seed and --int8 belong to a run folder")
        else:
            stage(find(model), staged, publication)
        for path in sorted(path for path in staged.rglob("*") if path.is_file()):
            echo(f"{path.relative_to(staged).as_posix()}: {path.stat().st_size:,} bytes", err=True)
        echo(hub.upload(staged, repository, private=private, message=message))

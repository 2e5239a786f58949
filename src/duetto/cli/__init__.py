"""The command line: parse, call one function of the library, print. No logic lives here."""

from __future__ import annotations

import logging
import sys
from io import TextIOWrapper

import typer

from ..errors import DuettoError, MissingExtraError
from . import align, audit, corpus, demo, predict, reproduce, speech2vec, train

_TRAIN = "torch lightning sklearn scipy hmmlearn threadpoolctl gensim safetensors onnx tensorboard"
_EXTRAS = {**dict.fromkeys(_TRAIN.split(), "train"), "espeakng_loader": "synth", "faster_whisper": "whisper"}
"""Optional package → the extra that brings it."""

app = typer.Typer(
    name="duetto",
    help="Speech emotion recognition from two voices of one utterance: how it is said, and what is said.",
    epilog="Start with: duetto demo --out demo    Every command has --help with examples.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(demo.demo)
app.command("predict")(predict.predict)
app.add_typer(corpus.app, name="corpus")
app.command("features")(corpus.features)
app.command("align")(align.align)
app.command("audit")(audit.audit)
app.command("train")(train.train)
app.command("evaluate")(train.evaluate)
app.command("reproduce")(reproduce.reproduce)
app.add_typer(speech2vec.app, name="speech2vec")


@app.callback()
def _root(verbose: bool = typer.Option(False, "--verbose", "-v", help="Log what is done to standard error.")) -> None:
    level = logging.INFO if verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)


def main() -> None:
    """Entry point. Exit status: 0 done; 1 something was skipped, wrong, or an error; 2 wrong usage."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character still gets the answer
    try:
        app()
    except DuettoError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)
    except ModuleNotFoundError as error:
        # Training is imported only where it is asked for; this is where a core installation ends.
        package = (error.name or "").partition(".")[0]
        if package not in _EXTRAS:
            raise
        typer.echo(f"error: {MissingExtraError(f'This command (package {package})', _EXTRAS[package])}", err=True)
        sys.exit(1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        typer.echo(f"error: {where}{error.strerror or error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        typer.echo("stopped; run the same command again to go on", err=True)
        sys.exit(130)

"""The command line: parse, call one function of the library, print. No logic lives here."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

import duetto

from ..errors import DuettoError, MissingExtraError
from . import output, streams

COMMANDS: dict[str, str] = {
    "demo": "demo:demo",
    "predict": "predict:predict",
    "timeline": "timeline:timeline",
    "stream": "stream:stream",
    "serve": "serve:serve",
    "scale": "scale:app",
    "corpus": "corpus:app",
    "features": "features:features",
    "align": "align:align",
    "audit": "audit:audit",
    "folds": "folds:folds",
    "train": "train:train",
    "evaluate": "evaluate:evaluate",
    "adapt": "adapt:adapt",
    "test": "test:test",
    "reproduce": "reproduce:reproduce",
    "confidence": "confidence:confidence",
    "export": "export:export",
    "push": "push:push",
    "encoder": "encoder:app",
    "speech2vec": "speech2vec:app",
}
"""Command → module in this package, and the function or the group of commands in it."""

_TRAIN = "torch lightning sklearn scipy hmmlearn threadpoolctl gensim safetensors onnx tensorboard"
_SERVE = "fastapi starlette uvicorn websockets python_multipart prometheus_client"
_EXTRAS = {
    **dict.fromkeys(_TRAIN.split(), "train"),
    **dict.fromkeys(_SERVE.split(), "serve"),
    **dict.fromkeys(("fsspec", "ray"), "scale"),
    "espeakng_loader": "synth",
    "faster_whisper": "whisper",
    **dict.fromkeys(("pandas", "pyarrow"), "data"),
    "huggingface_hub": "hub",
}
"""Optional package → the extra that installs it."""

_MARKUP = "markdown"
_ENDED = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
_STOPPED = (130, *(128 + number for number in _ENDED))
"""Exit statuses of work that a signal ended; 130 is what Typer makes of Ctrl-C."""


class _Commands(TyperGroup):
    """Imports a command only when it is used: `predict` does not wait for the imports of `train`."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        # For an unknown name, the error suggests a similar one of `self.commands`.
        for name in (cmd_name,) if cmd_name in COMMANDS else COMMANDS:
            if name not in self.commands:
                self.commands[name] = _load(name)
        return self.commands.get(cmd_name)


def _load(name: str) -> Any:
    """Import the command of a name."""
    module, _, member = COMMANDS[name].partition(":")
    found = getattr(import_module(f".{module}", __name__), member)
    parent = typer.Typer(rich_markup_mode=_MARKUP)
    if isinstance(found, typer.Typer):
        parent.add_typer(found, name=name)
    else:
        parent.command(name)(found)
    return get_group(parent).commands[name]


app = typer.Typer(
    name="duetto",
    cls=_Commands,
    help="Speech emotion recognition from acoustics and words.",
    epilog="Start with: duetto predict FILE.wav    With the extras train and synth: duetto demo --out demo    "
    "Every command has --help with examples.",
    no_args_is_help=True,
    rich_markup_mode=_MARKUP,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(requested: bool) -> None:
    if requested:
        output.echo(f"duetto {duetto.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Log progress to standard error."),
    _: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    level = logging.INFO if verbose else logging.WARNING
    output.log(level)


def _end(number: int, _: object) -> None:
    raise SystemExit(128 + number)


def main() -> None:
    """Run the command line.

    Exit status: 0 for success; 1 if something was skipped, is wrong, or failed; 2 for wrong usage, such as an invalid
    value of an option; 128 + the number of the signal that ended it (130 for Ctrl-C).
    """
    if threading.current_thread() is threading.main_thread():
        for number in _ENDED:
            if signal.getsignal(number) == signal.SIG_DFL:  # else it is ignored (nohup)
                signal.signal(number, _end)
    streams.prepare()
    try:
        app()
    except DuettoError as error:
        output.echo(f"error: {error}", err=True)
        sys.exit(1)
    except ModuleNotFoundError as error:
        # Training is imported only by the commands that train; a core installation lacks its packages.
        package = (error.name or "").partition(".")[0]
        if package not in _EXTRAS:
            raise
        output.echo(f"error: {MissingExtraError(f'This command (package {package})', _EXTRAS[package])}", err=True)
        sys.exit(1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        output.echo(f"error: {where}{error.strerror or error}", err=True)
        sys.exit(1)
    except SystemExit as status:
        if status.code in _STOPPED:
            output.echo("stopped; run the same command again to resume", err=True)
        raise

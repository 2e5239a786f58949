"""`duetto predict`: recordings in, emotions out."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from ..data.manifest import parse_words
from ..data.utterance import Word
from ..errors import CorpusError, DuettoError
from ..inference.pretrained import DEFAULT, PRETRAINED
from ..inference.recogniser import Prediction, Recogniser
from ..utils.parallel import cores
from ..utils.progress import bar
from ..utils.reading import parse_json, read_bytes
from ..utils.text import name_of
from .options import one_of
from .output import echo, json_line

Recordings = Annotated[
    list[Path],
    typer.Argument(  # readable: whether one can be read is that recording's error, not the end of the batch
        help="Recordings: wav, flac, ogg, opus or mp3, at any rate; - is standard input.", readable=False
    ),
]


def predict(
    files: Recordings,
    model: Annotated[
        str,
        typer.Option(
            "--model", "-m", help="A run folder, an exported folder, or one that comes along: " + ", ".join(PRETRAINED)
        ),
    ] = DEFAULT,
    transcript: Annotated[
        str | None, typer.Option(help="What is said, for systems that read words; one recording only.")
    ] = None,
    words: Annotated[
        Path | None, typer.Option(help="JSON file with [{word, start, end}, …], instead of --transcript.")
    ] = None,
    asr: Annotated[
        str,
        typer.Option(
            callback=one_of(("corpus", "general", "segments", "whisper", "whisper=")),
            help="What finds the words: corpus, general, segments, or whisper=FOLDER.",
        ),
    ] = "corpus",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Recordings at a time; as many as there are cores by default.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, and nothing else.")] = False,
) -> None:
    """Tell the emotion of each recording, with probabilities.

    A system that reads words finds them in the recording by itself; --transcript aligns a given text instead.
    The answer lists the words with their times, and says how they were found. A bad recording is reported and
    the others go on; the exit status is then 1.

    Examples:

        duetto predict call.wav

        duetto predict call.wav --model runs/fusion

        duetto predict call.wav --model runs/fusion --transcript "oh that is lovely"

        duetto predict calls/*.flac --model runs/acoustic --json > answers.jsonl

        ffmpeg -i call.m4a -ac 1 -ar 16000 -f wav - | duetto predict -
    """
    if (transcript is not None or words is not None) and len(files) > 1:
        raise typer.BadParameter("--transcript and --words describe one recording; give one file")
    if transcript is not None and words is not None:
        raise typer.BadParameter("--transcript and --words both say what is said; give one")
    system = Recogniser(model, asr=asr)
    if system.terms:
        echo(f"model {system.name}: {system.terms}", err=True)
    given = None if words is None else _read_words(words)
    if transcript is None and given is None:
        answers = system.predict_many(map(source_of, files), workers=min(workers or cores(), len(files)))
    else:
        answers = iter([system.attempt(source_of(files[0]), transcript=transcript, words=given)])
    failed = _tell(files, answers, as_json)
    if failed:
        echo(f"{failed} of {len(files)} recordings have no answer", err=True)
        raise typer.Exit(1)


def source_of(file: Path) -> Path | BinaryIO:
    """Open what an argument names.

    Args:
        file: A path, or `-` for standard input.

    Returns:
        The path, or the stream.
    """
    return sys.stdin.buffer if str(file) == "-" else file


def _tell(files: list[Path], answers: Iterator[Prediction | DuettoError], as_json: bool) -> int:
    """Print the answers as they come; the number of recordings that have none."""
    failed = 0
    with bar("recordings", enabled=len(files) > 1) as progress:
        for done, (file, answer) in enumerate(zip(files, answers, strict=True), 1):
            if isinstance(answer, DuettoError):
                failed += 1
                echo(f"error: {answer}", err=True)
            elif as_json:
                json_line(answer.to_json(name_of(file)))
            else:
                show(file, answer)
            if progress:
                progress(done, len(files))
    return failed


def show(file: Path, prediction: Prediction) -> None:
    """Print one prediction for a person.

    Args:
        file: The recording.
        prediction: Its prediction.
    """
    echo(f"{file}  {prediction.duration:.1f} s  →  {prediction.label}", bold=True)
    width = max(map(len, prediction.probabilities))
    for label, probability in sorted(prediction.probabilities.items(), key=lambda item: -item[1]):
        echo(f"  {label:<{width}}  {probability:6.1%}  {'█' * round(30 * probability)}")
    if prediction.words:
        echo(f"  words ({prediction.words_from}): {_listed(prediction.words)}")
    for warning in prediction.warnings:
        echo(f"  warning: {file}: {warning}", err=True)


def _listed(words: tuple[Word, ...]) -> str:
    return "  ".join(
        (word.word or "–") if word.start is None else f"{word.word or '–'} {word.start:.2f}–{word.end:.2f}"
        for word in words
    )


def _read_words(path: Path) -> tuple[Word, ...]:
    repair = 'give [{"word": …, "start": …, "end": …}, …]'
    content = read_bytes(path, error=CorpusError, repair=repair, pipes=True)
    value = parse_json(content, where=str(path), error=CorpusError, repair=repair)
    try:
        return parse_words(value) or ()
    except CorpusError as error:
        raise CorpusError(f"{path}: {error}") from error

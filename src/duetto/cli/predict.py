"""`duetto predict`: the emotion of recordings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from ..data.manifest import parse_words
from ..data.utterance import Word
from ..errors import AudioError, CorpusError, DuettoError
from ..inference.explanation import Explanation
from ..inference.fusion_folder import BranchAnswer
from ..inference.pretrained import DEFAULT
from ..inference.recogniser import Prediction, Recogniser
from ..inference.speaker_session import SpeakerSession
from ..utils.parallel import cores
from ..utils.progress import bar
from ..utils.reading import parse_json, read_bytes
from ..utils.text import name_of
from .explanation import explanations, show_effects
from .options import Asr, ChannelChoice, Model, Rate, RawChannels, Recordings, Recursive, Reject, RequireSpeech
from .output import echo, json_line
from .prediction_files import check_out, prediction_file
from .recogniser import open_recogniser
from .recordings import Recording, by_channel, find, source_of

_Answer = Prediction | Explanation
_Write = Callable[[Recording, _Answer], None]

Transcript = Annotated[str | None, typer.Option(help="What is said, for systems that read words; one recording only.")]
WordsFile = Annotated[
    Path | None, typer.Option(help="JSON file with [{word, start, end}, …], instead of --transcript.")
]
Workers = Annotated[int | None, typer.Option(min=1, help="Recordings at a time; by default the number of cores.")]
InSession = Annotated[
    bool, typer.Option("--session", help="The files are recordings of one speaker, in order; adapt to the voice.")
]
Enrolled = Annotated[
    list[Path] | None,
    typer.Option("--enrol", help="An earlier recording of the speaker; may be repeated. Implies --session."),
]
Explain = Annotated[
    bool,
    typer.Option("--explain", help="Add what each moment and each word contributed: it is left out in turn."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object a line, and nothing else.")]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", callback=check_out, help="Write a file, .csv or .jsonl, instead of printing."),
]


def predict(
    files: Recordings,
    model: Model = DEFAULT,
    transcript: Transcript = None,
    words: WordsFile = None,
    asr: Asr = "auto",
    workers: Workers = None,
    session: InSession = False,
    enrol: Enrolled = None,
    require_speech: RequireSpeech = True,
    reject: Reject = None,
    channels: ChannelChoice = "mix",
    recursive: Recursive = False,
    rate: Rate = None,
    raw_channels: RawChannels = 1,
    out: Out = None,
    explain: Explain = False,
    as_json: AsJson = False,
) -> None:
    """Recognise the emotion of each recording, with probabilities.

    A system that reads words finds them in the recording; --transcript aligns a given text instead. The output lists
    the words with their times, and how they were found. A recording without speech gets no emotion, and a warning. A
    recording that cannot be read is reported, the others are still processed, and the exit status is 1.

    Examples:

        duetto predict call.wav

        duetto predict call.wav --model runs/fusion

        duetto predict call.wav --model runs/fusion --transcript "oh that is lovely"

        duetto predict calls/*.flac --model runs/acoustic --json > predictions.jsonl

        duetto predict calls/*.wav --reject 0.1

        duetto predict turn-1.wav turn-2.wav turn-3.wav --session --model runs/adaptive

        duetto predict call.wav --explain

        duetto predict -r calls -o predictions.csv

        duetto predict call.m4a --channels split

        arecord -d 5 -f S16_LE -r 16000 | duetto predict -

        duetto predict - --rate 8000 < call.pcm
    """
    in_session = session or bool(enrol)
    found = by_channel(find(files, recursive=recursive, rate=rate, channels=raw_channels), channels)
    sources = [recording.source for recording in found]
    _check_options(len(found), transcript, words, in_session, workers)
    _check_explain(explain, workers, out)
    recogniser = open_recogniser(model, asr, require_speech, reject)
    given, unread = None if words is None else _read_words(words), 0
    speaker = recogniser.session() if in_session else None
    if speaker is not None:
        unread = _enrol(speaker, enrol or [])
    if explain:
        outcomes = explanations(recogniser, sources, transcript, given, speaker)
    elif speaker is not None:
        outcomes = (speaker.attempt(source, transcript=transcript, words=given) for source in sources)
    elif transcript is None and given is None:
        outcomes = recogniser.predict_many(sources, workers=min(workers or cores(), len(found)))
    else:
        outcomes = iter([recogniser.attempt(sources[0], transcript=transcript, words=given)])
    with _writer(out, recogniser, as_json) as write:
        failed = _print_all(found, outcomes, write)
    if failed:
        echo(f"{failed} of {len(found)} recordings have no prediction", err=True)
    if failed or unread:
        raise typer.Exit(1)


def _check_options(
    files: int, transcript: str | None, words: Path | None, in_session: bool, workers: int | None
) -> None:
    if (transcript is not None or words is not None) and files > 1:
        raise typer.BadParameter("--transcript and --words describe one recording; give one file")
    if transcript is not None and words is not None:
        raise typer.BadParameter("--transcript and --words both state what is said; give one")
    if in_session and workers not in (None, 1):
        raise typer.BadParameter("--session answers one recording after another; leave --workers out")


def _check_explain(explain: bool, workers: int | None, out: Path | None) -> None:
    if explain and workers not in (None, 1):
        raise typer.BadParameter("--explain answers one recording after another; leave --workers out")
    if explain and out is not None and out.suffix.lower() == ".csv":
        raise typer.BadParameter("--explain has no place in a .csv file; write a .jsonl file")


def _enrol(session: SpeakerSession, files: list[Path]) -> int:
    """Take recordings into a session; print and count those that cannot be read."""
    unread = 0
    for file in files:
        try:
            session.enrol([source_of(file)])
        except AudioError as error:
            unread += 1
            echo(f"error: --enrol {error}", err=True)
    return unread


@contextmanager
def _writer(out: Path | None, recogniser: Recogniser, as_json: bool) -> Iterator[_Write]:
    """Takes each prediction: to a file, as JSON, or for a person."""
    if out is not None:
        with prediction_file(out, recogniser.labels, recogniser.dimensions) as write:
            yield lambda recording, prediction: write(_record(recording, prediction))
    elif as_json:
        yield lambda recording, prediction: json_line(_record(recording, prediction))
    else:
        yield _show_answer


def _show_answer(recording: Recording, answer: _Answer) -> None:
    prediction = answer.prediction if isinstance(answer, Explanation) else answer
    show(recording.path, prediction, recording.channel)
    if isinstance(answer, Explanation):
        show_effects(answer)


def _record(recording: Recording, answer: _Answer) -> dict[str, Any]:
    own: dict[str, Any] = {} if recording.channel is None else {"channel": recording.channel}
    if isinstance(answer, Explanation):
        answer, own = answer.prediction, {**own, "explanation": answer.to_json()}
    return {**answer.to_json(name_of(recording.path)), **own}


def _print_all(recordings: list[Recording], outcomes: Iterator[_Answer | DuettoError], write: _Write) -> int:
    """Write the outcomes as they come; return the number of recordings without a prediction."""
    failed = 0
    with bar("recordings", enabled=len(recordings) > 1) as progress:
        for done, (recording, outcome) in enumerate(zip(recordings, outcomes, strict=True), 1):
            if isinstance(outcome, DuettoError):
                failed += 1
                echo(f"error: {outcome}", err=True)
            else:
                write(recording, outcome)
            if progress:
                progress(done, len(recordings))
    return failed


def show(file: Path, prediction: Prediction, channel: int | None = None) -> None:
    """Print one prediction as text.

    Args:
        file: The recording.
        prediction: Of the recording.
        channel: The channel of which it is; None for the whole recording.
    """
    doubt = f"  (uncertain{', unfamiliar' * bool(prediction.unfamiliar)})" if prediction.uncertain else ""
    place = f"{file}" if channel is None else f"{file}  channel {channel}"
    echo(f"{place}  {prediction.duration:.1f} s  →  {prediction.label or 'no speech'}{doubt}", bold=True)
    width = max(map(len, prediction.probabilities), default=0)
    for label, probability in sorted(prediction.probabilities.items(), key=lambda item: -item[1]):
        echo(f"  {label:<{width}}  {probability:6.1%}  {'█' * round(30 * probability)}")
    if prediction.dimensions:
        echo("  " + "  ".join(f"{name} {rating:.2f}" for name, rating in prediction.dimensions.items()))
    if prediction.words:
        by = f" by {prediction.speech_recogniser}" if prediction.speech_recogniser else ""
        echo(f"  words ({prediction.words_from}{by}): {_format_words(prediction.words)}")
    if prediction.branches:
        echo(f"  branches (weight): {_format_branches(prediction.branches)}")
    for warning in prediction.warnings:
        echo(f"  warning: {file}: {warning}", err=True)


def _format_branches(branches: tuple[BranchAnswer, ...]) -> str:
    return ", ".join(
        f"{branch.name} ({branch.weight:.2f})" if branch.probabilities is not None else f"{branch.name} (left out)"
        for branch in branches
    )


def _format_words(words: tuple[Word, ...]) -> str:
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

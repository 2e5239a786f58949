"""`duetto scale`: the same commands for archives, on several cores, a cluster, or an array of jobs."""

from __future__ import annotations

from typing import Annotated

import typer

from ..asr.annotate import METHODS
from ..features.registry import choices, is_known
from ..inference.model_folder import find
from ..inference.pretrained import DEFAULT, terms
from ..scale import job, ledger
from ..scale.engines import ENGINES, Workers
from ..scale.ledger import Ledger
from ..scale.source import Size
from ..scale.tasks import Align, Features, Predict, Task, Timeline
from ..utils.parallel import cores
from ..utils.progress import bar
from .options import Asr, ChannelChoice, Model, Reject, RequireSpeech, one_of, usage_errors
from .output import echo, json_line
from .recogniser import rate
from .recordings import channels_of

app = typer.Typer(
    help="Process archives of any size: shards in, Parquet files out, resumable, on one machine or many.",
    no_args_is_help=True,
)

Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="A manifest (.jsonl), or tar files of WebDataset ('calls-*.tar'): a path, or a URL such as s3://….",
    ),
]
Out = Annotated[str, typer.Option("--out", "-o", help="Folder of the job: a path, or a URL such as s3://….")]
EngineName = Annotated[
    str,
    typer.Option(
        "--engine",
        callback=one_of(tuple(ENGINES)),
        help=f"Who works: {', '.join(ENGINES)}. ray takes the cluster that RAY_ADDRESS names, or this computer.",
    ),
]
WorkerCount = Annotated[
    int | None, typer.Option("--workers", min=1, help="Workers at most. Default: one a core of this computer.")
]
Memory = Annotated[float, typer.Option(min=0.1, help="GB that Ray reserves for each worker.")]
ShardIndex = Annotated[int, typer.Option("--shard", min=0, help="This is task I of an array, from 0 on.")]
ShardCount = Annotated[int, typer.Option("--of", min=1, help="The array has so many tasks.")]
ShardSize = Annotated[int, typer.Option("--shard-size", min=1, help="Recordings of a shard of a manifest, at most.")]
ShardSeconds = Annotated[
    float | None, typer.Option("--shard-seconds", min=1, help="Seconds of a shard of a manifest, at most.")
]
ErrorsOk = Annotated[
    bool, typer.Option("--errors-ok", help="Exit status 0 though recordings could not be read, if all were tried.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, and nothing else.")]


def _setup(workers: int | None, memory: float, shard_size: int, shard_seconds: float | None) -> tuple[Workers, Size]:
    with usage_errors():
        return Workers(workers or cores(), memory), Size(shard_size, shard_seconds)


@app.command()
def predict(
    source: Source,
    out: Out,
    model: Model = DEFAULT,
    asr: Asr = "auto",
    require_speech: RequireSpeech = True,
    reject: Reject = None,
    engine: EngineName = "processes",
    workers: WorkerCount = None,
    memory: Memory = 1.0,
    shard: ShardIndex = 0,
    of: ShardCount = 1,
    shard_size: ShardSize = 500,
    shard_seconds: ShardSeconds = None,
    errors_ok: ErrorsOk = False,
    as_json: AsJson = False,
) -> None:
    """Recognise the emotion of each recording. Resumable: run the same again.

    Exit status 1 if a recording could not be read; its row has the reason in the column error.

    Examples:

        duetto scale predict calls.jsonl -o emotions

        duetto scale predict 's3://archive/calls-*.tar' -o s3://results/emotions --engine ray --workers 64

        duetto scale predict calls.jsonl -o emotions --shard 3 --of 100 --workers 1
    """
    _show_terms(model)
    setup = _setup(workers, memory, shard_size, shard_seconds)
    _run(Predict(model, asr, require_speech, rate(reject)), source, out, engine, setup, (shard, of), errors_ok, as_json)


@app.command()
def timeline(
    source: Source,
    out: Out,
    model: Model = DEFAULT,
    channels: ChannelChoice = "split",
    window: Annotated[float | None, typer.Option(help="Also answer windows of so many seconds.")] = None,
    hop: Annotated[float | None, typer.Option(help="Seconds from one window to the next.")] = None,
    asr: Asr = "auto",
    require_speech: RequireSpeech = True,
    reject: Reject = None,
    engine: EngineName = "processes",
    workers: WorkerCount = None,
    memory: Memory = 1.0,
    shard: ShardIndex = 0,
    of: ShardCount = 1,
    shard_size: ShardSize = 100,
    shard_seconds: ShardSeconds = None,
    errors_ok: ErrorsOk = False,
    as_json: AsJson = False,
) -> None:
    """Recognise the emotion of every utterance of each recording. Resumable: run the same again.

    Examples:

        duetto scale timeline calls.jsonl -o segments

        duetto scale timeline calls.jsonl -o segments --engine ray --workers 8
    """
    _show_terms(model)
    setup = _setup(workers, memory, shard_size, shard_seconds)
    task = Timeline(model, asr, require_speech, rate(reject), channels_of(channels), window, hop)
    _run(task, source, out, engine, setup, (shard, of), errors_ok, as_json)


def _features(mode: str) -> str:
    if not is_known(mode):
        raise typer.BadParameter(f"{mode!r} is not known; choose from {choices()}")
    return mode


@app.command()
def features(
    source: Source,
    out: Out,
    mode: Annotated[str, typer.Option(callback=_features, help=f"Features: {choices()}.")] = "corrected",
    engine: EngineName = "processes",
    workers: WorkerCount = None,
    memory: Memory = 1.0,
    shard: ShardIndex = 0,
    of: ShardCount = 1,
    shard_size: ShardSize = 500,
    shard_seconds: ShardSeconds = None,
    errors_ok: ErrorsOk = False,
    as_json: AsJson = False,
) -> None:
    """Extract the features of each recording. Resumable: run the same again.

    Examples:

        duetto scale features corpus.jsonl -o features --mode functionals
    """
    setup = _setup(workers, memory, shard_size, shard_seconds)
    _run(Features(mode), source, out, engine, setup, (shard, of), errors_ok, as_json)


@app.command()
def align(
    source: Source,
    out: Out,
    by: Annotated[
        str, typer.Option(callback=one_of(METHODS), help="transcript (forced alignment), recognise, or segment.")
    ] = "transcript",
    asr: Annotated[
        str,
        typer.Option(
            callback=one_of(("pocketsphinx", "whisper=", "whisper:")),
            help="Speech recogniser: pocketsphinx, whisper=FOLDER, or whisper:NAME.",
        ),
    ] = "pocketsphinx",
    engine: EngineName = "processes",
    workers: WorkerCount = None,
    memory: Memory = 1.0,
    shard: ShardIndex = 0,
    of: ShardCount = 1,
    shard_size: ShardSize = 500,
    shard_seconds: ShardSeconds = None,
    errors_ok: ErrorsOk = False,
    as_json: AsJson = False,
) -> None:
    """Find the words of each recording and their times. Resumable: run the same again.

    Examples:

        duetto scale align corpus.jsonl -o words
    """
    setup = _setup(workers, memory, shard_size, shard_seconds)
    _run(Align(by, asr), source, out, engine, setup, (shard, of), errors_ok, as_json)


@app.command()
def status(
    out: Annotated[str, typer.Argument(metavar="DEST", help="Folder of a job: a path or URL.")],
    as_json: AsJson = False,
) -> None:
    """Print what is done of a job, what failed, what is left, and for how long.

    Examples:

        duetto scale status emotions
    """
    found = job.read(out)
    with bar("outputs") as progress:
        state, _ = ledger.read(found.work, found.shards, progress)
    _print(state, out, as_json)


def _show_terms(model: str) -> None:
    if text := terms(find(model)):
        echo(f"model {model}: {text}", err=True)


def _run(
    task: Task,
    source: str,
    out: str,
    engine: str,
    setup: tuple[Workers, Size],
    part: tuple[int, int],
    errors_ok: bool,
    as_json: bool,
) -> None:
    """Plan a job and run it, or a part of it."""
    workers, size = setup
    if part[0] >= part[1]:
        raise typer.BadParameter(f"--shard {part[0]} --of {part[1]}: give 0 to {part[1] - 1}")
    planned = job.plan(source, out, task, size, again=part[1] == 1).part(*part)
    with bar("shards") as progress:
        state = job.run(planned, engine, workers, progress)
    _print(state, out, as_json)
    if state.left or (state.failed and not errors_ok):
        raise typer.Exit(1)


def _print(state: Ledger, out: str, as_json: bool) -> None:
    if as_json:
        json_line(state.to_json())
        return
    echo(f"{out}: {state.done} of {state.shards} shards, {state.recordings} recordings, {state.failed} failed")
    if state.retryable:
        echo(f"{state.retryable} errors may pass; run the same again")
    if state.left and state.seconds_left is not None:
        echo(f"{state.left} shards left, for about {state.seconds_left / 3600:.2f} hours")

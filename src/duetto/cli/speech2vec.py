"""`duetto speech2vec train | vectors | word2vec | evaluate | inspect`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ..data.manifest import read_manifest
from ..data.text import tokens
from ..data.utterance import Utterance, by_id
from ..embeddings import probing, similarity, spoken_words
from ..embeddings import vectors as word_vectors
from ..embeddings.similarity import PUBLISHED_DIMENSIONS, BenchmarkScore
from ..features.store import FeatureStore
from ..report.embeddings import inspection_lines, inspection_page, training_lines, unused_words
from ..report.rendering import require_html
from ..utils import files
from ..utils.progress import Progress, steps
from ..utils.text import name_of
from .options import Accelerator, Devices, usage_errors
from .output import Console, echo, json_line

app = typer.Typer(
    help="Embeddings of spoken words (Speech2Vec): train, compute and evaluate them.", no_args_is_help=True
)

Manifest = Annotated[Path, typer.Argument(help="JSONL manifest whose words have times; see `duetto align`.")]
VectorFile = Annotated[Path, typer.Argument(help="Word vectors: word2vec, fastText or GloVe text, or word2vec .bin.")]
VectorsOut = Annotated[Path, typer.Option("--out", "-o", help="Vectors to write, word2vec text (.vec or .vec.gz).")]
Strict = Annotated[
    bool, typer.Option("--strict", help="Reject a file with a word that is a duplicate, empty or not UTF-8.")
]
Cache = Annotated[
    Path | None, typer.Option(help="Features, shared with `duetto train`; by default beside the manifest.")
]
Workers = Annotated[int, typer.Option(min=0, help="Processes that compute features; 0 for one a core.")]
Window = Annotated[int, typer.Option(min=1, help="Context words on each side.")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same vectors.")]
Objective = Annotated[
    str,
    typer.Option(help="skipgram: predict the context from the centre word; cbow: the centre word from its context."),
]
TeacherForcing = Annotated[
    bool, typer.Option("--teacher-forcing", help="Feed the decoder the true previous frame; several times slower.")
]
DevelopmentShare = Annotated[
    float,
    typer.Option(min=0.0, max=0.5, help="Held out by speaker to choose the epoch; 0 keeps the last."),
]


@app.command()
def train(
    manifest: Manifest,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write; the same command resumes it.")],
    dim: Annotated[int, typer.Option(min=2, help="Dimension, even; published: 50, 100, 200, 300.")] = 50,
    objective: Objective = "skipgram",
    window: Window = 3,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the words.")] = 10,
    optimiser: Annotated[str, typer.Option(help="adam, or sgd as published.")] = "adam",
    learning_rate: Annotated[float, typer.Option(help="Constant over all epochs.")] = 1e-3,
    batch_size: Annotated[int, typer.Option(min=1, help="Centre words a step.")] = 128,
    teacher_forcing: TeacherForcing = False,
    development_share: DevelopmentShare = 0.05,
    seed: Seed = 0,
    accelerator: Accelerator = "cpu",
    devices: Devices = 1,
    cache: Cache = None,
    workers: Workers = 0,
) -> None:
    """Train Speech2Vec, an encoder of spoken words, on audio alone. Exit status 1 if a recording cannot be read.

    Examples:

        duetto align libri.jsonl -o aligned.jsonl && duetto speech2vec train aligned.jsonl -o s2v

        duetto speech2vec train aligned.jsonl -o published --optimiser sgd --epochs 500 --development-share 0
    """
    from ..models.speech2vec import Speech2VecConfig
    from ..training import speech2vec
    from ..training.loop import TrainingConfig

    with usage_errors():
        config = Speech2VecConfig(dim=dim, decoder=dim, objective=objective, teacher_forcing=teacher_forcing)
        training = TrainingConfig(epochs, learning_rate, optimiser, seed=seed, accelerator=accelerator, devices=devices)
    options = {"config": config, "training": training, "window": window, "batch_size": batch_size}
    utterances = _read_timed(manifest)
    with steps() as step:
        readable, store = _mfcc(utterances, cache or manifest.parent / "cache", workers, step)
        parts = speech2vec.hold_out(readable, development_share, seed=seed)
        encoder = speech2vec.train(*parts, store, out, **options, progress=step("Speech2Vec"))
    _log(training_lines(out, encoder.about))
    _exit_if_skipped(utterances, readable)


@app.command()
def vectors(
    folder: Annotated[Path, typer.Argument(help="Folder of `duetto speech2vec train`.")],
    manifest: Manifest,
    out: VectorsOut,
    min_count: Annotated[int, typer.Option(min=1, help="Fewest spoken instances of a word type.")] = 1,
    instances: Annotated[
        Path | None, typer.Option(help="Also write the vector of every spoken word, a NumPy archive (.npz).")
    ] = None,
    cache: Cache = None,
    workers: Workers = 0,
) -> None:
    """Compute the vector of each word type of a manifest: the mean over its spoken instances.

    Examples:

        duetto speech2vec vectors s2v aligned.jsonl -o speech.vec --min-count 5

        duetto speech2vec vectors s2v other-corpus.jsonl -o other.vec --instances other.npz
    """
    from ..inference import SpokenWordEncoder, spoken

    encoder, utterances = SpokenWordEncoder(folder), _read_timed(manifest)
    with steps() as step:
        readable, store = _mfcc(utterances, cache or manifest.parent / "cache", workers, step)
        segments = spoken_words.Segments.of(readable, store)
        embedded = spoken.embed(encoder, segments, progress=step("embed"))
    found = spoken.type_vectors(encoder, segments, min_count=min_count, embedded=embedded)
    word_vectors.save(found, out)
    lines = [f"{out}: {len(found)} word types, {found.dimension} values each, from {len(segments)} spoken words"]
    lines += unused_words(segments.dropped, segments.cut, segments.words.count(""))
    if instances is not None:
        spoken.save_instances(instances, segments, embedded)
        lines.append(f"{instances}: {len(segments)} spoken words")
    _log(lines)
    _exit_if_skipped(utterances, readable)


@app.command("word2vec")
def text(
    manifest: Annotated[Path, typer.Argument(help="JSONL manifest with transcripts or words.")],
    out: VectorsOut,
    dim: Annotated[int, typer.Option(min=1, help="Dimension.")] = 50,
    window: Window = 3,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the transcripts.")] = 20,
    min_count: Annotated[int, typer.Option(min=1, help="Fewest occurrences of a word.")] = 1,
    seed: Seed = 0,
) -> None:
    """Train the text counterpart: skip-gram word2vec on the transcripts of a manifest.

    Example:

        duetto speech2vec word2vec aligned.jsonl -o text.vec
    """
    from ..embeddings import word2vec

    sentences = [tokens(utterance) for utterance in by_id(read_manifest(manifest))]
    with steps() as step:
        step("word2vec")
        found = word2vec.train(sentences, dim=dim, window=window, epochs=epochs, min_count=min_count, seed=seed)
    word_vectors.save(found, out)
    used = f"{sum(map(bool, sentences))} of {len(sentences)} transcripts"
    _log([f"{out}: {len(found)} word types, {found.dimension} values each, from {used}"])


@app.command()
def evaluate(
    file: VectorFile,
    benchmarks: Annotated[Path, typer.Option(help="Folder of word-similarity files (EN-MEN-TR-3k.txt, …).")],
    strict: Strict = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a benchmark and line, and nothing else.")
    ] = False,
) -> None:
    """Evaluate word similarity: Spearman's ρ with human judgements on the 13 benchmarks of the Speech2Vec paper.

    Only pairs whose words both have a vector count; published scores are over all pairs of a benchmark. The exit status
    is 1 if the file of a benchmark is missing.

    Examples:

        duetto speech2vec evaluate speech.vec --benchmarks word-similarity

        duetto speech2vec evaluate published/50.vec --benchmarks word-similarity --json
    """
    loaded = word_vectors.load(file, strict=strict)
    scores = similarity.evaluate(loaded, benchmarks)
    if as_json:
        for score in scores:
            json_line({"vectors": name_of(file), **score.to_json()})
    else:
        _print_scores(scores, loaded.dimension)
    if missing := [score.missing for score in scores if score.missing]:
        _log([f"not in {benchmarks}: {', '.join(missing)}"])
        raise typer.Exit(1)


@app.command()
def inspect(
    file: VectorFile,
    other: Annotated[Path | None, typer.Option(help="Vectors known to come from text, to compare with.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, and nothing else.")] = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Page with a map of the words (HTML).")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the permutation tests.")] = 0,
    strict: Strict = False,
) -> None:
    """Decide whether vectors encode how words sound or what they mean, and show the evidence.

    A speech encoder must give homophones (sea, see) nearly the same vector; vectors of written words need not.

    Examples:

        duetto speech2vec inspect speech.vec --other text.vec -o map.html

        duetto speech2vec inspect published/50.vec --other published/word2vec-50.vec
    """
    if out is not None:
        require_html()
    compared = None if other is None else word_vectors.load(other, strict=strict)
    found = probing.inspect(word_vectors.load(file, strict=strict), other=compared, seed=seed)
    if out is not None:
        files.write_text(out, inspection_page(file.name, found))
        _log([f"map: {out}"])
    if as_json:
        json_line({"vectors": name_of(file), **found.to_json()})
        return
    verdict, *lines = inspection_lines(found)
    echo(verdict, bold=True)
    for line in lines:
        echo(line)


def _log(lines: Iterable[str]) -> None:
    """Print lines on standard error."""
    for line in lines:
        echo(line, err=True)


def _read_timed(manifest: Path) -> list[Utterance]:
    """The utterances of a manifest whose words have times."""
    utterances = by_id(read_manifest(manifest))
    spoken_words.require_times(utterances)
    return utterances


def _mfcc(
    utterances: list[Utterance], cache: Path, workers: int, step: Callable[[str], Progress | None]
) -> tuple[list[Utterance], FeatureStore]:
    """The utterances that can be read, and the MFCC of all; reports the others."""
    readable, store = spoken_words.extract_mfcc(utterances, cache / "features", workers=workers, progress=step("MFCC"))
    _log(f"skipped {u.id}: {store.skipped[u.id]}" for u in utterances if u.id in store.skipped)
    return readable, store


def _exit_if_skipped(utterances: list[Utterance], readable: list[Utterance]) -> None:
    """Exit with status 1 if recordings could not be read."""
    if len(readable) < len(utterances):
        _log([f"{len(utterances) - len(readable)} of {len(utterances)} recordings were skipped"])
        raise typer.Exit(1)


def _print_scores(scores: list[BenchmarkScore], dimension: int) -> None:
    published = dimension if dimension in PUBLISHED_DIMENSIONS else PUBLISHED_DIMENSIONS[0]
    table = Table("benchmark", box=None, pad_edge=False)
    for title in ("pairs", "of", "ρ", "95 %", f"Speech2Vec {published}", f"word2vec {published}"):
        table.add_column(title, justify="right", no_wrap=True)
    for score in scores:
        rho = "–" if score.rho is None else f"{score.rho:.3f}"
        interval = "–" if score.ci95 is None else f"{score.ci95[0]:.2f} to {score.ci95[1]:.2f}"
        figures = (f"{known[published]:.3f}" for known in (score.published_speech2vec, score.published_word2vec))
        table.add_row(score.name, str(score.pairs_used), str(score.pairs or "absent"), rho, interval, *figures)
    console = Console()
    console.print(table)
    used, pairs = sum(s.pairs_used for s in scores), sum(s.pairs for s in scores)
    console.print(
        f"{used} of {pairs} pairs have both vectors ({used / pairs:.1%}); ρ is over those pairs. Last two columns: as "
        f"published by Chung & Glass (2018), {published} values, over all pairs.",
        highlight=False,
    )

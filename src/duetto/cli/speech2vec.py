"""`duetto speech2vec train | vectors | word2vec | evaluate | inspect`."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from ..data.manifest import read_manifest
from ..data.text import tokens
from ..data.utterance import Utterance, by_id
from ..embeddings import similarity
from ..embeddings import vectors as word_vectors
from ..embeddings.probing import Inspection, PairTest
from ..embeddings.probing import inspect as examine
from ..embeddings.similarity import PUBLISHED_DIMENSIONS, BenchmarkScore
from ..errors import DuettoError
from ..features.mfcc import MfccConfig
from ..features.store import FeatureStore, extract_corpus
from ..utils import files
from ..utils.progress import Progress, steps
from ..utils.text import name_of
from .output import Console, echo, json_line

app = typer.Typer(
    help="Vectors of spoken words (Speech2Vec): train them, write them, and find out what is in them.",
    no_args_is_help=True,
)

Manifest = Annotated[Path, typer.Argument(help="JSONL manifest whose words have times; see `duetto align`.")]
VectorFile = Annotated[Path, typer.Argument(help="Word vectors: word2vec, fastText or GloVe text, or word2vec .bin.")]
Strict = Annotated[
    bool, typer.Option("--strict", help="Refuse vectors with a word that is doubled, empty or no UTF-8.")
]
Cache = Annotated[Path | None, typer.Option(help="Features, shared with `duetto train`; beside the manifest.")]
Workers = Annotated[int, typer.Option(min=0, help="Processes that compute features; 0 for one a core.")]

Forcing = Annotated[
    bool, typer.Option("--teacher-forcing", help="Tell the decoder the true frame before; several times slower.")
]
DevelopmentShare = Annotated[
    float, typer.Option(min=0.0, max=0.5, help="Held out to choose the epoch, by speaker; 0 keeps the last.")
]


@app.command()
def train(
    manifest: Manifest,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write; the same command resumes it.")],
    dim: Annotated[int, typer.Option(min=2, help="Values a vector, even; published: 50, 100, 200, 300.")] = 50,
    objective: Annotated[str, typer.Option(help="skipgram: predict the neighbours; cbow: be predicted.")] = "skipgram",
    window: Annotated[int, typer.Option(min=1, help="Neighbours on each side.")] = 3,
    epochs: Annotated[int, typer.Option(min=1, help="Times that every word is heard.")] = 10,
    optimiser: Annotated[str, typer.Option(help="adam, or sgd as published.")] = "adam",
    learning_rate: Annotated[float, typer.Option(help="Constant over all epochs.")] = 1e-3,
    batch_size: Annotated[int, typer.Option(min=1, help="Centre words a step.")] = 128,
    teacher_forcing: Forcing = False,
    development_share: DevelopmentShare = 0.05,
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds give equal vectors.")] = 0,
    accelerator: Annotated[str, typer.Option(help="cpu, cuda, or auto.")] = "cpu",
    devices: Annotated[int, typer.Option(min=1, help="Processes, each with a device of its own.")] = 1,
    cache: Cache = None,
    workers: Workers = 0,
) -> None:
    """Train Speech2Vec: an encoder that turns any spoken word into a vector.

    It learns from the words' sound alone: what is spoken around a word must follow from how that word sounds.
    Recordings that cannot be read are named and left out; the exit status is then 1.

    Examples:

        duetto align libri.jsonl -o aligned.jsonl && duetto speech2vec train aligned.jsonl -o s2v

        duetto speech2vec train aligned.jsonl -o published --optimiser sgd --epochs 500 --development-share 0
    """
    from ..embeddings import spoken_words
    from ..models.speech2vec import Speech2VecConfig
    from ..training import speech2vec
    from ..training.loop import TrainingConfig

    utterances = by_id(read_manifest(manifest))
    spoken_words.require_times(utterances)
    settings = {
        "config": Speech2VecConfig(dim=dim, decoder=dim, objective=objective, teacher_forcing=teacher_forcing),
        "training": TrainingConfig(
            epochs, learning_rate, optimiser, seed=seed, accelerator=accelerator, devices=devices
        ),
        "window": window,
        "batch_size": batch_size,
    }
    with steps() as step:
        heard, store = _mfcc(utterances, cache or manifest.parent / "cache", workers, step)
        parts = speech2vec.hold_out(heard, development_share, seed=seed)
        encoder = speech2vec.train(*parts, store, out, **settings, progress=step("Speech2Vec"))
    _tell(out, encoder.about)
    _end(utterances, heard)


@app.command()
def vectors(
    folder: Annotated[Path, typer.Argument(help="Folder of `duetto speech2vec train`.")],
    manifest: Manifest,
    out: Annotated[Path, typer.Option("--out", "-o", help="Vectors to write, word2vec text (.vec or .vec.gz).")],
    min_count: Annotated[int, typer.Option(min=1, help="Spoken instances that a word type must have.")] = 1,
    instances: Annotated[
        Path | None, typer.Option(help="Also write the vector of every spoken word, a NumPy archive (.npz).")
    ] = None,
    cache: Cache = None,
    workers: Workers = 0,
) -> None:
    """Write the vector of each word type of a manifest: the mean over its spoken instances.

    Examples:

        duetto speech2vec vectors s2v aligned.jsonl -o speech.vec --min-count 5

        duetto speech2vec vectors s2v other-corpus.jsonl -o other.vec --instances other.npz
    """
    from ..embeddings import spoken_words
    from ..inference import SpokenWordEncoder, spoken

    encoder, utterances = SpokenWordEncoder(folder), by_id(read_manifest(manifest))
    spoken_words.require_times(utterances)
    with steps() as step:
        heard, store = _mfcc(utterances, cache or manifest.parent / "cache", workers, step)
        segments = spoken_words.Segments.of(heard, store)
        embedded = spoken.embed(encoder, segments, progress=step("embed"))
    found = spoken.type_vectors(encoder, segments, min_count=min_count, embedded=embedded)
    word_vectors.save(found, out)
    _say(f"{out}: {len(found)} word types, {found.dimension} values each, from {len(segments)} spoken words")
    _say(_left_out(segments.dropped, segments.cut, segments.words.count("")))
    if instances is not None:
        spoken.save_instances(instances, segments, embedded)
        _say(f"{instances}: {len(segments)} spoken words")
    _end(utterances, heard)


@app.command("word2vec")
def text(
    manifest: Annotated[Path, typer.Argument(help="JSONL manifest with transcripts or words.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Vectors to write, word2vec text (.vec or .vec.gz).")],
    dim: Annotated[int, typer.Option(min=1, help="Values a vector.")] = 50,
    window: Annotated[int, typer.Option(min=1, help="Neighbours on each side.")] = 3,
    epochs: Annotated[int, typer.Option(min=1, help="Times that every sentence is read.")] = 20,
    min_count: Annotated[int, typer.Option(min=1, help="Times that a word must occur.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds give equal vectors.")] = 0,
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
    used = sum(map(bool, sentences))
    _say(f"{out}: {len(found)} word types, {found.dimension} values each, from {used} of {len(sentences)} transcripts")


@app.command()
def evaluate(
    file: VectorFile,
    benchmarks: Annotated[Path, typer.Option(help="Folder of word-similarity files (EN-MEN-TR-3k.txt, …).")],
    strict: Strict = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a benchmark and line, nothing else.")
    ] = False,
) -> None:
    """Compare cosines of vectors with people's judgements: Spearman's ρ on the 13 sets of the Speech2Vec paper.

    Only pairs whose words both have a vector count; published figures are over all pairs of a set. The exit status
    is 1 where a set's file is missing.

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
        _show_scores(scores, loaded.dimension)
    if missing := [score.missing for score in scores if score.missing]:
        _say(f"not in {benchmarks}: {', '.join(missing)}")
        raise typer.Exit(1)


@app.command()
def inspect(
    file: VectorFile,
    other: Annotated[Path | None, typer.Option(help="Vectors known to come from text, to compare with.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, and nothing else.")] = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Page with a map of the words (HTML).")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the permutation tests.")] = 0,
    strict: Strict = False,
) -> None:
    """Find out whether vectors come from how words sound or from what they mean, with the evidence.

    A speech encoder must give homophones (sea, see) nearly one vector; vectors of written words need not.

    Examples:

        duetto speech2vec inspect speech.vec --other text.vec -o map.html

        duetto speech2vec inspect published/50.vec --other published/word2vec-50.vec
    """
    compared = None if other is None else word_vectors.load(other, strict=strict)
    found = examine(word_vectors.load(file, strict=strict), other=compared, seed=seed)
    if out is not None:
        files.write_text(out, _page(file.name, found))
        _say(f"map: {out}")
    if as_json:
        json_line({"vectors": name_of(file), **found.to_json()})
    else:
        _show(found)


def _say(line: str) -> None:
    if line:
        echo(line, err=True)


def _tell(out: Path, about: Mapping[str, Any]) -> None:
    """What was trained on, and how far it came."""
    _say(f"{out}: {about['words']} words of {about['types']} types; {about['development_words']} for development")
    _say(_left_out(about["dropped"], about["cut"], about["without_type"]))
    errors = f"error {about['loss']:.4f}"
    if about["development_loss"] is not None:
        errors += f", on development words {about['development_loss']:.4f} ({about['mean_frame_error']:.4f} if the "
        errors += "decoder always said the mean frame)"
    _say(f"epoch {about['epoch_kept']} of {about['epochs']} kept: {errors}")


def _mfcc(
    utterances: list[Utterance], cache: Path, workers: int, step: Callable[[str], Progress | None]
) -> tuple[list[Utterance], FeatureStore]:
    """The utterances that have sound, and the MFCC of all of them; names those that have none."""
    store = extract_corpus(utterances, cache / "features", MfccConfig(), workers=workers, progress=step("MFCC"))
    for utterance in utterances:
        if reason := store.skipped.get(utterance.id):
            _say(f"skipped {utterance.id}: {reason}")
    heard = [utterance for utterance in utterances if utterance.id not in store.skipped]
    if not heard:
        raise DuettoError(f"none of {len(utterances)} recordings can be read")
    return heard, store


def _end(utterances: list[Utterance], heard: list[Utterance]) -> None:
    if len(heard) < len(utterances):
        _say(f"{len(utterances) - len(heard)} of {len(utterances)} recordings were skipped")
        raise typer.Exit(1)


def _left_out(dropped: Mapping[str, int], cut: int, without_type: int) -> str:
    """One line on words that are not, or not wholly, used; empty where all are."""
    parts = [f"{number} {reason}" for reason, number in sorted(dropped.items())]
    lines = [f"dropped: {', '.join(parts)}"] if parts else []
    if cut:
        lines.append(f"cut to their first second: {cut}")
    if without_type:
        lines.append(f"heard, but not spelled as one word: {without_type}")
    return "; ".join(lines)


def _show_scores(scores: list[BenchmarkScore], dimension: int) -> None:
    published = dimension if dimension in PUBLISHED_DIMENSIONS else PUBLISHED_DIMENSIONS[0]
    table = Table("benchmark", box=None, pad_edge=False)
    for title in ("pairs", "of", "ρ", "95 %", f"Speech2Vec {published}", f"word2vec {published}"):
        table.add_column(title, justify="right", no_wrap=True)
    for score in scores:
        rho = "–" if score.rho is None else f"{score.rho:.3f}"
        interval = "–" if score.ci95 is None else f"{score.ci95[0]:.2f} to {score.ci95[1]:.2f}"
        beside = (f"{table_[published]:.3f}" for table_ in (score.published_speech2vec, score.published_word2vec))
        table.add_row(score.name, str(score.pairs_used), str(score.pairs or "absent"), rho, interval, *beside)
    console = Console()
    console.print(table)
    used, pairs = sum(s.pairs_used for s in scores), sum(s.pairs for s in scores)
    console.print(
        f"{used} of {pairs} pairs have both vectors ({used / pairs:.1%}); ρ is over those pairs. Last two columns: as "
        f"published by Chung & Glass (2018), {published} values, over all pairs.",
        highlight=False,
    )


def _show(found: Inspection) -> None:
    console = Console()
    console.print(f"[bold]verdict: {found.verdict}[/bold]", highlight=False)
    for reason in found.reasons:
        console.print(f"  {reason}", highlight=False, markup=False, soft_wrap=True)
    console.print(
        f"\n{found.words} words, {found.dimension} values each; {found.pronounced} with a known pronunciation",
        highlight=False,
    )
    for title, test in (("homophones", found.homophones), ("related words", found.meaning)):
        if test is not None:
            console.print(f"{title}: {_pairs(test)}", highlight=False, markup=False, soft_wrap=True)
    if (distance := found.distance) is not None:
        console.print(
            f"cosine with distance in sound: ρ {distance.phones:.2f}, in spelling: {distance.spelling:.2f}, in sound "
            f"with spelling held constant: {distance.phones_partial:.2f} (p {distance.p:.3f}, {distance.words} words)",
            highlight=False,
            soft_wrap=True,
        )
    if (agreement := found.agreement) is not None:
        console.print(
            f"pairwise cosines with those of the other vectors (RSA): ρ {agreement.rho:.2f}, {agreement.words} words",
            highlight=False,
        )
    console.print("\nnearest words")
    for word, near in found.neighbours.items():
        nearest = ", ".join(f"{other} {cosine:.2f}" for other, cosine in near[:6])
        console.print(f"  {word}: {nearest}", highlight=False, markup=False, soft_wrap=True)


def _pairs(test: PairTest) -> str:
    examples = ", ".join(f"{a}–{b} {cosine:.2f}" for a, b, cosine in test.examples[:6])
    return f"cosine {test.cosine:.2f}, of their controls {test.control_cosine:.2f} ({examples})"


_STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem }
svg { width: 100%; height: auto; border: 1px solid #8884 } circle { fill: #2a7ab0 }
text { font-size: 11px; fill: currentColor } li { margin: .2rem 0 }
"""
_WIDTH, _MARGIN = 1000, 20


def _page(name: str, found: Inspection) -> str:
    """A self-contained HTML page: verdict, evidence, and the words in the plane of largest variance."""
    title = html.escape(f"Words of {name}")
    reasons = "".join(f"<li>{html.escape(reason)}</li>" for reason in found.reasons)
    first, second = (f"{100 * share:.0f} %" for share in found.map_variance)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f"<h1>{title}</h1><p>Verdict: <strong>{found.verdict}</strong></p><ul>{reasons}</ul>{_map(found)}"
        f"<p>{len(found.map)} of {found.words} words on the first two principal components of their unit vectors, "
        f"which carry {first} and {second} of the variance. Point at a dot to read its word.</p></body></html>\n"
    )


def _map(found: Inspection) -> str:
    """Every word a dot with its name as tooltip, both axes to one scale; names are written where they cover no other.

    The picture ends at the outermost dots, with room for a name at the right.
    """
    columns = list(zip(*((x, y) for _, x, y in found.map), strict=True))
    low, high = [min(column) for column in columns], [max(column) for column in columns]
    scale = _WIDTH / max(*(b - a for a, b in zip(low, high, strict=True)), 1e-9)
    width, height = (scale * (b - a) for a, b in zip(low, high, strict=True))
    dots, written = [], []
    for word, x, y in found.map:
        left, top = scale * (x - low[0]), scale * (high[1] - y)
        label = html.escape(word)
        dots.append(f'<circle cx="{left:.1f}" cy="{top:.1f}" r="3"><title>{label}</title></circle>')
        length = 6.5 * len(word) + 8
        if all(left + length < a or a + n < left or abs(top - b) > 11 for a, b, n in written):
            written.append((left, top, length))
            dots.append(f'<text x="{left + 5:.1f}" y="{top + 4:.1f}">{label}</text>')
    box = f"{-_MARGIN} {-_MARGIN} {width + 5 * _MARGIN:.0f} {height + 2 * _MARGIN:.0f}"
    return f'<svg viewBox="{box}" role="img" aria-label="Map of the words">{"".join(dots)}</svg>'

"""How well duetto finds words: alignment, match of transcripts, recognition, segmentation. Prints Markdown tables.

    python benchmarks/words.py --data $DUETTO_DATA

Synthetic speech (the extra `synth`) has true word times. LJ Speech and RAVDESS are read from the folders
`ljspeech` and `ravdess` below --data; sections whose data are missing say so. About six minutes on one core.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from duetto import audio
from duetto.asr.align import MATCH_SCORE, Aligner
from duetto.asr.engines import SphinxRecogniser
from duetto.asr.language_model import LanguageModel
from duetto.asr.metrics import (
    BoundaryCounts,
    BoundaryErrors,
    WordErrors,
    boundary_counts,
    boundary_errors,
    boundary_times,
    word_errors,
)
from duetto.asr.segment import segment, without_spelling
from duetto.audio.timing import SAMPLE_RATE
from duetto.corpora import CORPORA
from duetto.data.text import normalise
from duetto.data.utterance import Word
from duetto.synthetic.espeak import Speaker

SENTENCES = (
    "I can't believe you did that to me",
    "well what do you want me to do about it",
    "it was the best day of my whole life",
    "she said that she would call you back tomorrow",
    "we should go out for dinner some time next week",
    "why are you always so late in the morning",
    "I don't know what happened to the money",
    "please stop shouting at me right now",
    "this is so exciting I could dance all night",
    "he told me that his mother was very ill",
    "do you remember the summer when we met",
    "I never wanted any of this to happen",
    "the train leaves the station at seven every evening",
    "there is a small house behind the old church",
    "nobody ever listens to a word that I say",
    "thank you so much for coming to the party",
    "I am sorry for your loss my friend",
    "you have got to be kidding me",
    "they are going to move to another country",
    "let me tell you something about my brother",
    "it makes me angry when people throw things away",
    "we won the game and everybody was happy",
    "could you bring me another cup of coffee please",
    "I miss her every single day",
)
VOICES = (("f2", 165), ("m3", 190))
TOLERANCES = (0.02, 0.05)


class Item(NamedTuple):
    """One utterance: samples at 16 kHz, what is said, and the reference words (true or aligned times)."""

    samples: np.ndarray
    text: str
    words: tuple[Word, ...] = ()


def synthetic() -> list[Item]:
    """48 utterances of espeak-ng with true word times: 24 sentences in two voices."""
    items = []
    for variant, rate in VOICES:
        for text in SENTENCES:
            samples, words = Speaker(variant).synthesise(text, rate=rate)
            items.append(Item(samples, text, words))
    return items


def ljspeech(folder: Path) -> list[Item]:
    """Every utterance of LJ Speech below the folder, in order of its name."""
    return [Item(audio.load(u.audio).samples, u.text or "") for u in CORPORA["ljspeech"](folder)]


def ravdess(folder: Path, n: int) -> list[Item]:
    """`n` utterances drawn from RAVDESS."""
    utterances = CORPORA["ravdess"](folder)
    chosen = np.random.default_rng(0).permutation(len(utterances))[:n]
    return [Item(audio.load(utterances[i].audio).samples, utterances[i].text or "") for i in sorted(chosen)]


def table(title: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print one Markdown table."""
    print(f"\n### {title}\n\n| {' | '.join(header)} |\n|{'---|' * len(header)}")
    for row in rows:
        print(f"| {' | '.join(f'{cell:.3f}' if isinstance(cell, float) else str(cell) for cell in row)} |", flush=True)


def milliseconds(errors: BoundaryErrors) -> list[str]:
    """Median, 90th percentile and maximum of start and end errors."""
    return [f"{value * 1000:.0f}" for value in errors.summary().values()]


def align(items: Sequence[Item], name: str, aligner: Aligner) -> tuple[list[Item], list[object]]:
    """The items with aligned words, and a row: utterances, failures, words, times real time."""
    began = time.perf_counter()
    aligned = [Item(item.samples, item.text, aligner.align(item.samples, item.text).words) for item in items]
    taken = time.perf_counter() - began
    failures = sum(not item.words for item in aligned)
    row = [name, len(items), failures, sum(len(i.words) for i in aligned), taken / seconds(items)]
    return aligned, row


def seconds(items: Sequence[Item]) -> float:
    """Seconds of audio."""
    return sum(len(item.samples) for item in items) / SAMPLE_RATE


def errors_between(reference: Sequence[Item], found: Sequence[Item]) -> BoundaryErrors:
    """Boundary errors over all items."""
    total = BoundaryErrors(np.empty(0), np.empty(0), 0)
    for a, b in zip(reference, found, strict=True):
        total = total + boundary_errors(a.words, b.words)
    return total


def noisy(items: Sequence[Item], decibels: float) -> list[Item]:
    """The items with white noise, `decibels` below the speech."""
    rng = np.random.default_rng(0)
    result = []
    for item in items:
        level = np.sqrt(np.mean(item.samples.astype(np.float64) ** 2)) * 10 ** (-decibels / 20)
        noise = rng.standard_normal(len(item.samples)) * level
        result.append(item._replace(samples=(item.samples + noise).astype(np.float32)))
    return result


def alignment(espeak: list[Item], lj: list[Item], aligner: Aligner) -> None:
    """Times of forced alignment against true ones, and against those of the same speech in noise."""
    rows = []
    aligned, row = align(espeak, "espeak-ng, true times", aligner)
    rows.append([*row, *milliseconds(errors_between(espeak, aligned))])
    if lj:
        clean, _ = align(lj[:48], "", aligner)
        for decibels in (20, 10):
            found, row = align(noisy(lj[:48], decibels), f"LJ Speech at {decibels} dB SNR, clean ones", aligner)
            rows.append([*row, *milliseconds(errors_between(clean, found))])
    header = ["speech, reference", "utterances", "failed", "words", "× real time"]
    header += [f"{edge} {what} (ms)" for edge in ("start", "end") for what in ("median", "p90", "max")]
    table("Forced alignment", header, rows)


def matching(name: str, items: Sequence[Item], aligner: Aligner) -> list[object]:
    """A row: scores of right and of shuffled transcripts, and the shares that are taken to match."""
    shift = len(items) // 2 + 1
    right, wrong = [], []
    for i, item in enumerate(items):
        right.append(aligner.align(item.samples, item.text).score)
        other = items[(i + shift) % len(items)].text if name != "RAVDESS" else SENTENCES[i % len(SENTENCES)]
        if normalise(other) != normalise(item.text):
            wrong.append(aligner.align(item.samples, other).score)
    good, bad = np.array(right), np.array(wrong)
    pathless = bad[np.isfinite(bad)]
    return [
        name,
        len(good),
        *(f"{value:.1f}" for value in np.percentile(good, [0, 1, 5, 50], method="lower")),
        len(bad),
        int(np.sum(~np.isfinite(bad))),
        *(f"{value:.1f}" for value in np.percentile(pathless, [50, 95, 100])),
        f"{np.mean(good >= MATCH_SCORE):.1%}",
        f"{np.mean(bad >= MATCH_SCORE):.1%}",
    ]


def transcripts(espeak: list[Item], lj: list[Item], emotional: list[Item], aligner: Aligner) -> None:
    """Does the score tell right transcripts from wrong ones?"""
    rows = [matching("espeak-ng", espeak, aligner)]
    rows.append(matching("espeak-ng, first 3 words", [first_words(item, 3) for item in espeak], aligner))
    rows += [matching("LJ Speech", lj, aligner)] if lj else []
    rows += [matching("RAVDESS", emotional, aligner)] if emotional else []
    header = ["speech", "right", "min", "p1", "p5", "median", "wrong", "no path", "median", "p95", "max"]
    table(f"Match of transcripts (threshold {MATCH_SCORE:.0f})", [*header, "right accepted", "wrong accepted"], rows)


def first_words(item: Item, n: int) -> Item:
    """The beginning of a synthetic utterance."""
    stop = round((item.words[n - 1].end or 0.0) * SAMPLE_RATE)
    return Item(item.samples[:stop], " ".join(item.text.split()[:n]), item.words[:n])


def recognition(espeak: list[Item], lj: list[Item], utterances: int) -> None:
    """Word error rate by language model."""
    rows = [
        recognised("espeak-ng", "general", SphinxRecogniser(), espeak[::3]),
        recognised(
            "espeak-ng", "n-gram of the sentences", SphinxRecogniser(LanguageModel.from_corpus(SENTENCES)), espeak
        ),
        recognised(
            "espeak-ng", "loop over their words", SphinxRecogniser(LanguageModel.word_loop(SENTENCES)), espeak[::3]
        ),
    ]
    if lj:
        chosen = lj[:: max(1, len(lj) // utterances)][:utterances]
        texts = {item.text for item in chosen}
        others = LanguageModel.from_corpus([item.text for item in lj if item.text not in texts])
        rows.append(recognised("LJ Speech", "general", SphinxRecogniser(), chosen))
        rows.append(recognised("LJ Speech", "n-gram of the other sentences", SphinxRecogniser(others), chosen))
    header = ["speech", "language model", "utterances", "words", "WER", "sub", "del", "ins"]
    table("Recognition", [*header, "confidence right", "wrong", "× real time"], rows)


def recognised(speech: str, model: str, recogniser: SphinxRecogniser, items: Sequence[Item]) -> list[object]:
    """A row: errors, and mean confidence of the words that are and are not in the transcript."""
    began, total = time.perf_counter(), WordErrors(0, 0, 0, 0)
    confidence: dict[bool, list[float]] = {True: [], False: []}
    for item in items:
        words, truth = recogniser.recognise(item.samples), normalise(item.text)
        total = total + word_errors(truth, [word.word for word in words])
        for word in words:
            confidence[word.word in truth].append(word.confidence or 0.0)
    taken = (time.perf_counter() - began) / seconds(items)
    counts = [total.substitutions, total.deletions, total.insertions]
    means = [float(np.mean(values)) if values else "–" for values in confidence.values()]
    return [speech, model, len(items), total.reference, total.rate, *counts, *means, taken]


def segmentation(espeak: list[Item], lj: list[Item], aligner: Aligner, utterances: int) -> None:
    """Boundaries without words, against true or aligned ones."""
    rows = [scores("segmenter", "espeak-ng", espeak, [segment(item.samples) for item in espeak])]
    if lj:
        aligned, _ = align(lj, "", aligner)
        half = len(aligned) // 2
        for name, items in (("LJ Speech, first half (tuned on)", aligned[:half]), ("second half", aligned[half:])):
            rows.append(scores("segmenter", name, items, [segment(item.samples) for item in items]))
        rows.append(scores("every 0.3 s", "second half", aligned[half:], [grid(item) for item in aligned[half:]]))
        chosen = aligned[half:][:utterances]
        recogniser = SphinxRecogniser()
        found = [without_spelling(recogniser.recognise(item.samples)) for item in chosen]
        rows.append(scores("recogniser", f"second half, {len(chosen)} utterances", chosen, found))
    ratios = ["precision", "recall", "F", "R-value"]
    header = [f"{ratio} {tolerance * 1000:.0f} ms" for tolerance in TOLERANCES for ratio in ratios]
    table("Segmentation without words", ["method", "speech", "boundaries", "found", *header], rows)


def grid(item: Item) -> tuple[Word, ...]:
    """Boundaries that know nothing but where the speech begins and ends."""
    times = np.arange(item.words[0].start or 0.0, item.words[-1].end or 0.0, 0.3)
    return tuple(Word("", float(a), float(b)) for a, b in pairwise(times))


def scores(method: str, speech: str, items: Sequence[Item], found: Sequence[tuple[Word, ...]]) -> list[object]:
    """A row: precision, recall, F-score and R-value at each tolerance."""
    cells: list[object] = []
    total = BoundaryCounts(0, 0, 0)
    for tolerance in TOLERANCES:
        total = BoundaryCounts(0, 0, 0)
        for item, words in zip(items, found, strict=True):
            total = total + boundary_counts(boundary_times(item.words), boundary_times(words), tolerance)
        cells += [total.precision, total.recall, total.f_score, total.r_value]
    return [method, speech, total.reference, total.found, *cells]


def main() -> None:
    """Parse the command line and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with ljspeech/ and ravdess/; default: synthetic speech only")
    parser.add_argument("--utterances", type=int, default=24, help="utterances that are recognised (default 24)")
    sections = ("alignment", "transcripts", "recognition", "segmentation")
    parser.add_argument("--only", choices=sections, nargs="+", default=sections, help="sections (default: all)")
    arguments = parser.parse_args()
    data: Path | None = arguments.data
    aligner, espeak = Aligner(), synthetic()
    lj = ljspeech(data / "ljspeech") if data and (data / "ljspeech").is_dir() else []
    emotional = ravdess(data / "ravdess", 240) if data and (data / "ravdess").is_dir() else []
    for name, present in (("LJ Speech", lj), ("RAVDESS", emotional)):
        if not present:
            print(f"{name}: not found below --data, left out")
    if "alignment" in arguments.only:
        alignment(espeak, lj, aligner)
    if "transcripts" in arguments.only:
        transcripts(espeak, lj, emotional, aligner)
    if "recognition" in arguments.only:
        recognition(espeak, lj, arguments.utterances)
    if "segmentation" in arguments.only:
        segmentation(espeak, lj, aligner, arguments.utterances)


if __name__ == "__main__":
    main()

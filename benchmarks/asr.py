"""Words from real speech: Whisper and pocketsphinx on the same recordings, what is rejected, and what it costs.

    python benchmarks/asr.py --data $DUETTO_DATA --whisper FOLDER --demo DEMO --utterances 24 --write

1. Word error rates of LJ Speech (`--utterances` of its files, evenly spaced): as it is, at 10 dB SNR, and at 8 kHz.
2. Recordings whose words are rejected, by corpus: English ones of LJ Speech and RAVDESS, German ones of EmoDB. The
   thresholds (`MIN_CONFIDENCE` of `asr.engines` and `asr.whisper`) were chosen on the development half: the first half
   of the speakers of EmoDB and RAVDESS by name, files of LJ Speech with an even number; both halves are reported.
3. UA of a fusion with words given, by Whisper, and by pocketsphinx. RAVDESS and EmoDB say the same words in every
   emotion, so the recordings are those of a synthetic corpus: `--demo` is the folder that `duetto demo --out` wrote,
   `--system` one of its runs. Test utterances only.

`--whisper` is a folder of a model, or the name of one (downloaded unless it is on this computer).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from harness import parser, publish, table

from duetto import audio, metrics, runs
from duetto.asr.engines import RecogniserConfig, SpeechRecogniser
from duetto.asr.metrics import WordErrors, word_errors
from duetto.audio import augment
from duetto.audio.timing import SAMPLE_RATE
from duetto.corpora import CORPORA
from duetto.data.manifest import read_manifest
from duetto.data.text import normalise
from duetto.data.utterance import Utterance
from duetto.evaluation import bootstrap
from duetto.inference.recogniser import Prediction, Recogniser
from duetto.utils.progress import Progress, steps

LANGUAGES = {"ljspeech": "English", "ravdess": "English", "emodb": "German"}
OF_EACH_SPEAKER = {"ljspeech": 12, "ravdess": 2, "emodb": 4}
"""Corpus → recordings of each speaker whose words are judged."""


def telephone(samples: np.ndarray, _: int) -> np.ndarray:
    """The recording at 8 kHz, and back at 16 kHz."""
    narrow = audio.load({"waveform": samples, "sample_rate": SAMPLE_RATE}, sample_rate=SAMPLE_RATE // 2)
    return audio.load({"waveform": narrow.samples, "sample_rate": SAMPLE_RATE // 2}).samples


Change = Callable[[np.ndarray, int], np.ndarray]
CONDITIONS: dict[str, Change] = {
    "as recorded": lambda samples, _: samples,
    "10 dB SNR": lambda samples, seed: augment.add_noise(samples, SAMPLE_RATE, 10.0, seed=seed),
    "8 kHz": telephone,
}
"""Condition → function of samples and seed that brings it about."""


def spread(items: Sequence[Any], n: int) -> list[Any]:
    """At most `n` of the items, evenly spaced."""
    places = np.unique(np.linspace(0, len(items) - 1, min(n, len(items))).round().astype(int))
    return [items[place] for place in places]


def engines(whisper: str | None) -> dict[str, SpeechRecogniser]:
    """Name → recogniser; all are started, so that one that can't be fails before the others are measured."""
    found = {"pocketsphinx": RecogniserConfig()}
    if whisper is not None:
        is_folder = Path(whisper).is_dir()
        found["Whisper"] = RecogniserConfig(
            "whisper", model=whisper if is_folder else None, download=None if is_folder else whisper
        )
    return {name: config.start() for name, config in found.items()}


def error_rates(utterances: Sequence[Utterance], recognisers: dict[str, SpeechRecogniser]) -> str:
    """The table of word error rates."""
    rows = []
    with steps() as step:
        for name, recogniser in recognisers.items():
            for condition, change in CONDITIONS.items():
                rows.append([name, condition, *_errors(recogniser, utterances, change, step(f"{name}, {condition}"))])
    header = [
        "recogniser",
        "LJ Speech",
        "files",
        "words",
        "WER",
        "substituted",
        "deleted",
        "inserted",
        "rejected",
        "WER without those",
        "× real time",
    ]
    return table(header, rows)


def _errors(
    recogniser: SpeechRecogniser, utterances: Sequence[Utterance], change: Change, progress: Progress | None
) -> list[object]:
    total, kept, rejected, spent, lasted = WordErrors(0, 0, 0, 0), WordErrors(0, 0, 0, 0), 0, 0.0, 0.0
    for i, utterance in enumerate(utterances):
        samples = change(audio.load(utterance.audio).samples, i)
        began = time.process_time()
        found = recogniser.transcribe(samples)
        spent, lasted = spent + time.process_time() - began, lasted + len(samples) / SAMPLE_RATE
        errors = word_errors(normalise(utterance.text or ""), [word.word for word in found.words])
        total, rejected = total + errors, rejected + (found.doubt is not None)
        kept = kept + errors if found.doubt is None else kept
        if progress:
            progress(i + 1, len(utterances))
    counts = [total.substitutions, total.deletions, total.insertions]
    kept_rate = kept.rate if kept.reference else "–"
    return [len(utterances), total.reference, total.rate, *counts, rejected, kept_rate, spent / lasted]


@dataclass(frozen=True)
class Judged:
    """One recording: whether its words are read, and how many of them are wrong."""

    corpus: str
    development: bool
    accepted: bool
    errors: WordErrors


def guard(data: Path, recognisers: dict[str, SpeechRecogniser]) -> str:
    """The table of recordings whose words are rejected."""
    rows = []
    with steps() as step:
        for name, recogniser in recognisers.items():
            judged = list(_judged(data, recogniser, step(f"{name}, rejected words")))
            for corpus, language in LANGUAGES.items():
                for half, development in (("development", True), ("test", False)):
                    part = [j for j in judged if j.corpus == corpus and j.development == development]
                    if part:
                        rows.append([name, corpus, language, half, len(part), *_shares(part)])
    header = [
        "recogniser",
        "corpus",
        "language",
        "half",
        "recordings",
        "rejected",
        "WER of those kept",
        "of the others",
    ]
    return table(header, rows)


def _shares(part: Sequence[Judged]) -> list[object]:
    rates: list[object] = []
    for accepted in (True, False):
        total = sum((j.errors for j in part if j.accepted == accepted), WordErrors(0, 0, 0, 0))
        rates.append(total.rate if total.reference else "–")
    return [f"{np.mean([not j.accepted for j in part]):.0%}", *rates]


def _judged(data: Path, recogniser: SpeechRecogniser, progress: Progress | None) -> Iterator[Judged]:
    """The recordings of each corpus."""
    chosen = [item for corpus in LANGUAGES if (data / corpus).is_dir() for item in _chosen(data, corpus)]
    for done, (corpus, development, utterance) in enumerate(chosen, 1):
        found = recogniser.transcribe(audio.load(utterance.audio).samples)
        accepted = bool(found.words) and found.doubt is None and found.language in (None, "en")
        errors = word_errors(normalise(utterance.text or ""), [word.word for word in found.words])
        yield Judged(corpus, development, accepted, errors)
        if progress:
            progress(done, len(chosen))


def _chosen(data: Path, corpus: str) -> list[tuple[str, bool, Utterance]]:
    """Corpus, half and utterance of `OF_EACH_SPEAKER` recordings of each speaker: drawn; of a single one, spread."""
    utterances, n, rng = CORPORA[corpus](data / corpus), OF_EACH_SPEAKER[corpus], np.random.default_rng(0)
    speakers = sorted({u.speaker or "" for u in utterances})
    if len(speakers) == 1:
        spaced = utterances[:: max(1, len(utterances) // n)][:n]
        return [(corpus, int(u.id[-1]) % 2 == 0, u) for u in spaced]
    chosen = []
    for place, speaker in enumerate(speakers):
        own = [u for u in utterances if u.speaker == speaker]
        drawn = sorted(rng.permutation(len(own))[:n])
        chosen += [(corpus, place < len(speakers) / 2, own[i]) for i in drawn]
    return chosen


def fusion(demo: Path, system: str, n: int, whisper: str | None) -> str:
    """The table of UA by where the words come from; `n` test utterances of the synthetic corpus of a demo."""
    run = demo / "runs" / system
    tested = set(runs.result_of(run).ids)
    utterances = spread([u for u in read_manifest(demo / "manifest.jsonl") if u.id in tested and u.label], n)
    engine = "" if whisper is None else f"whisper{'=' if Path(whisper).is_dir() else ':'}{whisper}"
    sources = {"given": "corpus", "pocketsphinx, corpus": "corpus", "pocketsphinx, general": "general"}
    sources |= {"Whisper": engine} if engine else {}
    rows = []
    with steps() as step:
        for name, asr in sources.items():
            progress, recogniser = step(f"words: {name}"), Recogniser(run, asr=asr)
            predictions = []
            for i, utterance in enumerate(utterances, 1):
                words = utterance.words if name == "given" else None
                predictions.append(recogniser(utterance.audio, words=words))
                if progress:
                    progress(i, len(utterances))
            rows.append([name, *_scored(utterances, predictions, recogniser.labels)])
    header = ["words", "files", "WER", "rejected", "UA", "95 % interval"]
    return table(header, rows)


def _scored(utterances: Sequence[Utterance], predictions: Sequence[Prediction], labels: Sequence[str]) -> list[object]:
    target = np.array([labels.index(u.label or "") for u in utterances])
    predicted = np.array([labels.index(p.label) for p in predictions])
    total = WordErrors(0, 0, 0, 0)
    for utterance, prediction in zip(utterances, predictions, strict=True):
        found = [word.word for word in prediction.words or prediction.rejected_words]
        total = total + word_errors(normalise(utterance.text or ""), found)
    counts, times = bootstrap.tally(target, predicted[None], np.arange(len(target)), len(labels))
    resampled = _ua(bootstrap.draws(counts, times, bootstrap.RESAMPLES, 0)[:, 0])
    low, high = bootstrap.interval(resampled)
    rejected = sum(bool(p.rejected_words) for p in predictions)
    point = metrics.unweighted_accuracy(target, predicted, len(labels))
    return [len(target), total.rate, rejected, f"{point:.3f}", f"{low:.3f}–{high:.3f}"]


def _ua(confusions: np.ndarray) -> np.ndarray:
    """(…, classes, classes) counts → (…): the mean recall of the classes that occur."""
    sizes = confusions.sum(-1)
    recalls = np.diagonal(confusions, axis1=-2, axis2=-1) / np.where(sizes > 0, sizes, 1)
    return recalls.sum(-1) / (sizes > 0).sum(-1)


def main() -> None:
    """Parse the command line and print the tables."""
    made = parser(__doc__, data="with ljspeech/, ravdess/ and emodb/")
    made.add_argument("--whisper", help="folder or name of a Whisper model; without it pocketsphinx is measured alone")
    made.add_argument("--demo", type=Path, help="folder of `duetto demo --out`")
    made.add_argument("--system", default="fusion-word2vec", help="its run that is scored")
    made.add_argument("--utterances", type=int, default=24, help="files of LJ Speech and of the demo (default 24)")
    sections = ("wer", "guard", "fusion")
    made.add_argument("--only", choices=sections, nargs="+", default=sections, help="sections (default: all)")
    options: argparse.Namespace = made.parse_args()
    recognisers = engines(options.whisper) if options.data else {}
    if options.data and "wer" in options.only:
        utterances = spread(CORPORA["ljspeech"](options.data / "ljspeech"), options.utterances)
        _publish("word error rates", error_rates(utterances, recognisers), options)
    if options.data and "guard" in options.only:
        _publish("words that are rejected", guard(options.data, recognisers), options)
    if options.demo and "fusion" in options.only:
        _publish("UA of a fusion", fusion(options.demo, options.system, options.utterances, options.whisper), options)


def _publish(name: str, part: str, options: argparse.Namespace) -> None:
    packages = ("pocketsphinx", "faster-whisper", "ctranslate2")
    publish(f"Words from real speech: {name}", [part], packages=packages, into=options.write)


if __name__ == "__main__":
    main()

"""Words for every utterance of a manifest: aligned where there is a transcript, recognised where there is none.

    utterances ─▶ kept (timed words already) │ aligned │ recognised │ skipped │ failed ─▶ utterances, AlignmentReport

The work goes on past every bad file and can be interrupted at any time: each answer is kept in the cache
folder (`cache`) as soon as it and those before it are there, under a key made of everything it depends on (audio
content, cut, transcript, asr, versions), and is found there by the next run.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from .. import audio
from ..data.text import tokens
from ..data.utterance import Utterance, Word
from ..errors import ConfigurationError, DuettoError
from ..utils import parallel
from ..utils.progress import Progress
from .align import Aligner
from .cache import Cache, opened
from .engines import RecogniserConfig, SpeechRecogniser
from .language_model import LanguageModel

VERSION = 1
"""Raised when the same input may give another answer; cached answers of other versions are not used."""

MissingTranscript = Literal["recognise", "skip"]


@dataclass(frozen=True, slots=True)
class AlignmentProblem:
    """Why one utterance got no words. kind: `audio`, `no-transcript`, `no-word`, `mismatch`, `unheard`, `crash`."""

    kind: str
    id: str
    detail: str


@dataclass(frozen=True, slots=True)
class AlignmentReport:
    """What became of a manifest: total = kept + aligned + recognised + skipped + failed.

    kept: had timed words already. recognised: their words were found by sound alone. skipped: without a transcript,
    by request. words: timed words in all. cached: answers taken from the cache. guessed: words with a guessed
    pronunciation → utterances they are in. problems: one for each utterance that was skipped or failed, in manifest
    order.
    """

    total: int
    kept: int
    aligned: int
    recognised: int
    skipped: int
    failed: int
    words: int
    cached: int
    guessed: dict[str, int]
    problems: tuple[AlignmentProblem, ...]

    def summary(self) -> str:
        """One line for a log or a terminal."""
        kinds = Counter(problem.kind for problem in self.problems)
        reasons = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        return (
            f"{self.total} utterances: {self.aligned} aligned, {self.recognised} by sound alone, "
            f"{self.kept} had times, {self.skipped} skipped, {self.failed} failed"
            f"{f' ({reasons})' if reasons else ''}; {self.words} words, "
            f"{len(self.guessed)} different ones with a guessed pronunciation"
        )


@dataclass(frozen=True, slots=True)
class AnnotationJob:
    """One utterance's work, picklable. transcript None: recognise with `asr`."""

    audio: str
    start: float | None
    end: float | None
    transcript: str | None
    asr: RecogniserConfig


@dataclass(frozen=True, slots=True)
class WordAnnotation:
    """Its answer: words, or a problem (kind and detail). Problems of kind `audio` and `crash` are not cached."""

    words: tuple[Word, ...] = ()
    guessed: tuple[str, ...] = ()
    problem: str | None = None
    detail: str = ""


def align_manifest(
    utterances: Iterable[Utterance],
    *,
    workers: int = 1,
    cache_folder: str | Path | None = None,
    progress: Progress | None = None,
    missing: MissingTranscript = "recognise",
    asr: RecogniserConfig | None = None,
) -> tuple[list[Utterance], AlignmentReport]:
    """Give every utterance its words with times; returns all of them, in order, and what happened.

    workers: processes; 1 works in this one. cache_folder: where answers are kept; None keeps none.
    progress: told (done, total) utterances, at the start and after each.
    missing: what to do without a transcript. asr: the recogniser for that; default pocketsphinx.
    An utterance whose words have times already is left alone, and so is one that fails: the report names it.
    """
    utterances = list(utterances)
    if workers < 1:
        raise ConfigurationError(f"{workers} workers were asked for; give 1 or more")
    if missing not in ("recognise", "skip"):
        raise ConfigurationError(f"missing={missing!r} is not valid; give 'recognise' or 'skip'")
    asr = asr or RecogniserConfig()
    settled, jobs = _plan(utterances, missing, asr)
    keys = {i: _key(job) for i, job in jobs.items()} if cache_folder is not None else {}
    with _cache(cache_folder, keys) as store:
        known = _known(store, keys)
        settled |= known
        done = len(utterances) - len(jobs) + len(known)
        if progress:
            progress(done, len(utterances))
        waiting = [(i, job) for i, job in jobs.items() if i not in known]
        if any(job.transcript is None for _, job in waiting):
            _recogniser(asr)  # an asr that cannot start is one error here, not one for each utterance
        answers = annotate_all([job for _, job in waiting], annotate, workers)
        for (i, _), outcome in zip(waiting, answers, strict=True):
            settled[i] = outcome
            if store and (key := keys[i]) and outcome.problem not in ("audio", "crash"):
                store.put(key, asdict(outcome))
            done += 1
            if progress:
                progress(done, len(utterances))
    return _collect(utterances, jobs, settled, len(known))


def _plan(
    utterances: Sequence[Utterance], missing: MissingTranscript, asr: RecogniserConfig
) -> tuple[dict[int, WordAnnotation], dict[int, AnnotationJob]]:
    """What is settled without work, and the work for the others, by position."""
    settled: dict[int, WordAnnotation] = {}
    jobs: dict[int, AnnotationJob] = {}
    for i, utterance in enumerate(utterances):
        words = utterance.words or ()
        transcript = utterance.text
        if transcript is None and words:
            transcript = " ".join(word.word for word in words)
        if words and all(word.start is not None for word in words):
            settled[i] = WordAnnotation(words)
        elif transcript is None and missing == "skip":
            settled[i] = WordAnnotation(
                problem="no-transcript", detail="it has no transcript, and missing='skip' was asked"
            )
        else:
            jobs[i] = AnnotationJob(str(utterance.audio), utterance.start, utterance.end, transcript, asr)
    return settled, jobs


def _collect(
    utterances: Sequence[Utterance], jobs: dict[int, AnnotationJob], settled: dict[int, WordAnnotation], cached: int
) -> tuple[list[Utterance], AlignmentReport]:
    result: list[Utterance] = []
    problems: list[AlignmentProblem] = []
    guessed: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for i, utterance in enumerate(utterances):
        outcome = settled[i]
        guessed.update(outcome.guessed)
        if outcome.problem:
            counts["skipped" if i not in jobs else "failed"] += 1
            problems.append(AlignmentProblem(outcome.problem, utterance.id, outcome.detail))
            result.append(utterance)
            continue
        counts["kept" if i not in jobs else "recognised" if jobs[i].transcript is None else "aligned"] += 1
        counts["words"] += len(outcome.words)
        result.append(utterance if i not in jobs else replace(utterance, words=outcome.words))
    names = ("kept", "aligned", "recognised", "skipped", "failed", "words")
    return result, AlignmentReport(
        total=len(utterances),
        **{name: counts[name] for name in names},
        cached=cached,
        guessed=dict(sorted(guessed.items())),
        problems=tuple(problems),
    )


@lru_cache(maxsize=1)
def _aligner() -> Aligner:
    return Aligner()


@lru_cache(maxsize=1)
def _recogniser(asr: RecogniserConfig) -> SpeechRecogniser:
    return asr.start()


def annotate(job: AnnotationJob) -> WordAnnotation:
    """Do one job in this process; everything that an utterance can have wrong with it becomes a problem."""
    try:
        samples = audio.load(job.audio, start=job.start, end=job.end).samples
    except DuettoError as error:
        return WordAnnotation(problem="audio", detail=str(error))
    if job.transcript is None:
        words = _recogniser(job.asr).recognise(samples)
        return (
            WordAnnotation(words) if words else WordAnnotation(problem="unheard", detail="no word was recognised in it")
        )
    alignment = _aligner().align(samples, job.transcript)
    if not alignment.words and not alignment.unaligned:
        return WordAnnotation(problem="no-word", detail=" ".join(alignment.warnings))
    if not alignment.matches:
        return WordAnnotation(guessed=alignment.guessed, problem="mismatch", detail=" ".join(alignment.warnings))
    return WordAnnotation(alignment.words, alignment.guessed)


def annotate_all(
    jobs: Sequence[AnnotationJob], function: Callable[[AnnotationJob], WordAnnotation], workers: int
) -> Iterator[WordAnnotation]:
    """function(job) of each job, in their order, in `workers` processes (1: this one).

    A process that dies takes only its own job with it, which becomes a problem of kind `crash`.
    """
    return parallel.in_order(function, jobs, workers=workers, processes=True, crashed=_crashed)


def _crashed(job: AnnotationJob) -> WordAnnotation:
    return WordAnnotation(problem="crash", detail=f"{job.audio}: the process that worked on it died")


@cache
def _digest(path: str, size: int, modified: int) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _key(job: AnnotationJob) -> str | None:
    """Names everything an outcome depends on; None where the audio cannot be read."""
    try:
        status = Path(job.audio).stat()
        digest = _digest(job.audio, status.st_size, status.st_mtime_ns)
    except OSError:
        return None
    asr = job.asr.identity if job.transcript is None else None
    parts = [VERSION, version("pocketsphinx"), digest, job.start, job.end, job.transcript, asr]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _cache(
    folder: str | Path | None, keys: Mapping[int, str | None]
) -> AbstractContextManager[Cache] | AbstractContextManager[None]:
    """The cache that is asked for; one that holds all that can be asked of it need not be writable."""
    if folder is None:
        return nullcontext()
    readable = [i for i, key in keys.items() if key]
    return opened(Path(folder), lambda store: len(_known(store, keys)) == len(readable))


def _known(store: Cache | None, keys: Mapping[int, str | None]) -> dict[int, WordAnnotation]:
    """Outcomes that the cache holds, by position."""
    found = {i: _outcome(store.get(key)) for i, key in keys.items() if store is not None and key}
    return {i: outcome for i, outcome in found.items() if outcome is not None}


def _outcome(answer: dict[str, Any] | None) -> WordAnnotation | None:
    """What the cache holds of an outcome; None for what is missing or damaged."""
    if answer is None:
        return None
    try:
        words = tuple(Word(**word) for word in answer["words"])
        return WordAnnotation(words, tuple(answer["guessed"]), answer["problem"], answer["detail"])
    except (DuettoError, KeyError, TypeError):
        return None


METHODS = ("transcript", "recognise", "segment")


def find_words(
    utterances: Sequence[Utterance],
    *,
    by: str = "transcript",
    missing: MissingTranscript = "recognise",
    asr: RecogniserConfig | None = None,
    realign: bool = False,
    workers: int = 1,
    cache_folder: Path | None = None,
    progress: Progress | None = None,
) -> tuple[list[Utterance], AlignmentReport]:
    """All utterances, in order, with the words that were found, and a report of what was not.

    by: one of `METHODS`. missing: what `transcript` does without one. asr: the recogniser. realign: find words
    where there are timed ones already; `recognise` and `segment` always do.
    An utterance in which nothing was found by `recognise` or `segment` has words (), not its old ones.
    """
    if by not in METHODS:
        raise ConfigurationError(f"words can't be found by {by!r}; choose from {', '.join(METHODS)}")
    blind = by != "transcript"
    if by == "segment":
        asr = RecogniserConfig("segments")
    given = [_stripped(u, blind) if blind or realign else u for u in utterances]
    found, report = align_manifest(
        given, workers=workers, cache_folder=cache_folder, progress=progress, missing=missing, asr=asr
    )
    pairs = zip(found, utterances, strict=True)
    if blind:
        return [replace(f, words=f.words or (), text=u.text) for f, u in pairs], report
    return [replace(f, words=f.words or u.words, text=u.text) for f, u in pairs], report


def _stripped(utterance: Utterance, blind: bool) -> Utterance:
    """Without what must not be seen: its words, whose spelling stands in for a transcript, and that too if `blind`."""
    spelled = utterance.text or " ".join(word.word for word in utterance.words or ()) or None
    return replace(utterance, words=None, text=None if blind else spelled)


def language_model_of(utterances: Iterable[Utterance]) -> LanguageModel:
    """An n-gram of the transcripts of `utterances`; give training utterances alone."""
    return LanguageModel.from_corpus([tokens(utterance) for utterance in utterances])

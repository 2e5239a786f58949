"""Annotate a manifest with words: align utterances that have a transcript, recognise the others.

    utterances ─▶ kept (timed words already) │ aligned │ recognised │ skipped │ failed ─▶ utterances, AlignmentReport

A bad file does not stop the work, and it can be interrupted at any time: each annotation is stored in the cache folder
(`cache`) as soon as it and all before it are complete, under a key of everything it depends on
(`annotation.cache_key`), and is reused by the next run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ..data.text import tokens
from ..data.utterance import Utterance
from ..errors import ConfigurationError
from ..utils.progress import Progress
from .annotation import AnnotationJob, WordAnnotation, annotate, annotate_all, cache_key, recogniser
from .cache import Cache, open_cache
from .engines import RecogniserConfig
from .language_model import LanguageModel

MissingTranscript = Literal["recognise", "skip"]
"""What to do with an utterance that has no transcript."""

METHODS = ("transcript", "recognise", "segment")
"""Methods of `find_words`."""


@dataclass(frozen=True, slots=True)
class AlignmentProblem:
    """Why one utterance got no words.

    Attributes:
        kind: `audio` (cannot be read), `no-transcript`, `no-word` (in the transcript), `mismatch` (of transcript and
            audio), `unheard` (no word was recognised), or `crash` (of the worker process).
        id: Of the utterance.
        detail: The problem in a sentence.
    """

    kind: str
    id: str
    detail: str


@dataclass(frozen=True, slots=True)
class AlignmentReport:
    """Statistics of annotating a manifest: total = kept + aligned + recognised + skipped + failed.

    Attributes:
        total: Number of utterances.
        kept: Those that had timed words already.
        aligned: Those whose transcript was aligned.
        recognised: Those whose words were recognised from the audio alone.
        skipped: Those without a transcript, if `missing="skip"`.
        failed: Those that got no words.
        words: Number of timed words.
        cached: Annotations taken from the cache.
        guessed: Word with a guessed pronunciation → number of utterances that contain it.
        problems: One for each utterance that was skipped or failed, in manifest order.
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
        """Summarise the report.

        Returns:
            One line for a log or a terminal.
        """
        kinds = Counter(problem.kind for problem in self.problems)
        reasons = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        return (
            f"{self.total} utterances: {self.aligned} aligned, {self.recognised} by sound alone, "
            f"{self.kept} had times, {self.skipped} skipped, {self.failed} failed"
            f"{f' ({reasons})' if reasons else ''}; {self.words} words, "
            f"{len(self.guessed)} different ones with a guessed pronunciation"
        )


def align_manifest(
    utterances: Iterable[Utterance],
    *,
    workers: int = 1,
    cache_folder: str | Path | None = None,
    progress: Progress | None = None,
    missing: MissingTranscript = "recognise",
    asr: RecogniserConfig | None = None,
) -> tuple[list[Utterance], AlignmentReport]:
    """Give every utterance its words with times.

    Args:
        utterances: Those whose words have times already are returned as they are.
        workers: Processes; 1 works in this one.
        cache_folder: Where annotations are stored; None for no cache.
        progress: Called with (done, total) utterances, at the start and after each.
        missing: What to do with utterances without a transcript.
        asr: Recogniser for those; by default pocketsphinx.

    Returns:
        All utterances in order, those that failed unchanged; and the report.

    Raises:
        ConfigurationError: An argument is not valid, or the recogniser cannot start.
    """
    utterances = list(utterances)
    if workers < 1:
        raise ConfigurationError(f"workers is {workers}; give 1 or more")
    if missing not in ("recognise", "skip"):
        raise ConfigurationError(f"missing={missing!r} is not valid; give 'recognise' or 'skip'")
    annotations, jobs = _plan(utterances, missing, asr or RecogniserConfig())
    keys = {i: cache_key(job) for i, job in jobs.items()} if cache_folder is not None else {}
    with _open(cache_folder, keys) as cache:
        cached = _cached(cache, keys)
        annotations |= cached
        pending = {i: job for i, job in jobs.items() if i not in cached}
        done = len(utterances) - len(pending)
        if progress:
            progress(done, len(utterances))
        for i, annotation in _annotate(pending, workers):
            annotations[i] = annotation
            if cache is not None and (key := keys[i]) and annotation.is_cacheable:
                cache.put(key, annotation.to_json())
            done += 1
            if progress:
                progress(done, len(utterances))
    return _collect(utterances, jobs, annotations, len(cached))


def _plan(
    utterances: Sequence[Utterance], missing: MissingTranscript, asr: RecogniserConfig
) -> tuple[dict[int, WordAnnotation], dict[int, AnnotationJob]]:
    """Annotations that need no work, and jobs for the other utterances, by position."""
    annotations: dict[int, WordAnnotation] = {}
    jobs: dict[int, AnnotationJob] = {}
    for i, utterance in enumerate(utterances):
        words = utterance.words or ()
        transcript = utterance.text
        if transcript is None and words:
            transcript = " ".join(word.word for word in words)
        if words and all(word.start is not None for word in words):
            annotations[i] = WordAnnotation(words)
        elif transcript is None and missing == "skip":
            annotations[i] = WordAnnotation(problem="no-transcript", detail="it has no transcript (missing='skip')")
        else:
            jobs[i] = AnnotationJob(str(utterance.audio), utterance.start, utterance.end, transcript, asr)
    return annotations, jobs


def _annotate(pending: Mapping[int, AnnotationJob], workers: int) -> Iterator[tuple[int, WordAnnotation]]:
    """Position and annotation of each job, in order."""
    for job in pending.values():
        if job.transcript is None:
            recogniser(job.asr)  # one that cannot start is a single error here, not one for each utterance
            break
    yield from zip(pending, annotate_all(list(pending.values()), annotate, workers), strict=True)


def _collect(
    utterances: Sequence[Utterance],
    jobs: Mapping[int, AnnotationJob],
    annotations: Mapping[int, WordAnnotation],
    cached: int,
) -> tuple[list[Utterance], AlignmentReport]:
    """The utterances with the words of their annotations, and the report."""
    result: list[Utterance] = []
    problems: list[AlignmentProblem] = []
    guessed: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for i, utterance in enumerate(utterances):
        annotation = annotations[i]
        guessed.update(annotation.guessed)
        if annotation.problem:
            counts["skipped" if i not in jobs else "failed"] += 1
            problems.append(AlignmentProblem(annotation.problem, utterance.id, annotation.detail))
            result.append(utterance)
            continue
        counts["kept" if i not in jobs else "recognised" if jobs[i].transcript is None else "aligned"] += 1
        counts["words"] += len(annotation.words)
        result.append(utterance if i not in jobs else replace(utterance, words=annotation.words))
    names = ("kept", "aligned", "recognised", "skipped", "failed", "words")
    return result, AlignmentReport(
        total=len(utterances),
        **{name: counts[name] for name in names},
        cached=cached,
        guessed=dict(sorted(guessed.items())),
        problems=tuple(problems),
    )


def _open(
    folder: str | Path | None, keys: Mapping[int, str | None]
) -> AbstractContextManager[Cache] | AbstractContextManager[None]:
    """The cache in a folder; one that holds all the keys need not be writable."""
    if folder is None:
        return nullcontext()
    readable = [i for i, key in keys.items() if key]
    return open_cache(Path(folder), lambda cache: len(_cached(cache, keys)) == len(readable))


def _cached(cache: Cache | None, keys: Mapping[int, str | None]) -> dict[int, WordAnnotation]:
    """Annotations in the cache, by position."""
    found = {i: WordAnnotation.from_json(cache.get(key)) for i, key in keys.items() if cache is not None and key}
    return {i: annotation for i, annotation in found.items() if annotation is not None}


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
    """Find the words of every utterance by a chosen method.

    Args:
        utterances: Keep their transcripts, whatever the method.
        by: `transcript` (as `align_manifest`), `recognise` (ignore transcripts and words), or `segment` (the same,
            and find word-like segments without spelling).
        missing: What `transcript` does with utterances without one.
        asr: The speech recogniser; by default pocketsphinx.
        realign: Whether `transcript` replaces timed words; the other methods always do.
        workers: As for `align_manifest`.
        cache_folder: As for `align_manifest`.
        progress: As for `align_manifest`.

    Returns:
        All utterances in order, and the report. If `recognise` or `segment` finds nothing in an utterance its words
        are (), not its old ones.

    Raises:
        ConfigurationError: An argument is not valid, or the recogniser cannot start.
    """
    if by not in METHODS:
        raise ConfigurationError(f"words can't be found by {by!r}; choose from {', '.join(METHODS)}")
    from_audio = by != "transcript"
    if by == "segment":
        asr = RecogniserConfig("segments")
    stripped = [_strip(u, text=from_audio) if from_audio or realign else u for u in utterances]
    found, report = align_manifest(
        stripped, workers=workers, cache_folder=cache_folder, progress=progress, missing=missing, asr=asr
    )
    pairs = zip(found, utterances, strict=True)
    if from_audio:
        return [replace(f, words=f.words or (), text=u.text) for f, u in pairs], report
    return [replace(f, words=f.words or u.words, text=u.text) for f, u in pairs], report


def _strip(utterance: Utterance, *, text: bool) -> Utterance:
    """Remove an utterance's words and, if `text`, its transcript; else the words become the transcript it lacks."""
    transcript = utterance.text or " ".join(word.word for word in utterance.words or ()) or None
    return replace(utterance, words=None, text=None if text else transcript)


def language_model_of(utterances: Iterable[Utterance]) -> LanguageModel:
    """Estimate an n-gram model from transcripts.

    Args:
        utterances: Of the training part only.

    Returns:
        The model.
    """
    return LanguageModel.from_corpus([tokens(utterance) for utterance in utterances])

"""Validation of a corpus folder: what it holds, and everything that is wrong with it.

    folder ─ scan ─▶ utterances ─ recordings, files that belong together, published counts ─▶ ValidationReport

    report = check("iemocap", "/data/IEMOCAP_full_release")
    report.selected, report.by_label, [problem.detail for problem in report.errors]

A bad corpus raises nothing: each defect becomes a `Problem` that states what was found, what was expected and what to
do. Notes (a subset, ignored files) need no action and leave the corpus healthy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from .. import audio
from ..data.labels import classes_of, selected
from ..data.speakers import doubtful_speakers
from ..data.utterance import Utterance
from ..errors import AudioError, CorpusError
from ..metrics.agreement import Agreement
from ..utils.progress import Progress
from . import CORPORA, find
from .agreement import annotators
from .corpus import Corpus
from .parsing import Problem, some

__all__ = ["Problem", "ValidationReport", "check"]

CUT_OFF = 0.1
"""Share of recordings with the greatest length from which it is no coincidence. In EmoDB and RAVDESS it is one
recording of 339 and of 1,440; in a copy cut to 2 s, all of 196."""

FEWEST_LENGTHS = 20
"""Recordings from which that is asked."""

SAME_LENGTH = 0.001
"""Seconds by which equal lengths may differ, through rounding to samples."""

LISTED = 10
"""Most utterances that get a note each where they lack something that the release need not have."""

PAST_END = 0.1
"""Seconds the last word may end after its recording: the last analysis frames of an aligner overhang."""


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """What is in a corpus folder, and what is wrong with it.

    Attributes:
        utterances: Number of all utterances that were read.
        selected: Number of those with a class.
        by_label: Class → selected utterances; empty without labels.
        by_session: Session → selected utterances; empty without sessions.
        problems: Errors first, then notes.
        by_raw_label: Raw label → utterances.
        by_speaker: Speaker → utterances.
        by_dimension: Dimension → utterances with a rating of it.
        agreement: Of the annotators, over utterances with two votes or more for classes of the set; None where there
            are none.
    """

    utterances: int
    selected: int
    by_label: Mapping[str, int]
    by_session: Mapping[str, int]
    problems: tuple[Problem, ...]
    by_raw_label: Mapping[str, int] = field(default_factory=dict)
    by_speaker: Mapping[str, int] = field(default_factory=dict)
    by_dimension: Mapping[str, int] = field(default_factory=dict)
    agreement: Agreement | None = None

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that need action."""
        return tuple(problem for problem in self.problems if problem.severity == "error")

    @property
    def notes(self) -> tuple[Problem, ...]:
        """The problems that need none."""
        return tuple(problem for problem in self.problems if problem.severity == "note")

    @property
    def healthy(self) -> bool:
        """Whether there is no error; `duetto corpus check` exits with status 1 where there is one."""
        return not self.errors

    def record(self) -> dict[str, Any]:
        """Return the report as a JSON object.

        Returns:
            The fields of this class; each problem has kind, id, detail and severity.
        """
        return asdict(self)


def check(
    kind: str,
    path: str | Path,
    *,
    labels: str = "four",
    layout: str | Path | None = None,
    known: bool = True,
    decode: bool = False,
    progress: Progress | None = None,
) -> ValidationReport:
    """Validate a corpus folder or manifest.

    Args:
        kind: A key of `corpora.CORPORA`.
        path: The corpus folder, or its file.
        labels: A label set, `as-is`, or the path of a file of labels.
        layout: The layout of kind `generic`.
        known: Whether to compare with the published counts of the release; leave off for a part of it.
        decode: Whether to decode every recording, which finds damaged, silent and clipped ones but takes minutes.
        progress: Called after each recording.

    Returns:
        The counts and the problems. A bad corpus raises nothing.

    Raises:
        ConfigurationError: The kind, the label set or the layout is not valid.
    """
    corpus = find(kind, path, layout)
    path = Path(path)
    problems, utterances = list[Problem](), list[Utterance]()
    try:
        utterances = corpus.scan(path, labels, problems.append)
    except CorpusError as error:
        what = "bad-manifest" if corpus.is_file else "wrong-root"
        problems.append(Problem(what, path.name or str(path), str(error)))
    else:
        reported = {problem.id for problem in problems}
        check_tree = corpus.check or partial(_common_checks, corpus)
        problems.extend(check_tree(path, utterances, reported, known))
        problems.extend(_without_class(corpus, utterances, labels))
        problems.extend(_doubtful_speakers(path, utterances))
        problems.extend(_recordings(corpus, utterances, reported, decode, progress))
    mapping = corpus.label_map(labels)
    classes = classes_of(utterances, mapping)
    return _report(utterances, problems, classes, annotators(utterances, classes, corpus, mapping))


def _report(
    utterances: Sequence[Utterance], problems: Iterable[Problem], classes: Sequence[str], rated: Agreement | None
) -> ValidationReport:
    chosen = selected(utterances)
    by_label = Counter(utterance.label for utterance in chosen)
    return ValidationReport(
        utterances=len(utterances),
        selected=len(chosen),
        by_label={label: by_label[label] for label in classes} if chosen else {},
        by_session=_count(utterance.session for utterance in chosen),
        problems=tuple(sorted(problems, key=lambda problem: problem.severity)),
        by_raw_label=_count(utterance.raw_label for utterance in utterances),
        by_speaker=_count(utterance.speaker for utterance in utterances),
        by_dimension=_count(name for utterance in utterances for name in utterance.dimensions or ()),
        agreement=rated,
    )


def _count(values: Iterable[str | None]) -> dict[str, int]:
    return dict(sorted(Counter(value for value in values if value is not None).items()))


def _common_checks(
    corpus: Corpus,
    path: Path,
    utterances: Sequence[Utterance],
    reported: Collection[str],
    known: bool,
) -> Iterator[Problem]:
    """The checks of a corpus that has none of its own: speakers, labels, transcripts, published counts."""
    yield from _missing_speakers(corpus, utterances)
    yield from _missing_labels(corpus, utterances)
    yield from _missing_transcripts(corpus, utterances)
    if known:
        yield from _counts(corpus, path, utterances)


def _missing(
    kind: str, lacking: Sequence[Utterance], total: int, what: str, effect: str, severe: bool = False
) -> Iterator[Problem]:
    """One note where every utterance lacks something, or many may, else one problem for each that does."""
    if lacking and len(lacking) == total:
        yield Problem(kind, "", f"no utterance has {what}: {effect}", "note")
        return
    if not severe and len(lacking) > LISTED:
        names = some(utterance.id for utterance in lacking)
        yield Problem(kind, "", f"{len(lacking)} of {total} utterances have no {what} ({names}): {effect}", "note")
        return
    for utterance in lacking:
        detail = f"{utterance.id}: no {what}, though others have one: {effect}"
        yield Problem(kind, utterance.id, detail, "error" if severe else "note")


def _missing_speakers(corpus: Corpus, utterances: Sequence[Utterance]) -> Iterator[Problem]:
    lacking = [utterance for utterance in utterances if utterance.speaker is None]
    effect = "name it, or no split can keep speakers apart"
    return _missing("missing-speaker", lacking, len(utterances), "speaker", effect, severe=corpus.named)


def _missing_labels(corpus: Corpus, utterances: Sequence[Utterance]) -> Iterator[Problem]:
    if not corpus.label_maps:
        return iter(())
    lacking = [utterance for utterance in utterances if utterance.label is None and utterance.raw_label is None]
    effect = "it is left out of training and evaluation; label it, or remove it"
    return _missing("missing-label", lacking, len(utterances), "label", effect, severe=True)


def _missing_transcripts(corpus: Corpus, utterances: Sequence[Utterance]) -> Iterator[Problem]:
    lacking = [utterance for utterance in utterances if utterance.text is None and utterance.words is None]
    effect = "its words will be recognised from the speech"
    return _missing("missing-transcript", lacking, len(utterances), "transcript", effect, corpus.transcribed)


def _without_class(corpus: Corpus, utterances: Sequence[Utterance], labels: str) -> Iterator[Problem]:
    """An error where utterances have raw labels, but none of these has a class."""
    raw = Counter(utterance.raw_label for utterance in utterances if utterance.raw_label is not None)
    if not raw or selected(utterances):
        return
    detail = (
        f"none of {len(utterances)} utterances has a class of {labels!r}; their labels are "
        f"{some((f'{label} ({count})' for label, count in raw.items()), 10)}; "
        f"known are {corpus.label_map(labels).describe()}"
    )
    yield Problem("no-class", "", f"{detail}. Rename them: there is nothing to train or evaluate on")


def _counts(corpus: Corpus, path: Path, utterances: Sequence[Utterance]) -> Iterator[Problem]:
    """Differences from the published size of a release."""
    found = _count(utterance.speaker for utterance in utterances)
    for speaker, count in corpus.speakers.items():
        if found.get(speaker, 0) != count:
            detail = f"{path}: speaker {speaker} has {found.get(speaker, 0)} utterances, {count} in the release"
            yield Problem("count", speaker, f"{detail}; unpack the corpus again")
    if corpus.size is not None and len(utterances) != corpus.size:
        detail = f"{path}: a part of the corpus: {len(utterances)} utterances of {corpus.size}"
        yield Problem("count", path.name, detail, "note")
    # The subset's folder holds the speaker's, and that the chapter's.
    folders = (part for u in utterances for part in u.audio.absolute().parts[-4:-1] if part in corpus.subsets)
    for subset, count in sorted(Counter(folders).items()):
        if count != corpus.subsets[subset]:
            detail = f"{path}: {subset} is here in part: {count} utterances of {corpus.subsets[subset]}"
            yield Problem("count", subset, detail, "note")


def _doubtful_speakers(path: Path, utterances: Sequence[Utterance]) -> Iterator[Problem]:
    for speaker, reason in doubtful_speakers(utterances).items():
        detail = (
            f"{path}: speaker {speaker} is {reason}, so one name may be two people; write one manifest for each "
            "corpus, and join them with duetto corpus join"
        )
        yield Problem("doubtful-speaker", speaker, detail)


def _recordings(
    corpus: Corpus,
    utterances: Sequence[Utterance],
    reported: Collection[str],
    decode: bool,
    progress: Progress | None,
) -> Iterator[Problem]:
    """Problems of the recordings: missing, unreadable, wrong rate, all cut off, cut beyond the end, used twice."""
    durations: dict[Path, float | None] = {}
    users: dict[tuple[Path, float | None, float | None], str] = {}
    missing_folders: dict[Path, list[str]] = {}
    for done, utterance in enumerate(utterances, 1):
        file = utterance.audio
        first = file not in durations
        if first and not file.parent.is_dir():
            missing_folders.setdefault(file.parent, []).append(utterance.id)
        elif first:
            yield from _recording(utterance, corpus.sample_rate, durations)
        cut = (file, utterance.start, utterance.end)
        if users.setdefault(cut, utterance.id) != utterance.id:
            detail = f"{file}: is the recording of {users[cut]} and of {utterance.id}; keep one of them"
            yield Problem("duplicate-audio", utterance.id, detail)
        elif (duration := durations.get(file)) is not None:
            yield from _cut(utterance, duration)
            yield from _decoded(utterance) if decode else ()
        if progress is not None:
            progress(done, len(utterances))
    yield from _cut_off(corpus, durations)
    for folder, names in sorted(missing_folders.items()):
        whole = f"{folder.as_posix()}/"
        if not any(f"/{name}/" in whole for name in reported if "/" in name):  # such as Session3/sentences/wav
            detail = f"{folder}: no such folder, so the recordings of {some(names)} are missing; restore it"
            yield Problem("missing-folder", folder.name, detail)


def _recording(utterance: Utterance, rate: int | None, durations: dict[Path, float | None]) -> Iterator[Problem]:
    """Problems of one file; enters its length in `durations` (None where it cannot be read)."""
    file = utterance.audio
    durations[file] = None
    if not file.exists():
        detail = f"{file}: no such file, the recording of {utterance.id}; restore it"
        yield Problem("missing-audio", utterance.id, detail)
        return
    try:
        found = audio.properties(file)
    except AudioError as error:
        yield Problem("bad-audio", utterance.id, str(error))
        return
    durations[file] = found.duration
    if rate is not None and found.sample_rate != rate:
        detail = f"{file}: {found.sample_rate} Hz, {rate} Hz in the release; it was converted: restore the original"
        yield Problem("wrong-rate", utterance.id, detail)


def _cut_off(corpus: Corpus, durations: Mapping[Path, float | None]) -> Iterator[Problem]:
    """A problem where many recordings have the greatest length: the copy was cut off there.

    A note for a corpus that states its own form (a manifest, a layout), which may be of cuts on purpose.
    """
    lengths = [duration for duration in durations.values() if duration is not None]
    longest = max(lengths, default=0.0)
    count = sum(longest - duration < SAME_LENGTH for duration in lengths)
    if len(lengths) < FEWEST_LENGTHS or count < CUT_OFF * len(lengths):
        return
    detail = (
        f"{count} of {len(lengths)} recordings are exactly {longest:.3f} s long and none is longer, so they were "
        "cut off; get the whole recordings"
    )
    released = corpus.name in CORPORA
    yield Problem("cut-off", "", detail, "error" if released else "note")


def _cut(utterance: Utterance, duration: float) -> Iterator[Problem]:
    start, end = utterance.start or 0.0, duration if utterance.end is None else utterance.end
    if start >= duration or end > duration + audio.END_TOLERANCE:
        detail = (
            f"{utterance.audio}: is {duration:.3f} s long, {utterance.id} is its {start:g}–{end:g} s; correct these"
        )
        yield Problem("cut-outside", utterance.id, detail)
        return
    last = max((word.end for word in utterance.words or () if word.end is not None), default=0.0)
    if last > end - start + PAST_END:
        detail = f"{utterance.audio}: {end - start:.3f} s long, but the last word of {utterance.id} ends at {last:g} s"
        yield Problem("words-past-end", utterance.id, f"{detail}; words and recording do not belong together")


def _decoded(utterance: Utterance) -> Iterator[Problem]:
    try:
        warnings = audio.load(utterance.audio, start=utterance.start, end=utterance.end).warnings
    except AudioError as error:
        yield Problem("bad-audio", utterance.id, str(error))
        return
    for warning in warnings:
        severity = "error" if warning.startswith("truncated") else "note"
        yield Problem("odd-audio", utterance.id, f"{utterance.audio}: {warning}", severity)

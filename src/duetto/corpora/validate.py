"""The doctor: what a corpus folder holds, and everything that is wrong with it.

    folder ─ scan ─▶ utterances ─ recordings, files that belong together, published counts ─▶ ValidationReport

    checkup = check("iemocap", "/data/IEMOCAP_full_release")
    checkup.selected, checkup.by_label, [problem.detail for problem in checkup.errors]

Nothing raises because a corpus is bad: each defect becomes a `Problem` that says what was found, what was
expected and what to do. Notes (a subset, files that are ignored) need no action and leave the corpus healthy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .. import audio
from ..audio.timing import SAMPLE_RATE
from ..data.labels import classes, described, label_map, selected
from ..data.utterance import Utterance
from ..errors import AudioError, ConfigurationError, CorpusError
from ..utils.progress import Progress
from . import emodb, iemocap, iemocap_validate, librispeech, ljspeech, ravdess, tables
from .parsing import Problem, Scan, some

__all__ = ["Problem", "ValidationReport", "check"]

SCANS: dict[str, Scan] = {
    "iemocap": iemocap.scan,
    "emodb": emodb.scan,
    "ravdess": ravdess.scan,
    "ljspeech": ljspeech.scan,
    "librispeech": librispeech.scan,
    "manifest": tables.scan,
    "synthetic": iemocap.scan_synthetic,
}
"""Kind of corpus → its parser in the form that reports every problem."""

KNOWN_RATES = {"iemocap": 16_000, "synthetic": SAMPLE_RATE}
"""Kind → samples per second of every recording (of any format)."""

KNOWN_SPEAKERS: dict[str, dict[str, int]] = {
    "emodb": {
        "03": 49, "08": 58, "09": 43, "10": 38, "11": 55, "12": 35, "13": 61, "14": 69, "15": 56, "16": 71,
    },
    "ravdess": {f"{actor:02d}": 60 for actor in range(1, 25)},
}  # fmt: skip
"""Kind → speaker → utterances in the release (535 and 1,440 in all)."""

KNOWN_SIZES = {"ljspeech": 13_100}
"""Kind → utterances in the release, where parts of it are in common use."""

KNOWN_SUBSETS = {
    "dev-clean": 2703, "dev-other": 2864, "test-clean": 2620, "test-other": 2939,
    "train-clean-100": 28_539, "train-clean-360": 104_014, "train-other-500": 148_688,
}  # fmt: skip
"""LibriSpeech subset → utterances."""

PAST_END = 0.1
"""Seconds the last word may end after its recording: the last analysis frames of an aligner overhang."""


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """What is in a corpus folder, and what is wrong with it.

    utterances: all that were read. selected: those that have a class, and by_label, by_session: how many of
    these each class and session has ({} without labels, without sessions). by_raw_label, by_speaker: of all.
    """

    utterances: int
    selected: int
    by_label: Mapping[str, int]
    by_session: Mapping[str, int]
    problems: tuple[Problem, ...]
    by_raw_label: Mapping[str, int] = field(default_factory=dict)
    by_speaker: Mapping[str, int] = field(default_factory=dict)

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
        """Whether there is no error; the exit status of `duetto corpus check` is 1 where there is one."""
        return not self.errors

    def record(self) -> dict[str, Any]:
        """The checkup as a JSON object: the fields of this class, each problem with kind, id, detail, severity."""
        return asdict(self)


def check(
    kind: str,
    path: str | Path,
    *,
    labels: str = "four",
    known: bool = True,
    decode: bool = False,
    progress: Progress | None = None,
) -> ValidationReport:
    """Examine a corpus folder (or manifest).

    known: compare with the published counts of the release; leave off for a part of it.
    decode: decode every recording, not only its header (minutes for a large corpus): finds damaged, silent
        and clipped ones. progress: told of each recording.
    Raises ConfigurationError for an unknown kind or label set, and nothing for a bad corpus.
    """
    if kind not in SCANS:
        raise ConfigurationError(f"corpus kind {kind!r} is not known; choose from {', '.join(SCANS)}")
    path = Path(path)
    problems: list[Problem] = []
    utterances: list[Utterance] = []
    try:
        utterances = SCANS[kind](path, labels, problems.append)
    except CorpusError as error:
        what = "bad-manifest" if kind == "manifest" else "wrong-root"
        problems.append(Problem(what, path.name or str(path), str(error)))
    else:
        reported = {problem.id for problem in problems}
        if kind in ("iemocap", "synthetic"):
            problems.extend(iemocap_validate.check(path, utterances, reported, known))
        else:
            problems.extend(_unknown_speakers(utterances))
            problems.extend(_unlabelled(kind, utterances))
            problems.extend(_missing_text(kind, utterances))
            problems.extend(_counts(kind, path, utterances) if known else ())
        problems.extend(_without_class(kind, utterances, labels))
        problems.extend(_recordings(utterances, reported, KNOWN_RATES.get(kind), decode, progress))
    return _checkup(utterances, problems, labels)


def _checkup(utterances: Sequence[Utterance], problems: Iterable[Problem], labels: str) -> ValidationReport:
    chosen = selected(utterances)
    by_label = Counter(utterance.label for utterance in chosen)
    return ValidationReport(
        utterances=len(utterances),
        selected=len(chosen),
        by_label={label: by_label[label] for label in classes(labels)} if chosen else {},
        by_session=_tally(utterance.session for utterance in chosen),
        problems=tuple(sorted(problems, key=lambda problem: problem.severity)),
        by_raw_label=_tally(utterance.raw_label for utterance in utterances),
        by_speaker=_tally(utterance.speaker for utterance in utterances),
    )


def _tally(values: Iterable[str | None]) -> dict[str, int]:
    return dict(sorted(Counter(value for value in values if value is not None).items()))


def _lacking(
    kind: str, lacking: Sequence[Utterance], total: int, what: str, effect: str, severe: bool = False
) -> Iterator[Problem]:
    """One note where every utterance lacks something, else one problem for each that does."""
    if lacking and len(lacking) == total:
        yield Problem(kind, "", f"no utterance has {what}: {effect}", "note")
        return
    for utterance in lacking:
        detail = f"{utterance.id}: no {what}, though others have one: {effect}"
        yield Problem(kind, utterance.id, detail, "error" if severe else "note")


def _unknown_speakers(utterances: Sequence[Utterance]) -> Iterator[Problem]:
    lacking = [utterance for utterance in utterances if utterance.speaker is None]
    effect = "name it, or no split can keep speakers apart"
    return _lacking("missing-speaker", lacking, len(utterances), "speaker", effect, severe=True)


def _unlabelled(kind: str, utterances: Sequence[Utterance]) -> Iterator[Problem]:
    if kind in ("ljspeech", "librispeech"):
        return iter(())
    lacking = [utterance for utterance in utterances if utterance.label is None and utterance.raw_label is None]
    effect = "it is left out of training and evaluation; label it, or remove it"
    return _lacking("missing-label", lacking, len(utterances), "label", effect, severe=True)


def _without_class(kind: str, utterances: Sequence[Utterance], labels: str) -> Iterator[Problem]:
    """An error where there are labels, and none of them has a class."""
    raw = Counter(utterance.raw_label for utterance in utterances if utterance.raw_label is not None)
    if not raw or selected(utterances):
        return
    mapped = label_map(labels, "iemocap" if kind == "synthetic" else kind)
    detail = (
        f"none of {len(utterances)} utterances has a class of {labels!r}; their labels are "
        f"{some((f'{label} ({count})' for label, count in raw.items()), 10)}; known are {described(mapped)}"
    )
    yield Problem("no-class", "", f"{detail}. Rename them: there is nothing to train or evaluate on")


def _missing_text(kind: str, utterances: Sequence[Utterance]) -> Iterator[Problem]:
    lacking = [utterance for utterance in utterances if utterance.text is None and utterance.words is None]
    effect = "its words will be recognised from the speech"
    severe = kind in ("ljspeech", "librispeech")
    return _lacking("missing-transcript", lacking, len(utterances), "transcript", effect, severe)


def _counts(kind: str, path: Path, utterances: Sequence[Utterance]) -> Iterator[Problem]:
    """Differences from the published size of a release."""
    total = len(utterances)
    if kind in KNOWN_SPEAKERS:
        found = _tally(utterance.speaker for utterance in utterances)
        for speaker, count in KNOWN_SPEAKERS[kind].items():
            if found.get(speaker, 0) != count:
                detail = f"{path}: speaker {speaker} has {found.get(speaker, 0)} utterances, {count} in the release"
                yield Problem("count", speaker, f"{detail}; unpack the corpus again")
    if kind in KNOWN_SIZES and total != KNOWN_SIZES[kind]:
        detail = f"{path}: a part of the corpus: {total} utterances of {KNOWN_SIZES[kind]}"
        yield Problem("count", path.name, detail, "note")
    if kind == "librispeech":
        subsets = Counter(
            part
            for utterance in utterances
            for part in utterance.audio.absolute().parts[-4:-1]
            if part in KNOWN_SUBSETS
        )
        for subset, count in sorted(subsets.items()):
            if count != KNOWN_SUBSETS[subset]:
                detail = f"{path}: {subset} is here in part: {count} utterances of {KNOWN_SUBSETS[subset]}"
                yield Problem("count", subset, detail, "note")


def _recordings(
    utterances: Sequence[Utterance],
    reported: Collection[str],
    rate: int | None,
    decode: bool,
    progress: Progress | None,
) -> Iterator[Problem]:
    """Problems of the recordings: missing, unreadable, of the wrong rate, cut beyond their end, used twice."""
    durations: dict[Path, float | None] = {}
    users: dict[tuple[Path, float | None, float | None], str] = {}
    gone: dict[Path, list[str]] = {}
    for done, utterance in enumerate(utterances, 1):
        file = utterance.audio
        first = file not in durations
        if first and not file.parent.is_dir():
            gone.setdefault(file.parent, []).append(utterance.id)
        elif first:
            yield from _recording(utterance, rate, durations)
        cut = (file, utterance.start, utterance.end)
        if users.setdefault(cut, utterance.id) != utterance.id:
            detail = f"{file}: is the recording of {users[cut]} and of {utterance.id}; keep one of them"
            yield Problem("duplicate-audio", utterance.id, detail)
        elif (duration := durations.get(file)) is not None:
            yield from _cut(utterance, duration)
            yield from _decoded(utterance) if decode else ()
        if progress is not None:
            progress(done, len(utterances))
    for folder, names in sorted(gone.items()):
        whole = f"{folder.as_posix()}/"
        if not any(f"/{name}/" in whole for name in reported if "/" in name):  # Session3/sentences/wav, say
            detail = f"{folder}: no such folder, so the recordings of {some(names)} are missing; restore it"
            yield Problem("missing-folder", folder.name, detail)


def _recording(utterance: Utterance, rate: int | None, durations: dict[Path, float | None]) -> Iterator[Problem]:
    """Problems of one file, whose length goes into `durations` (None where it cannot be read)."""
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

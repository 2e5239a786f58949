"""Audit of folds: who and what is both in test data and in the data for training and development."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

from ..corpora.agreement import manifest_annotators
from ..data.speakers import doubtful_speakers
from ..data.utterance import Utterance
from ..splits import GROUPS, LEAKING, Fold
from ..utils.progress import Progress
from . import classes, transcripts
from .findings import Audit, Finding, make_finding
from .recordings import RecordingKeys, overlaps, recording_keys

PARTS = {"train": "training", "development": "development", "test": "test"}
"""Field of a `Fold` → name of the part in messages."""


def audit_folds(
    folds: Sequence[Fold],
    protocol: str = "",
    *,
    declared: bool = False,
    sound: bool = True,
    progress: Progress | None = None,
) -> Audit:
    """Audit folds: speakers, sessions, scenarios, transcripts, recordings, repetitions.

    Args:
        folds: The folds.
        protocol: Name of their protocol; one of `splits.LEAKING` is declared by its name.
        declared: Whether the user declared that the data leak.
        sound: Whether to read the recordings (only their headers, where no two have the same length).
        progress: Called after each recording.

    Returns:
        The audit.
    """
    everyone = list({id(u): u for fold in folds for _, u in members(fold)}.values())
    recordings = recording_keys(everyone, read=sound, progress=progress)
    findings = list(_protocol(protocol))
    findings += _unnamed_groups(everyone)
    findings += _doubtful_speakers(everyone)
    findings += classes.shared_sentences(everyone)
    findings += _not_examined(everyone, recordings, sound)
    findings += _annotators(everyone)
    for fold in folds:
        findings += _shared_groups(fold)
        findings += duplicate_ids(fold)
        findings += _same_recordings(fold, recordings)
        findings += transcripts.check(fold)
    return Audit(
        tuple(findings),
        protocol,
        len(folds),
        len({u.id for u in everyone}),
        declared=declared or protocol in LEAKING,
    )


def members(fold: Fold) -> Iterator[tuple[str, Utterance]]:
    """Yield every utterance of a fold.

    Args:
        fold: The fold.

    Yields:
        The name of the part, a key of `PARTS`, and the utterance.
    """
    for part in PARTS:
        yield from ((part, utterance) for utterance in getattr(fold, part))


def _protocol(protocol: str) -> Iterator[Finding]:
    if protocol in LEAKING:
        detail = f"protocol {protocol!r} leaks by design: it measures how much that flatters, and gives no result"
        yield make_finding("leaking-protocol", None, detail, protocol=protocol)


def _unnamed_groups(everyone: Sequence[Utterance]) -> Iterator[Finding]:
    """Groups in which overlap cannot be detected, because utterances do not name theirs."""
    for group in GROUPS:
        lacking = [u.id for u in everyone if getattr(u, group) is None]
        if not lacking:
            continue
        kind = "unknown-speaker" if group == "speaker" else "not-examined"
        detail = (
            f"{len(lacking):,} of {len(everyone):,} utterances name no {group}, so it is not known whether it is new"
        )
        yield make_finding(kind, None, detail, utterances=len(lacking), of=len(everyone), examples=lacking)


def _doubtful_speakers(everyone: Sequence[Utterance]) -> Iterator[Finding]:
    """Names that may be those of two people, so that speakers are neither counted nor kept apart."""
    doubtful = doubtful_speakers(everyone)
    if not doubtful:
        return
    listed = "; ".join(f"{name} is {reason}" for name, reason in list(doubtful.items())[:3])
    detail = (
        f"{len(doubtful)} speakers may be two people each ({listed}{'; …' if len(doubtful) > 3 else ''}); "
        "join manifests with duetto corpus join, which keeps their speakers apart"
    )
    inside = [u.id for u in everyone if u.speaker in doubtful]
    yield make_finding(
        "doubtful-speaker", None, detail, speakers=len(doubtful), utterances=len(inside), examples=list(doubtful)
    )


def _not_examined(everyone: Sequence[Utterance], recordings: RecordingKeys, read: bool) -> Iterator[Finding]:
    if not read:
        yield make_finding("not-examined", None, "recordings were not read, so copies under other names are not found")
    if recordings.unread:
        reason = next(iter(recordings.unread.values()))
        detail = f"{len(recordings.unread):,} recordings cannot be read, so copies of them are not found: {reason}"
        yield make_finding("not-examined", None, detail, recordings=len(recordings.unread))
    untranscribed = [u.id for u in everyone if u.text is None and u.words is None]
    if untranscribed:
        count = f"{len(untranscribed):,} of {len(everyone):,}"
        detail = f"{count} utterances have no transcript, so repeated wording is not found"
        yield make_finding(
            "not-examined", None, detail, utterances=len(untranscribed), of=len(everyone), examples=untranscribed
        )


def _annotators(everyone: Sequence[Utterance]) -> Iterator[Finding]:
    """How far annotators agree: no system that learns from them can be expected to agree with them more."""
    if (found := manifest_annotators(everyone)) is not None:
        kappa = {} if found.kappa is None else {"kappa": round(found.kappa, 4)}
        more = {"pairwise": round(found.pairwise, 4), **kappa}
        yield make_finding("annotators", None, f"annotators: {found}", utterances=found.items, **more)


def _shared_groups(fold: Fold) -> Iterator[Finding]:
    """Speakers, sessions and scenarios of test data that are not new."""
    for group in GROUPS:
        shared = fold.shared(group)
        if not shared:
            continue
        inside = [u.id for u in fold.test if getattr(u, group) in shared]
        names = ", ".join(shared[:5]) + (", …" if len(shared) > 5 else "")
        of = f"{len(shared)} {group}{'s' if len(shared) > 1 else ''}"
        yield make_finding(
            f"{group}-overlap",
            fold.name,
            f"{transcripts.share(len(inside), len(fold.test))} are of {of} "
            f"that training or development data hold too: {names}",
            groups=len(shared),
            utterances=len(inside),
            of=len(fold.test),
            examples=inside,
        )


def duplicate_ids(fold: Fold) -> Iterator[Finding]:
    """Find utterances whose id is in two parts of a fold, or twice in one.

    Args:
        fold: The fold.

    Yields:
        The findings.
    """
    by_id: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for part, utterance in members(fold):
        by_id[utterance.id].append((part, utterance.id))
    yield from _split(fold, "utterance-in-two-parts", "the same utterance", by_id.values())
    yield from _repeated(fold, "the same utterance", by_id.values())


def _same_recordings(fold: Fold, recordings: RecordingKeys) -> Iterator[Finding]:
    """The same sound under two ids, in two parts or twice in one."""
    by_sound: dict[str, dict[tuple[str, str], None]] = defaultdict(dict)
    for part, utterance in members(fold):
        by_sound[recordings.key(utterance)][part, utterance.id] = None
    copies = [list(group) for group in by_sound.values() if len({name for _, name in group}) > 1]
    yield from _split(fold, "same-audio", "the same recording", copies)
    yield from _repeated(fold, "the same recording", copies)
    crossing = [
        [(a_part, a.id), (b_part, b.id)]
        for (a_part, a), (b_part, b) in overlaps(members(fold))
        if a.id != b.id and recordings.key(a) != recordings.key(b)
    ]
    yield from _split(fold, "overlapping-audio", "overlapping cuts of one recording", crossing)


def _split(fold: Fold, kind: str, what: str, same: Iterable[Sequence[tuple[str, str]]]) -> Iterator[Finding]:
    """A finding where a group of equal items, given as (part, id), is in two parts."""
    pairs: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for group in same:
        first: dict[str, str] = {}
        for part, name in group:
            first.setdefault(part, name)
        for a, b in combinations(PARTS, 2):
            if a in first and b in first:
                pairs[a, b].append((first[b], first[a]))
    if not pairs:
        return
    counts = {f"{PARTS[a]} and {PARTS[b]}": len(pairs_) for (a, b), pairs_ in pairs.items()}
    # Pairs with test data first: they are the ones that invalidate a result.
    ordered = [pair for key in sorted(pairs, key=lambda key: "test" not in key) for pair in pairs[key]]
    listed = "; ".join(f"{parts}: {number:,}" for parts, number in counts.items())
    yield make_finding(
        kind,
        fold.name,
        f"{what} is in two parts ({listed})",
        **counts,
        **_examples(ordered),
    )


def _repeated(fold: Fold, what: str, same: Iterable[Sequence[tuple[str, str]]]) -> Iterator[Finding]:
    """A finding where a group of equal items, given as (part, id), is twice in one part."""
    extra: Counter[str] = Counter()
    pairs: list[tuple[str, str]] = []
    for group in same:
        for part in {part: None for part, _ in group}:
            first, *copies = [name for place, name in group if place == part]
            extra[part] += len(copies)
            pairs += [(copy, first) for copy in copies]
    extra = +extra
    if extra:
        listed = "; ".join(f"{PARTS[part]}: {number:,} too many" for part, number in extra.items())
        counts = {PARTS[part]: number for part, number in extra.items()}
        detail = f"{what} is more than once in one part ({listed}), so it counts more than others"
        yield make_finding("oversampling", fold.name, detail, **counts, **_examples(pairs))


def _examples(pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """Ids, and the id that each is equal to, where that differs."""
    examples = {"examples": [a for a, _ in pairs]}
    return examples | {"twins": [b for _, b in pairs]} if any(a != b for a, b in pairs) else examples

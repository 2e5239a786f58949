"""Folds → findings: who and what stands both in test data and in the data for training and development."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

from ..data.utterance import Utterance
from ..splits import GROUPS, LEAKING, Fold
from ..utils.progress import Progress
from . import transcripts
from .findings import Audit, Finding, found
from .recordings import Sounds, identify, overlaps

PARTS = {"train": "training", "development": "development", "test": "test"}
"""Field of a `Fold` → what the part is called."""


def audit_folds(
    folds: Sequence[Fold],
    protocol: str = "",
    *,
    declared: bool = False,
    sound: bool = True,
    progress: Progress | None = None,
) -> Audit:
    """Examine folds: speakers, sessions, scenarios, transcripts, recordings, repetitions.

    protocol: its name; one of `splits.LEAKING` declares its leaks by itself. declared: the user knows that the
    data leak. sound: whether to read the recordings (only headers, where no two are equally long).
    """
    everyone = list({id(u): u for fold in folds for _, u in members(fold)}.values())
    sounds = identify(everyone, read=sound, progress=progress)
    findings = list(_protocol(protocol))
    findings += _unknown(everyone)
    findings += _unexamined(everyone, sounds, sound)
    for fold in folds:
        findings += groups(fold)
        findings += identity(fold)
        findings += _recordings(fold, sounds)
        findings += transcripts.check(fold)
    return Audit(
        tuple(findings),
        protocol,
        len(folds),
        len({u.id for u in everyone}),
        declared=declared or protocol in LEAKING,
    )


def members(fold: Fold) -> Iterator[tuple[str, Utterance]]:
    """Every utterance of a fold with the name of its part."""
    for part in PARTS:
        yield from ((part, utterance) for utterance in getattr(fold, part))


def _protocol(protocol: str) -> Iterator[Finding]:
    if protocol in LEAKING:
        detail = f"protocol {protocol!r} leaks by design: it shows how much that flatters, and gives no result"
        yield found("leaking-protocol", None, detail, protocol=protocol)


def _unknown(everyone: Sequence[Utterance]) -> Iterator[Finding]:
    """Groups in which overlap cannot be seen, because utterances do not name theirs."""
    for group in GROUPS:
        lacking = [u.id for u in everyone if getattr(u, group) is None]
        if not lacking:
            continue
        kind = "unknown-speaker" if group == "speaker" else "not-examined"
        detail = f"{len(lacking):,} of {len(everyone):,} utterances name no {group}, so nobody knows whether it is new"
        yield found(kind, None, detail, utterances=len(lacking), of=len(everyone), examples=lacking)


def _unexamined(everyone: Sequence[Utterance], sounds: Sounds, read: bool) -> Iterator[Finding]:
    if not read:
        yield found("not-examined", None, "recordings were not read, so copies under other names are not seen")
    if sounds.unread:
        reason = next(iter(sounds.unread.values()))
        detail = f"{len(sounds.unread):,} recordings cannot be read, so copies of them are not seen: {reason}"
        yield found("not-examined", None, detail, recordings=len(sounds.unread))
    mute = [u.id for u in everyone if u.text is None and u.words is None]
    if mute:
        detail = f"{len(mute):,} of {len(everyone):,} utterances have no transcript, so repeated wording is not seen"
        yield found("not-examined", None, detail, utterances=len(mute), of=len(everyone), examples=mute)


def groups(fold: Fold) -> Iterator[Finding]:
    """Speakers, sessions and scenarios of test data that are not new."""
    for group in GROUPS:
        shared = fold.shared(group)
        if not shared:
            continue
        inside = [u.id for u in fold.test if getattr(u, group) in shared]
        names = ", ".join(shared[:5]) + (", …" if len(shared) > 5 else "")
        of = f"{len(shared)} {group}{'s' if len(shared) > 1 else ''}"
        yield found(
            f"{group}-overlap",
            fold.name,
            f"{transcripts.share(len(inside), len(fold.test))} are of {of} "
            f"that training or development data hold too: {names}",
            groups=len(shared),
            utterances=len(inside),
            of=len(fold.test),
            examples=inside,
        )


def identity(fold: Fold) -> Iterator[Finding]:
    """Utterances, known by id, that stand in two parts or twice in one."""
    by_id: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for part, utterance in members(fold):
        by_id[utterance.id].append((part, utterance.id))
    yield from _split(fold, "utterance-in-two-parts", "the same utterance", by_id.values())
    yield from _repeated(fold, "the same utterance", by_id.values())


def _recordings(fold: Fold, sounds: Sounds) -> Iterator[Finding]:
    """The same sound under two ids, in two parts or twice in one."""
    by_sound: dict[str, dict[tuple[str, str], None]] = defaultdict(dict)
    for part, utterance in members(fold):
        by_sound[sounds.key(utterance)][part, utterance.id] = None
    copies = [list(group) for group in by_sound.values() if len({name for _, name in group}) > 1]
    yield from _split(fold, "same-audio", "the same recording", copies)
    yield from _repeated(fold, "the same recording", copies)
    crossing = [
        [(a_part, a.id), (b_part, b.id)]
        for (a_part, a), (b_part, b) in overlaps(members(fold))
        if a.id != b.id and sounds.key(a) != sounds.key(b)
    ]
    yield from _split(fold, "overlapping-audio", "overlapping cuts of one recording", crossing)


def _split(fold: Fold, kind: str, what: str, same: Iterable[Sequence[tuple[str, str]]]) -> Iterator[Finding]:
    """A finding where groups of (part, id) that are one thing lie in two parts."""
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
    counts = {f"{PARTS[a]} and {PARTS[b]}": len(found_) for (a, b), found_ in pairs.items()}
    # Pairs with test data first: they are the ones that spoil a result.
    ordered = [pair for key in sorted(pairs, key=lambda key: "test" not in key) for pair in pairs[key]]
    described = "; ".join(f"{parts}: {number:,}" for parts, number in counts.items())
    yield found(
        kind,
        fold.name,
        f"{what} stands in two parts ({described})",
        **counts,
        **_examples(ordered),
    )


def _repeated(fold: Fold, what: str, same: Iterable[Sequence[tuple[str, str]]]) -> Iterator[Finding]:
    """A finding where groups of (part, id) that are one thing lie twice in one part."""
    extra: Counter[str] = Counter()
    pairs: list[tuple[str, str]] = []
    for group in same:
        for part in {part: None for part, _ in group}:
            first, *copies = [name for place, name in group if place == part]
            extra[part] += len(copies)
            pairs += [(copy, first) for copy in copies]
    extra = +extra
    if extra:
        described = "; ".join(f"{PARTS[part]}: {number:,} too many" for part, number in extra.items())
        counts = {PARTS[part]: number for part, number in extra.items()}
        detail = f"{what} stands more than once in one part ({described}), so it counts more than others"
        yield found("oversampling", fold.name, detail, **counts, **_examples(pairs))


def _examples(pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """Ids, and what each is equal to where that has another id."""
    examples = {"examples": [a for a, _ in pairs]}
    return examples | {"twins": [b for _, b in pairs]} if any(a != b for a, b in pairs) else examples

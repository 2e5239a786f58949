"""The folds of a corpus, audited before anything is trained on them.

utterances + protocol ─ audited_split ─▶ AuditedSplit
two manifests ─ audited_transfer ─▶ AuditedSplit
fold files of EmoBox ─ audited_emobox ─▶ AuditedSplit
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import audit, splits
from ..audit import Audit
from ..data import labels
from ..data.utterance import Utterance, by_id
from ..errors import ConfigurationError
from ..splits import LEAKING, Fold, emobox
from ..utils.progress import Progress


@dataclass(frozen=True)
class AuditedSplit:
    """Folds that may be trained on.

    Attributes:
        protocol: Name of the protocol that made the folds.
        utterances: Those of the folds: all that have a label, and those from which only dimensions are learned.
        folds: Of these utterances.
        audit: Findings of the audit; a leak among them was declared.
    """

    protocol: str
    utterances: list[Utterance]
    folds: list[Fold]
    audit: Audit

    @property
    def leaks(self) -> bool:
        """Whether results on these folds must be marked as a leak."""
        return bool(self.audit.leaks) or self.protocol in LEAKING


def audited_split(
    utterances: Sequence[Utterance],
    protocol: str,
    *,
    dimensions: Sequence[str] = (),
    declare_leak: bool = False,
    progress: Progress | None = None,
) -> AuditedSplit:
    """Split a corpus and audit the folds.

    Args:
        utterances: The corpus; those without a label are left out, unless they have a rating that is learned.
        protocol: One of `splits.PROTOCOLS`.
        dimensions: That are learned.
        declare_leak: Accept folds that leak.
        progress: Of the audit.

    Returns:
        The folds.

    Raises:
        ConfigurationError: The folds leak and `declare_leak` is false, or the corpus does not allow the protocol.
    """
    labelled = labels.selected(utterances)
    others = by_id(u for u in utterances if u.label is None and not set(dimensions).isdisjoint(u.dimensions or ()))
    folds = [splits.with_rated(fold, others) for fold in splits.folds(protocol, labelled)]
    used = {u.id: u for fold in folds for u in fold.rated}
    return _audited(folds, protocol, [*labelled, *used.values()], declare_leak, progress)


def audited_transfer(
    source: Sequence[Utterance],
    target: Sequence[Utterance],
    name: str,
    *,
    declare_leak: bool = False,
    progress: Progress | None = None,
) -> AuditedSplit:
    """Make the fold that trains on one manifest and tests on another, and audit it.

    Args:
        source: Utterances to train on, less the development speakers drawn from them; those without a label are left
            out.
        target: Utterances to test on; those without a label are left out (`splits.qualified` tells their names apart).
        name: Name of the fold, such as `emodb → ravdess`.
        declare_leak: Accept a fold that leaks.
        progress: Of the audit.

    Returns:
        The fold, of protocol `transfer`.

    Raises:
        ConfigurationError: As `audited_split`; the training part lacks a class of the test part; or an id is in both.
    """
    trained = labels.selected(source)
    tested = splits.qualified(trained, labels.selected(target))
    fold = splits.transfer(name, trained, tested)
    splits.check_classes([fold])
    return _audited([fold], "transfer", [*trained, *tested], declare_leak, progress)


def audited_emobox(
    utterances: Sequence[Utterance],
    folder: Path,
    *,
    declare_leak: bool = False,
    progress: Progress | None = None,
) -> AuditedSplit:
    """Read the folds of EmoBox and audit them.

    Args:
        utterances: The corpus; those without a label are left out.
        folder: Of its fold files (`splits.emobox.read_folds`).
        declare_leak: Accept folds that leak.
        progress: Of the audit.

    Returns:
        The folds, of protocol `emobox`.

    Raises:
        ConfigurationError: As `audited_split` and `splits.emobox.read_folds`.
    """
    folds = emobox.read_folds(folder, utterances)
    inside = {u.id: u for fold in folds for u in (*fold.train, *fold.development, *fold.test)}
    return _audited(folds, "emobox", list(inside.values()), declare_leak, progress)


def _audited(
    folds: list[Fold], protocol: str, utterances: Sequence[Utterance], declare_leak: bool, progress: Progress | None
) -> AuditedSplit:
    whole = [fold.joined for fold in folds]
    findings = audit.audit_folds(whole, protocol, declared=declare_leak, progress=progress)
    if findings.verdict == "leak":
        raise ConfigurationError(_refusal(findings))
    return AuditedSplit(protocol, list(utterances), folds, findings)


def _refusal(findings: Audit) -> str:
    """Why nothing is trained on a split, and what to do."""
    first, *others = findings.leaks
    where = "" if first.fold is None else f" (fold {first.fold!r}, such as {', '.join(first.evidence['examples'])})"
    more = f" and {len(others)} more: {', '.join(sorted({f.kind for f in others}))}." if others else ""
    return (
        f"protocol {findings.protocol!r} leaks here: {first.detail}{where}.{more} A figure on such test data means "
        "nothing for new speech. See all findings: duetto audit MANIFEST --protocol NAME. Repair the manifest or "
        "choose another protocol. To train all the same, with the results marked as a leak: --declare-leak "
        "(declare_leak=True)"
    )

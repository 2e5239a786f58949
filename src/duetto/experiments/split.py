"""The folds of a corpus, audited before anything is trained on them.

utterances + protocol ─ audited_split ─▶ AuditedSplit
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .. import audit, splits
from ..audit import Audit
from ..data import labels
from ..data.utterance import Utterance
from ..errors import ConfigurationError
from ..splits import LEAKING, Fold
from ..utils.progress import Progress


@dataclass(frozen=True)
class AuditedSplit:
    """Folds that may be trained on.

    Attributes:
        protocol: Name of the protocol that made the folds.
        utterances: Those that have a label.
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
    declare_leak: bool = False,
    progress: Progress | None = None,
) -> AuditedSplit:
    """Split a corpus and audit the folds.

    Args:
        utterances: The corpus; those without a label are left out.
        protocol: One of `splits.PROTOCOLS`.
        declare_leak: Accept folds that leak.
        progress: Of the audit.

    Returns:
        The folds.

    Raises:
        ConfigurationError: The folds leak and `declare_leak` is false, or the corpus does not allow the protocol.
    """
    labelled = labels.selected(utterances)
    folds = splits.folds(protocol, labelled)
    findings = audit.audit_folds(folds, protocol, declared=declare_leak, progress=progress)
    if findings.verdict == "leak":
        raise ConfigurationError(_refusal(findings))
    return AuditedSplit(protocol, labelled, folds, findings)


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

"""Audits: what test data share with the data that a system is fitted to or chosen on.

    folds ─ audit_folds ─▶ Audit(findings, verdict)      run folder ─ audit_run ─▶ the same, and what was fitted

docs/audit.md explains every check, its reason, and what it cannot detect.
"""

from .findings import AUDIT, KINDS, Audit, Finding, load, merged, save
from .folds import audit_folds
from .run import audit_run

__all__ = ["AUDIT", "KINDS", "Audit", "Finding", "audit_folds", "audit_run", "load", "merged", "save"]

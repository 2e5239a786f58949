"""Errors that a user can act on.

Every message states what came, what is valid, and what to do. Any other exception that reaches the command line is a
defect of duetto itself.
"""

from __future__ import annotations


class DuettoError(Exception):
    """Base of every error that duetto raises on purpose."""


class AudioError(DuettoError):
    """A recording that cannot be read or holds nothing that can be analysed."""


class CorpusError(DuettoError):
    """A corpus folder or manifest that is not valid; names file and line."""


class ConfigurationError(DuettoError):
    """An option, experiment file or combination of settings that is not valid."""


class ModelError(DuettoError):
    """A run folder, checkpoint or vector file that is missing, damaged or of another kind."""


class StorageError(DuettoError):
    """A store that did not answer, again and again; the same may succeed later."""


class MissingExtraError(DuettoError):
    """A feature whose optional dependencies are not installed.

    Args:
        feature: What needs them; begins the message.
        extra: Name of the extra that installs them.

    Attributes:
        feature: What needs them.
        extra: Name of the extra.
    """

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs packages that are not installed. Run: pip install 'duetto[{extra}]'")
        self.feature, self.extra = feature, extra

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str]]:
        """Pickle the arguments: by default an exception is rebuilt from its message alone."""
        return type(self), (self.feature, self.extra)

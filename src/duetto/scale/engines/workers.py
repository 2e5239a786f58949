"""How many workers an engine has, and what each of them takes."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...errors import ConfigurationError
from ...utils.parallel import cores


@dataclass(frozen=True)
class Workers:
    """The workers of an engine.

    Attributes:
        number: At most so many; by default one a core of this computer.
        memory: GB of each, which Ray reserves on the machine where it runs it.

    Raises:
        ConfigurationError: One of them is not positive.
    """

    number: int = field(default_factory=cores)
    memory: float = 1.0

    def __post_init__(self) -> None:
        if self.number < 1 or not self.memory > 0:
            raise ConfigurationError(f"{self.number} workers with {self.memory} GB can do nothing; give 1 or more")

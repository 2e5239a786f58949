"""Systems by name.

NAME or TOML file ─ named ─▶ Experiment or Baseline
"""

from __future__ import annotations

from pathlib import Path

from ..baselines import BASELINES, Baseline
from ..config.experiment import SYSTEMS, Experiment, load
from ..errors import ConfigurationError


def named(system: str) -> Experiment | Baseline:
    """Look up a system.

    Args:
        system: A name in `SYSTEMS` or `BASELINES`, or a TOML experiment file.

    Returns:
        The system.

    Raises:
        ConfigurationError: It is none of these, or the file is not valid.
    """
    if system in BASELINES and system not in SYSTEMS:
        return BASELINES[system]
    if system not in SYSTEMS and not Path(system).is_file():
        raise ConfigurationError(
            f"{system!r} is no system, no baseline and no file; systems are {', '.join(SYSTEMS)}; "
            f"baselines are {', '.join(BASELINES)}; any TOML experiment file works as well"
        )
    return load(system)

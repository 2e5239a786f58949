"""Systems by name.

NAME or TOML file ─ named ─▶ Experiment, Fusion or Baseline
"""

from __future__ import annotations

from pathlib import Path

from ..baselines import BASELINES, Baseline
from ..config.experiment import SYSTEMS, Experiment, load
from ..config.fusion import FUSIONS, Fusion, is_fusion_file, load_fusion
from ..errors import ConfigurationError


def named(system: str) -> Experiment | Fusion | Baseline:
    """Look up a system.

    Args:
        system: A name in `SYSTEMS`, `FUSIONS` or `BASELINES`, or a TOML file of an experiment or a fusion.

    Returns:
        The system.

    Raises:
        ConfigurationError: It is none of these, or the file is not valid.
    """
    if system in BASELINES and system not in SYSTEMS:
        return BASELINES[system]
    if system in FUSIONS or (system not in SYSTEMS and is_fusion_file(system)):
        return load_fusion(system)
    if system not in SYSTEMS and not Path(system).is_file():
        raise ConfigurationError(
            f"{system!r} is no system, no baseline and no file; systems are {', '.join((*SYSTEMS, *FUSIONS))}; "
            f"baselines are {', '.join(BASELINES)}; any TOML experiment file works as well"
        )
    return load(system)

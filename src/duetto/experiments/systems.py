"""Systems by name.

NAME or TOML file ─ named ─▶ Experiment, Fusion or Baseline
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from ..baselines import BASELINES, Baseline
from ..config.experiment import SYSTEMS, Experiment, load
from ..config.fusion import FUSIONS, Fusion, is_fusion_file, load_fusion
from ..data.labels import classes
from ..errors import ConfigurationError

System = TypeVar("System", bound=Experiment | Fusion | Baseline)


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


def with_label_set(system: System, label_set: str) -> System:
    """Give a system the classes of a label set; its name and title stay.

    Args:
        system: Any system.
        label_set: A key of `data.labels.LABEL_SETS`, or the classes, separated by commas.

    Returns:
        The system for these classes; a fusion changes all of its branches, and a baseline takes any.

    Raises:
        ConfigurationError: The label set does not exist.
    """
    classes(label_set)
    if isinstance(system, Experiment):
        return replace(system, label_set=label_set)
    if isinstance(system, Fusion):
        return replace(system, settings=(*system.settings, f"label_set={json.dumps(label_set, ensure_ascii=False)}"))
    return system

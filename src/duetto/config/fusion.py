"""A fusion of systems that are trained by themselves: read from TOML like an experiment, which names its branches.

    fusions/fusion-calibrated.toml ─ load_fusion ─▶ Fusion ─ branch_experiments ─▶ one Experiment a branch

`FUSIONS` are the fusions that come with duetto; a TOML file with the key `branches` is one as well.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any

from ..errors import ConfigurationError
from ..utils.reading import read_toml, shortened
from .experiment import LEAKING_CHOICE, SYSTEMS, Experiment, load, with_overrides
from .fields import Percentage, field_types, from_values, whole

FUSIONS: dict[str, Path] = {
    path.stem: path for path in sorted((Path(__file__).parent / "fusions").glob("*.toml"), key=lambda path: path.stem)
}
"""Name of a fusion that comes with duetto → its file: every TOML file in `config/fusions`."""

MOST_BRANCHES = 8
"""Branches of a fusion at most: weights are fitted for every combination of branches that can drop out."""

BRANCH_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
"""What a branch may be called: its name is a folder in the run and in the exported model."""

BRANCHES = "branches"
"""Folder of the branches, in the folder of a trained or exported fusion."""

_NAMES = ("name", "title")


@dataclass(frozen=True)
class Fusion:
    """Everything that defines a fusion, apart from data, seed and device.

    Raises:
        ConfigurationError: A value is not valid.
    """

    name: str
    """Name of the fusion: the stem of its file, and the folder of its runs."""

    title: str
    """Its name in tables and reports."""

    branches: tuple[str, ...]
    """The systems that are fused, each a key of `config.experiment.SYSTEMS` or a TOML experiment file."""

    paper_ua: Percentage | None = None
    """Unweighted accuracy that the paper reports, in percent; None for a fusion that is not in its tables."""

    inner_folds: Annotated[int, whole(2, 100)] = 5
    """Parts into which the speakers of the training part are divided; as many as there are speakers at most. Each
    branch is trained once more without each part, and its posteriors there calibrate and weigh it. 5 is ours."""

    settings: tuple[str, ...] = ()
    """`KEY=VALUE` each, changed in the experiment of every branch."""

    def __post_init__(self) -> None:
        for key, accepted in field_types(Fusion).items():
            if problem := accepted.problem(key, getattr(self, key)):
                raise ConfigurationError(problem)
        if not 2 <= len(self.branches) <= MOST_BRANCHES:
            raise ConfigurationError(
                f"branches = {shortened(list(self.branches))} names {len(self.branches)}; give 2 to {MOST_BRANCHES}"
            )


def branch_experiments(fusion: Fusion, others: Collection[str] = ()) -> tuple[Experiment, ...]:
    """Load the branches of a fusion.

    Args:
        fusion: The fusion.
        others: Names of systems that are no experiments (the baselines), for the error that names one.

    Returns:
        The experiment of each branch, with the fusion's settings; their names are distinct and fit as folders.

    Raises:
        ConfigurationError: A branch is no system, is a baseline or a fusion itself, selects its epoch on test data, or
            two branches have the same name or different classes.
    """
    found: list[Experiment] = []
    for branch in fusion.branches:
        if branch not in SYSTEMS and branch in others:
            raise ConfigurationError(
                f"branch {branch!r} of {fusion.name!r} is a baseline, which can't be a branch; "
                f"choose from {', '.join(SYSTEMS)}, or an experiment file"
            )
        if branch in FUSIONS or is_fusion_file(branch):
            raise ConfigurationError(f"branch {branch!r} of {fusion.name!r} is a fusion itself; name its branches")
        original = load(branch)
        changed = with_overrides(original, fusion.settings)
        found.append(replace(changed, name=original.name, title=original.title))
    _check(fusion, found)
    return tuple(found)


def _check(fusion: Fusion, branches: Sequence[Experiment]) -> None:
    first = branches[0]
    names = [e.name for e in branches]
    for e in branches:
        if not BRANCH_NAME.fullmatch(e.name):
            raise ConfigurationError(
                f"branch {e.name!r} of {fusion.name!r} names no folder; give it a name of letters, digits, . _ and -"
            )
        if names.count(e.name) > 1:
            raise ConfigurationError(f"two branches of {fusion.name!r} are called {e.name!r}; rename one")
        if e.label_set != first.label_set:
            raise ConfigurationError(
                f"branches {first.name!r} and {e.name!r} of {fusion.name!r} have label sets {first.label_set!r} and "
                f"{e.label_set!r}; they must be the same"
            )
        if e.epoch_choice == LEAKING_CHOICE:
            raise ConfigurationError(
                f"branch {e.name!r} of {fusion.name!r} selects its epoch on test data; set its epoch_choice to "
                "development or last"
            )


def is_fusion_file(path: str | Path) -> bool:
    """Check whether a TOML file describes a fusion rather than an experiment.

    Args:
        path: Of any file; what cannot be read is no fusion.

    Returns:
        Whether it has the key `branches`.
    """
    try:
        return Path(path).is_file() and "branches" in read_toml(Path(path), error=ConfigurationError)
    except ConfigurationError:
        return False


def fusion_from_mapping(values: Mapping[str, Any], where: str) -> Fusion:
    """Make a `Fusion` of TOML or JSON values.

    Args:
        values: Key → value; keys with a default may be missing.
        where: Opens the message of every error, such as the name of the file.

    Returns:
        The fusion.

    Raises:
        ConfigurationError: A key is unknown or missing, or a value is not valid.
    """
    return from_values(Fusion, values, where)


def load_fusion(name: str | Path) -> Fusion:
    """Load a fusion.

    Args:
        name: A key of `FUSIONS`, or the path of a TOML file.

    Returns:
        The fusion.

    Raises:
        ConfigurationError: There is no such fusion or file, or it is not valid.
    """
    path = FUSIONS.get(str(name), Path(name))
    if not path.is_file():
        raise ConfigurationError(f"{str(name)!r} is neither a fusion nor a file; fusions are {', '.join(FUSIONS)}")
    return fusion_from_mapping(read_toml(path, error=ConfigurationError), str(path))


def fusion_with_overrides(fusion: Fusion, overrides: Sequence[str]) -> Fusion:
    """Change a fusion, as `duetto train --set` does.

    Args:
        fusion: What to change.
        overrides: `KEY=VALUE` each. A key of `Fusion` changes the fusion; any other changes that key of every branch.

    Returns:
        The changed fusion; its name and title list the overrides.

    Raises:
        ConfigurationError: An override is not of this form, or not valid.
    """
    if not overrides:
        return fusion
    values: dict[str, Any] = {}
    settings = list(fusion.settings)
    for override in overrides:
        key, equals, text = (part.strip() for part in override.partition("="))
        if not equals or key in _NAMES:
            raise ConfigurationError(f"setting {override!r} is not valid; give KEY=VALUE, such as inner_folds=3")
        if key in field_types(Fusion):
            values[key] = _value(key, text)
        else:
            settings.append(f"{key}={text}")
    suffix = ", ".join(" ".join(override.split()) for override in overrides)
    names = {"name": f"{fusion.name} ({suffix})", "title": f"{fusion.title} ({suffix})"}
    known = {field.name: getattr(fusion, field.name) for field in fields(fusion)}
    return fusion_from_mapping({**known, "settings": settings, **values, **names}, "setting")


def _value(key: str, text: str) -> Any:
    """The TOML value of a setting; a list may be given as names with commas between them."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError, KeyError):
        return [part.strip() for part in text.split(",")] if key in ("branches", "settings") else text

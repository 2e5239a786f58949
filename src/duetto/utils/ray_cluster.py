"""Ray: the cluster that RAY_ADDRESS names, or one of this computer. The only module that starts it.

connected ─▶ ray        each(function, items) ─▶ what each of them returned
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from ..errors import MissingExtraError

T = TypeVar("T")
R = TypeVar("R")

_RETRIES = 3
"""So often a task is started again whose machine is gone."""


@contextlib.contextmanager
def connected(cores: int) -> Iterator[Any]:
    """Connect to a cluster for the block.

    Args:
        cores: Of the cluster of this computer, where RAY_ADDRESS names none.

    Yields:
        The package `ray`, connected: to what this process is connected to already, the cluster of RAY_ADDRESS, or one
        that is started here and ends with the block.

    Raises:
        MissingExtraError: Ray is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("Ray", "scale") from error
    if ray.is_initialized():
        yield ray
        return
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if "RAY_ADDRESS" not in os.environ:  # "local": not one that happens to run on this computer
        quiet |= {"address": "local", "num_cpus": cores, "include_dashboard": False}
    ray.init(**quiet)
    try:
        yield ray
    finally:
        ray.shutdown()


def each(function: Callable[[T], R], items: Sequence[T], cores: int) -> Iterator[R]:
    """Call a function for each item, as a task of Ray with a core.

    Args:
        function: Can be pickled, as the items can.
        items: Its arguments.
        cores: See `connected`.

    Yields:
        What it returned, in the order in which tasks end.

    Raises:
        MissingExtraError: Ray is not installed.
        Exception: What the function raised; the other tasks are cancelled.
    """
    with connected(cores) as ray:
        # A function of its own, since Ray takes no `functools.partial`.
        task = ray.remote(num_cpus=1, max_retries=_RETRIES)(lambda item: function(item))
        waiting = [task.remote(item) for item in items]
        try:
            while waiting:
                (done, *_), waiting = ray.wait(waiting)
                yield ray.get(done)
        except ray.exceptions.RayTaskError as error:
            for other in waiting:
                ray.cancel(other)
            raise error.cause from None

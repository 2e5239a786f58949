"""TensorBoard logs of a training."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import ConfigurationError


@contextmanager
def summary_writer(folder: Path, epoch: int) -> Iterator[Any]:
    """Open TensorBoard's writer.

    An error in its thread (a full disk) is raised where the writer is used, and is not printed as well.

    Args:
        folder: Of the training; the logs go to `tensorboard/` in it.
        epoch: Steps from this one on are replaced.

    Yields:
        The `SummaryWriter`.

    Raises:
        ConfigurationError: The folder's name is not valid UTF-8.
    """
    from torch.utils.tensorboard import SummaryWriter

    try:
        str(folder).encode()
    except UnicodeEncodeError as error:
        raise ConfigurationError(f"{folder}: TensorBoard writes only where names are UTF-8; choose another") from error

    def others(args: threading.ExceptHookArgs) -> None:
        if not _is_of_tensorboard(args.thread):
            print_error(args)

    print_error, threading.excepthook = threading.excepthook, others
    try:
        with SummaryWriter(str(folder / "tensorboard"), purge_step=epoch) as writer:
            yield writer
    except OSError:
        for thread in filter(_is_of_tensorboard, threading.enumerate()):
            thread.join(1)  # it may not have raised yet
        raise
    finally:
        threading.excepthook = print_error


def _is_of_tensorboard(thread: threading.Thread | None) -> bool:
    return type(thread).__module__.startswith("tensorboard.")

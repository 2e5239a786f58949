"""The training loop of emotion models and of Speech2Vec.

    Task (batches, loss, development score) + TrainingConfig ─ fit ─▶ folder/model.safetensors, History

It uses Lightning Fabric, and so runs on CPU, CUDA and several processes alike. After every epoch, weights, best
weights, optimiser and history are saved in one checkpoint. Everything random in an epoch is derived from (seed, epoch),
so on a CPU a training that was killed resumes to exactly the same result.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..config.accelerators import ACCELERATORS
from ..errors import ConfigurationError, DuettoError, ModelError
from ..metrics import best_index
from ..utils import parallel
from ..utils.progress import Progress
from ..utils.reading import Record, finite
from . import checkpoint
from .tensorboard import summary_writer

log = logging.getLogger(__name__)

LAST, CHOSEN = "last.safetensors", "model.safetensors"
"""Checkpoints of the last epoch, and of the chosen weights of a finished training."""


class Task(Protocol):
    """Data and loss of what `fit` trains."""

    def batches(self, epoch: int) -> Sequence[Any]:
        """Make the training batches of an epoch.

        Args:
            epoch: From 0.

        Returns:
            The batches; they depend on the task's own seed and `epoch` alone.
        """
        ...

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        """Compute the loss of one batch.

        Args:
            model: What is trained.
            batch: One of `batches`, not necessarily on the model's device.

        Returns:
            Its mean loss, a scalar.
        """
        ...

    def develop(self, model: nn.Module) -> dict[str, float]:
        """Score the model on development data.

        Args:
            model: In evaluation mode.

        Returns:
            Figures by name; `score` must be among them, higher is better.
        """
        ...


_OPTIMISERS = ("adam", "sgd")


@dataclass(frozen=True)
class TrainingConfig:
    """How to train.

    Attributes:
        epochs: Passes over the training data.
        learning_rate: Constant over all epochs.
        optimiser: `adam`, or `sgd` (without momentum).
        patience: Epochs without a better development score before training stops; 0 never stops early.
        choice: The epoch whose weights are kept: `development` (best score; the earliest of equals, see
            `metrics.TIE_TOLERANCE`) or `last`.
        clip: Largest gradient norm; 0 does not clip.
        seed: Everything random follows from it.
        accelerator: As Lightning Fabric names it.
        devices: Number of processes, each on a device of its own.
        precision: As Lightning Fabric names it.
        threads: Of each process on the CPU. The steps of a recurrence are too small to gain much from more, and lose a
            lot from more where other work shares the cores.
    """

    epochs: int = 20
    learning_rate: float = 1e-3
    optimiser: str = "adam"
    patience: int = 0
    choice: str = "development"
    clip: float = 0.0
    seed: int = 0
    accelerator: str = "cpu"
    devices: int = 1
    precision: str = "32-true"
    threads: int = 1

    def __post_init__(self) -> None:
        if self.optimiser not in _OPTIMISERS:
            raise ConfigurationError(f"optimiser {self.optimiser!r} is not known; choose {' or '.join(_OPTIMISERS)}")
        if not 0 < self.learning_rate < math.inf:
            raise ConfigurationError(f"learning_rate = {self.learning_rate} is not valid; give a number above 0")


@dataclass(frozen=True)
class History:
    """The course of a training.

    Attributes:
        epochs: Of each epoch: `epoch`, `loss`, and the figures of `Task.develop`.
        chosen: The epoch whose weights are kept, from 0.
    """

    epochs: tuple[dict[str, float], ...]
    chosen: int


def derive(*parts: int | str) -> int:
    """Derive a seed.

    Args:
        parts: Of what the seed is for.

    Returns:
        A 63-bit number; unrelated for different parts.
    """
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=8).digest(), "big") >> 1


def set_num_threads(threads: int = TrainingConfig.threads) -> None:
    """Set PyTorch's thread count.

    Call it before weights are initialised: the last digits of a sum depend on the number of threads, and a process may
    start with any number.

    Args:
        threads: Of this process.
    """
    torch.set_num_threads(threads)


def check_accelerator(name: str) -> None:
    """Check that an accelerator can be used.

    Args:
        name: One of `ACCELERATORS`.

    Raises:
        ConfigurationError: It is not known, or not available on this machine.
    """
    if name not in ACCELERATORS:
        raise ConfigurationError(f"accelerator {name!r} is not known; choose from {', '.join(ACCELERATORS)}")
    available = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
    if name in available and not available[name]():
        raise ConfigurationError(f"PyTorch finds no {name} device on this machine; use --accelerator cpu")


def fit(
    model: nn.Module, task: Task, config: TrainingConfig, folder: Path, *, progress: Progress | None = None
) -> History:
    """Train a model; afterwards it has the chosen weights, which are also saved in the folder.

    Args:
        model: Is trained in place.
        task: Data and loss.
        config: How to train.
        folder: For checkpoints (`LAST`, `CHOSEN`) and TensorBoard logs. A training in it is resumed; one that is
            finished is only loaded.
        progress: Counts steps; not called where several processes train.

    Returns:
        The course of the training.

    Raises:
        DuettoError: The loss is not finite.
        ModelError: The folder holds a training with another configuration or model, or a damaged checkpoint.
    """
    from lightning.fabric import Fabric

    _quieten()
    if config.devices == 1:
        fabric = Fabric(accelerator=config.accelerator, devices=1, precision=config.precision)  # type: ignore[arg-type]
        _run(fabric, model, task, config, folder, progress)
    else:
        method = "ddp_fork" if config.accelerator == "cpu" else "ddp_spawn"
        fabric = Fabric(
            accelerator=config.accelerator,
            devices=config.devices,
            strategy=method,
            precision=config.precision,  # type: ignore[arg-type]
        )
        with parallel.ending_children():
            fabric.launch(partial(_run, model=model, task=task, config=config, folder=folder, progress=None))
    tensors, meta = checkpoint.load(folder / CHOSEN)
    _check_shapes(meta, tensors, model)
    model.load_state_dict(tensors)
    history = _history(meta)
    return History(history, meta.integer("chosen", low=0, high=len(history) - 1))


def _history(meta: Record) -> tuple[Any, ...]:
    """The figures of each epoch in a checkpoint."""
    history = tuple(meta.items_of("history"))
    if not all(isinstance(epoch, dict) and finite(epoch.get("score")) is not None for epoch in history):
        raise meta.wrong("'history' must be a list of epochs, each with its score")
    return history


def _check_shapes(meta: Record, tensors: Mapping[str, Tensor], model: nn.Module) -> None:
    """A ModelError where a checkpoint's tensors are not those of a model."""
    if {n: t.shape for n, t in tensors.items()} != {n: t.shape for n, t in model.state_dict().items()}:
        raise meta.wrong("its tensors are not those of this model")


def _quieten() -> None:
    """Silence the settings that Fabric logs."""
    for name in ("lightning.fabric", "lightning.fabric.utilities.seed", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _run(
    fabric: Any, model: nn.Module, task: Task, config: TrainingConfig, folder: Path, progress: Progress | None
) -> None:
    """Train in one process of possibly several."""
    if fabric.world_size > 1:
        parallel.end_with_parent()
    set_num_threads(config.threads)
    state = _State.begin(model, config, folder)
    if state.finished:
        return
    wrapped, optimiser = fabric.setup(model, _optimiser(model, config))
    state.restore(model, optimiser)
    with ExitStack() as stack:
        writer = stack.enter_context(summary_writer(folder, state.epoch)) if fabric.is_global_zero else None
        while state.epoch < config.epochs and not state.stopped:
            torch.manual_seed(derive(config.seed, "epoch", state.epoch, fabric.global_rank))
            loss = _epoch(fabric, wrapped, task, optimiser, config, state.epoch, progress)
            model.eval()
            with torch.no_grad():
                figures = task.develop(model)
            state.advance(model, {"epoch": state.epoch, "loss": loss, **figures})
            if writer is not None:
                for name, value in state.history[-1].items():
                    writer.add_scalar(name, value, state.epoch)
                checkpoint.save(folder / LAST, state.tensors(model, optimiser), state.meta())
            fabric.barrier()
    if fabric.is_global_zero:
        chosen = state.best if config.choice == "development" else dict(model.state_dict())
        checkpoint.save(folder / CHOSEN, chosen, {**state.meta(), "chosen": state.chosen})
    fabric.barrier()


def _epoch(
    fabric: Any,
    model: Any,
    task: Task,
    optimiser: torch.optim.Optimizer,
    config: TrainingConfig,
    epoch: int,
    progress: Progress | None,
) -> float:
    """One pass over this process' share of the batches; returns its mean loss."""
    model.train()
    batches = task.batches(epoch)
    # Every process takes the same number of steps, so the last incomplete round is shared by wrapping.
    share = [
        batches[i % len(batches)] for i in range(fabric.global_rank, _rounded(len(batches), fabric), fabric.world_size)
    ]
    total = torch.zeros((), device=fabric.device)
    for step, batch in enumerate(share):
        optimiser.zero_grad(set_to_none=True)
        loss = task.loss(model, batch)
        fabric.backward(loss)
        if config.clip:
            fabric.clip_gradients(model, optimiser, max_norm=config.clip)
        optimiser.step()
        total += loss.detach()
        if progress:
            progress(epoch * len(share) + step + 1, config.epochs * len(share))
    mean = float(fabric.all_reduce(total / len(share), reduce_op="mean"))
    if not math.isfinite(mean):
        raise DuettoError(
            f"the training loss became {mean} in epoch {epoch + 1}; lower the learning rate "
            f"({config.learning_rate}) or check the features for values that are not numbers"
        )
    return mean


def _rounded(n: int, fabric: Any) -> int:
    return -(-n // fabric.world_size) * fabric.world_size


def _optimiser(model: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    if config.optimiser == "adam":
        # Keras' epsilon. One pass over all weights; on other devices PyTorch takes its fastest form by itself.
        fused = True if config.accelerator == "cpu" else None
        return torch.optim.Adam(model.parameters(), lr=config.learning_rate, eps=1e-7, fused=fused)
    return torch.optim.SGD(model.parameters(), lr=config.learning_rate)


class _State:
    """Progress of a training: what a checkpoint holds besides weights and optimiser."""

    def __init__(self, config: TrainingConfig) -> None:
        self.config = config
        self.epoch = 0
        self.history: list[dict[str, float]] = []
        self.best: dict[str, Tensor] = {}
        self.best_epoch = -1
        self.finished = False
        self._tensors: dict[str, Tensor] = {}

    @classmethod
    def begin(cls, model: nn.Module, config: TrainingConfig, folder: Path) -> _State:
        """Load the state from a folder, or begin; refuse a folder of another configuration or model."""
        state = cls(config)
        if not (folder / LAST).is_file():
            return state
        tensors, meta = checkpoint.load(folder / LAST)
        shapes = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
        if meta["config"] != asdict(config) or meta["shapes"] != shapes:
            raise ModelError(f"{folder}: trained with other settings; choose another folder, or delete this one")
        state.history = list(_history(meta))
        state.epoch = meta.integer("epoch", low=len(state.history), high=len(state.history))
        state.best_epoch = meta.integer("best_epoch", low=-1, high=state.epoch - 1)
        state.best = checkpoint.with_prefix("best", tensors)
        for saved in (state.best, checkpoint.with_prefix("model", tensors)):
            _check_shapes(meta, saved, model)
        state._tensors = tensors
        state.finished = (folder / CHOSEN).is_file()
        return state

    def restore(self, model: nn.Module, optimiser: Any) -> None:
        """Load the checkpoint's weights and optimiser slots, if there is one."""
        if not self._tensors:
            return
        model.load_state_dict(checkpoint.with_prefix("model", self._tensors))
        slots = checkpoint.with_prefix("optimiser", self._tensors)
        optimiser.load_state_dict(checkpoint.restore_optimiser(optimiser.state_dict(), slots))
        self._tensors = {}

    def advance(self, model: nn.Module, record: dict[str, float]) -> None:
        """Record an epoch's figures, and its weights if they are the best so far."""
        self.history.append(record)
        if self.best_epoch < 0 or best_index([self.history[self.best_epoch]["score"], record["score"]]):
            self.best_epoch = self.epoch
            self.best = {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
        self.epoch += 1
        log.info("epoch %d: %s", self.epoch, record)

    @property
    def stopped(self) -> bool:
        return bool(self.config.patience) and self.epoch - 1 - self.best_epoch >= self.config.patience

    @property
    def chosen(self) -> int:
        return self.best_epoch if self.config.choice == "development" else self.epoch - 1

    def tensors(self, model: nn.Module, optimiser: Any) -> dict[str, Tensor]:
        return {
            **checkpoint.prefixed("model", model.state_dict()),
            **checkpoint.prefixed("best", self.best),
            **checkpoint.prefixed("optimiser", checkpoint.flatten_optimiser(optimiser.state_dict())),
        }

    def meta(self) -> dict[str, Any]:
        return {
            "config": asdict(self.config),
            "shapes": {name: list(tensor.shape) for name, tensor in self.best.items()},
            "epoch": self.epoch,
            "best_epoch": self.best_epoch,
            "history": self.history,
        }

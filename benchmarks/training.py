"""One training epoch of the fusion system, beside PyTorch and Keras; and what the two recurrent masks are worth.

    python benchmarks/training.py                                              # the epoch
    python benchmarks/training.py --data $DUETTO_DATA --write                  # both, into RESULTS.md
    python benchmarks/training.py --only masks --data $DUETTO_DATA
    python benchmarks/training.py --only speed --accelerator cuda              # every side on the GPU

Data: random features and words of IEMOCAP's size, 5,531 utterances whose seconds are log-normal (mean 4.55, median
3.58), at most 200 frames; 11 words on average. All sides train the same layers with Adam in batches of 32, each a
share of the epoch's batches, scaled; they take turns. duetto's side is its own loop with all it does, including the
checkpoint. Gradients that die out over long padding become denormal numbers, on which processors are slow; the others
run as they come and with these taken as zero (`torch.set_flush_denormal`), duetto as it comes. With one thread
processor time is taken, which other work on the machine hardly touches; with more, or on a GPU, time on the wall, until
the GPU has done all. The side of Keras needs the extra `bench` and is left out visibly without it.
"""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from harness import alternate, parser, publish, table
from torch import Tensor, nn

from duetto import corpora, training
from duetto.config import experiment
from duetto.config.model import ModelConfig
from duetto.data.labels import selected
from duetto.embeddings.vocabulary import Vocabulary
from duetto.experiments.fold_inputs import fold_inputs
from duetto.experiments.workspace import Workspace
from duetto.models.emotion import EmotionModel
from duetto.preprocessing import Normaliser, Preprocessor, pad
from duetto.splits import folds
from duetto.training import loop

UTTERANCES, MEAN, MEDIAN, WORDS = 5531, 4.55, 3.58, 11
"""IEMOCAP, four classes: utterances, mean and median seconds, words an utterance."""
TYPES, BATCH, FRAMES, LONGEST = 3000, 32, 200, 128
SHARE = {"duetto": 6, "plain": 32, "keras": 64}
"""One in so many batches is run in a turn of each kind of side."""


def corpus(seed: int = 0) -> training.Inputs:
    """Random utterances of the stated lengths."""
    rng = np.random.default_rng(seed)
    seconds = MEDIAN * np.exp(math.sqrt(2 * math.log(MEAN / MEDIAN)) * rng.standard_normal(UTTERANCES))
    frames = [rng.standard_normal((math.ceil(10 * s), 34)).astype(np.float32) for s in seconds]
    words = [rng.integers(2, TYPES, max(1, rng.poisson(WORDS * s / MEAN))) for s in seconds]
    return training.Inputs(frames, words, rng.integers(0, 4, UTTERANCES))


class Task(training.EmotionTask):
    """A share of the batches of an `EmotionTask`, without development data: what is timed is training."""

    def batches(self, epoch: int) -> list[np.ndarray]:
        """One batch in so many; they come in a random order of lengths."""
        return super().batches(epoch)[:: SHARE["duetto"]]

    def develop(self, model: nn.Module) -> dict[str, float]:
        """Nothing is looked at."""
        return {"score": 0.0}


def duetto(inputs: training.Inputs, mask: str, threads: int, accelerator: str) -> Callable[[], object]:
    """A share of an epoch by `training.fit`."""
    chosen = experiment.load("fusion-random", recurrent_mask=mask)
    vocabulary = Vocabulary(tuple(f"w{i}" for i in range(TYPES)))
    preprocessor = Preprocessor(chosen, Normaliser.identity(34), vocabulary, Normaliser.identity(50))
    task = Task(preprocessor, inputs, inputs, seed=0)
    model = EmotionModel(ModelConfig(recurrent_mask=mask), torch.randn(TYPES + 2, 50))
    config = loop.TrainingConfig(epochs=1, threads=threads, accelerator=accelerator)

    def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            loop.fit(model, task, config, Path(folder))

    return run


class Plain(nn.Module):
    """The fusion system of `nn.LSTM`s, without recurrent dropout; padding is read along."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(TYPES + 2, 50)
        self.encoders = nn.ModuleList(nn.LSTM(n, 128, bidirectional=True, batch_first=True) for n in (34, 50))
        self.dense = nn.ModuleList(nn.Linear(256, 256) for _ in range(2))
        self.head = nn.Sequential(nn.Linear(512, 256), nn.ReLU(), nn.Dropout(0.3), nn.Linear(256, 4))
        self.dropout = nn.Dropout(0.3)

    def forward(self, frames: Tensor, words: Tensor) -> Tensor:
        """Logits."""
        encoded = []
        for lstm, dense, x in zip(self.encoders, self.dense, (frames, self.embedding(words)), strict=True):
            _, (h, _) = lstm(x)
            encoded.append(self.dropout(torch.relu(dense(torch.cat((h[0], h[1]), -1)))))
        return self.head(torch.cat(encoded, -1))


def batches(inputs: training.Inputs, every: int, padding: str) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Shuffled batches, one in `every`: frames, words, targets. `packed`: to the batch's longest; `post`: to the
    longest allowed."""
    assert inputs.frames is not None and inputs.words is not None
    order = np.random.default_rng(1).permutation(UTTERANCES)
    made = []
    for start in range(0, UTTERANCES - BATCH, BATCH * every):
        index = order[start : start + BATCH]
        frames = pad([inputs.frames[i] for i in index], padding=padding, maximum=FRAMES).values
        words = pad([inputs.words[i] for i in index], padding=padding, maximum=LONGEST).values
        made.append((frames, words, inputs.target[index]))
    return made


def plain(inputs: training.Inputs, padding: str, threads: int, device: str) -> Callable[[], object]:
    """A share of an epoch of `Plain`, in the loop that one writes."""
    model = Plain().to(device)
    optimiser = torch.optim.Adam(model.parameters())
    share = [tuple(map(torch.from_numpy, batch)) for batch in batches(inputs, SHARE["plain"], padding)]

    def run() -> None:
        torch.set_num_threads(threads)
        for batch in share:
            frames, words, target = (part.to(device) for part in batch)
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(frames, words), target).backward()
            optimiser.step()

    return run


def keras_side(inputs: training.Inputs, threads: int) -> Callable[[], object] | None:
    """A share of an epoch of the same layers in Keras, with recurrent dropout; None where it is not installed."""
    os.environ["KERAS_BACKEND"] = "torch"
    try:
        import keras  # type: ignore[import-not-found]
    except ImportError:
        return None
    layers = keras.layers
    given = [keras.Input((FRAMES, 34)), keras.Input((LONGEST,), dtype="int64")]
    encoded = []
    for x in (given[0], layers.Embedding(TYPES + 2, 50)(given[1])):
        last = layers.Bidirectional(layers.LSTM(128, recurrent_dropout=0.2))(x)
        encoded.append(layers.Dropout(0.3)(layers.Dense(256, "relu")(last)))
    dense = layers.Dropout(0.3)(layers.Dense(256, "relu")(layers.Concatenate()(encoded)))
    model = keras.Model(given, layers.Dense(4)(dense))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    share = batches(inputs, SHARE["keras"], "post")

    def run() -> None:
        torch.set_num_threads(threads)
        for frames, words, target in share:
            model.train_on_batch([frames, words], target)

    return run


def flushed(run: Callable[[], object]) -> Callable[[], object]:
    """The side with denormal numbers taken as zero: gradients that die out over padding meet many of them."""

    def with_flush() -> None:
        torch.set_flush_denormal(True)
        run()
        torch.set_flush_denormal(False)

    return with_flush


def speed(repetitions: int, threads: int, accelerator: str) -> list[str]:
    """What was timed, and the table of seconds."""
    inputs = corpus()
    sides = {
        name: (run if run is None or accelerator == "cpu" else synchronised(run), every)
        for name, (run, every) in _sides(inputs, threads, accelerator).items()
    }
    whole = math.ceil(UTTERANCES / BATCH)
    run = {name: math.ceil(whole / every) for name, (_, every) in sides.items()}
    present = {name: side for name, (side, _) in sides.items() if side is not None}
    processor = threads == 1 and accelerator == "cpu"
    taken = alternate(present, repetitions, clock=time.process_time if processor else time.perf_counter)
    epoch = {name: seconds * whole / run[name] for name, seconds in taken.items()}
    own = list(epoch.values())[:2]
    rows = [
        [name, run[name], seconds, round(UTTERANCES / seconds), *(f"{seconds / other:.1f}" for other in own)]
        if (seconds := epoch.get(name))
        else [name, "not installed: `pip install keras`", "", "", "", ""]
        for name in sides
    ]
    kind = "Processor seconds" if processor else "Seconds"
    where = "" if accelerator == "cpu" else f" on {torch.cuda.get_device_name()}"
    return [
        f"{kind} of an epoch of {UTTERANCES:,} utterances, {whole} batches{where}; {threads} thread(s), median of "
        f"{repetitions} turns, scaled from the batches run in a turn.",
        table(["side", "batches run", "seconds", "utterances a second", "÷ `per-sample`", "÷ `shared`"], rows),
    ]


def _sides(
    inputs: training.Inputs, threads: int, accelerator: str
) -> dict[str, tuple[Callable[[], object] | None, int]]:
    """What runs under each name, None where it is not installed, and of how many batches it runs one."""
    keras = keras_side(inputs, threads)
    torch_name = "PyTorch `nn.LSTM`, no recurrent dropout, padded to 200 and 128"
    keras_name = "Keras on PyTorch, recurrent dropout 0.2, padded to 200 and 128"

    def torch_side(padding: str = "post") -> Callable[[], object]:  # anew for each: training changes how many denormals
        return plain(inputs, padding, threads, accelerator)

    own: dict[str, tuple[Callable[[], object] | None, int]] = {
        f"duetto, `{mask}`": (duetto(inputs, mask, threads, accelerator), SHARE["duetto"])
        for mask in ("per-sample", "shared")
    }
    if accelerator != "cpu":  # a GPU is no slower on denormal numbers
        return own | {
            torch_name: (torch_side(), SHARE["plain"]),
            "the same, to the batch's longest": (torch_side("packed"), SHARE["plain"]),
            keras_name: (keras, SHARE["keras"]),
        }
    return own | {
        f"{torch_name}; denormals flushed": (flushed(torch_side()), SHARE["plain"]),
        "the same, to the batch's longest": (flushed(torch_side("packed")), SHARE["plain"]),
        f"{torch_name}; as it comes": (torch_side(), SHARE["plain"]),
        f"{keras_name}; denormals flushed": (keras and flushed(keras), SHARE["keras"]),
        f"{keras_name}; as it comes": (keras, SHARE["keras"]),
    }


def synchronised(run: Callable[[], object]) -> Callable[[], object]:
    """The side until the GPU has done all that it was given."""

    def until_done() -> None:
        run()
        torch.cuda.synchronize()

    return until_done


def masks(data: Path, seeds: int) -> list[str]:
    """What was trained, and UA of development speakers at the last epoch, with either mask. No test data are read."""
    utterances = selected(corpora.load("emodb", data / "emodb"))
    parts = folds("speaker", utterances)
    base = experiment.load("acoustic", normalisation="speaker", epoch_choice="last")
    found: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        workspace = Workspace(root)
        features = workspace.features(base, utterances)
        given = [fold_inputs(base, fold, features, workspace) for fold in parts]
        for mask in ("per-sample", "shared"):
            chosen = replace(base, recurrent_mask=mask)
            found[mask] = np.array(
                [
                    [_development(chosen, inputs, root / f"{mask}-{f}-{seed}", seed) for seed in range(seeds)]
                    for f, inputs in enumerate(given)
                ]
            )
    difference = found["shared"] - found["per-sample"]
    rows = [_row(mask, ua) for mask, ua in found.items()] + [_row("`shared` − `per-sample`", difference)]
    return [
        f"EmoDB, four classes, {len(utterances)} utterances; acoustic system, normalised by speaker, last epoch; "
        f"protocol `speaker`, {len(parts)} folds × {seeds} seeds; UA on the development speakers of each fold. "
        "Intervals: 95 %, bootstrap over folds and seeds.",
        table(["mask", "development UA %"], rows),
    ]


def _development(chosen: experiment.Experiment, inputs: training.FoldInputs, folder: Path, seed: int) -> float:
    outcome = training.train(chosen, inputs, folder, seed=seed)
    return outcome.history.epochs[-1]["development_ua"]


def _row(name: str, ua: np.ndarray) -> list[object]:
    """ua (folds, seeds) as a share."""
    rng = np.random.default_rng(0)
    n_folds, n_seeds = ua.shape
    drawn = [ua[rng.integers(0, n_folds, n_folds)][:, rng.integers(0, n_seeds, n_seeds)].mean() for _ in range(10_000)]
    low, high = 100 * np.percentile(drawn, [2.5, 97.5])
    return [name, f"{100 * ua.mean():.1f} [{low:.1f}, {high:.1f}]"]


def main() -> None:
    """Parse the command line, measure, publish."""
    line = parser(__doc__, data="folder that holds emodb, for masks")
    line.add_argument("--only", choices=("speed", "masks"), help="one of the two; masks are skipped without --data")
    line.add_argument("--repetitions", type=int, default=3, help="of speed")
    line.add_argument("--threads", type=int, default=1, help="of speed")
    line.add_argument("--accelerator", choices=("cpu", "cuda"), default="cpu", help="of speed")
    line.add_argument("--seeds", type=int, default=10, help="of masks")
    options = line.parse_args()
    if options.only == "masks" and not options.data:
        line.error("masks needs --data, a folder that holds emodb")
    if options.only != "masks":
        found = speed(options.repetitions, options.threads, options.accelerator)
        packages = ("numpy", "torch", "lightning", "keras")
        name = f"Training: an epoch of the fusion system{f', {n} threads' if (n := options.threads) > 1 else ''}"
        name += "" if options.accelerator == "cpu" else f", {options.accelerator}"
        publish(name, found, packages=packages, into=options.write)
    if options.only != "speed" and options.data:
        found = masks(options.data, options.seeds)
        publish("Training: recurrent masks", found, packages=("numpy", "torch"), into=options.write)
    elif options.only != "speed":
        print("Skipped: recurrent masks; give --data $DUETTO_DATA")


if __name__ == "__main__":
    main()

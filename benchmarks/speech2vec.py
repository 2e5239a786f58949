"""Words a second in training of Speech2Vec: beside the straightforward way, and as the corpus grows.

    python benchmarks/speech2vec.py --write

Data: random MFCC in a memory-mapped file, utterances of 11 words of 0.1 to 0.7 s. Straightforward: every pair of
a word and its neighbour is encoded and decoded by itself, both padded to the longest, with `nn.LSTM`. Times are
processor time of one thread. Peak memory is that of a fresh process for each size.
"""

from __future__ import annotations

import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from harness import alternate, parser, publish, table
from torch import Tensor, nn

from duetto.embeddings.spoken_words import MAX_WORD_FRAMES, Segments
from duetto.models.speech2vec import Speech2Vec, Speech2VecConfig
from duetto.preprocessing import Normaliser
from duetto.training.speech2vec import Speech2VecTask

WORDS_IN_UTTERANCE, SHORTEST, LONGEST, BATCH = 11, 10, 70, 128


def corpus(folder: Path, words: int, seed: int = 0) -> Segments:
    """So many spoken words in a memory-mapped file in `folder`."""
    rng = np.random.default_rng(seed)
    utterances = -(-words // WORDS_IN_UTTERANCE)
    lengths = rng.integers(SHORTEST, LONGEST + 1, (utterances, WORDS_IN_UTTERANCE))
    last = lengths.cumsum(1)
    ends = last[:, -1].cumsum()
    path = folder / "mfcc.npy"
    stored = np.lib.format.open_memmap(path, "w+", np.float32, (int(ends[-1]), 13))
    for begin, end in zip(ends - last[:, -1], ends, strict=True):
        stored[begin:end] = rng.standard_normal((end - begin, 13))
    del stored
    flat = np.load(path, mmap_mode="r")
    ids = tuple(f"u{i}" for i in range(utterances))
    frames = {name: flat[end - total : end] for name, end, total in zip(ids, ends, last[:, -1], strict=True)}
    utterance = np.repeat(np.arange(utterances), WORDS_IN_UTTERANCE)
    spelling = tuple("w" for _ in utterance)
    return Segments(frames, ids, utterance, (last - lengths).ravel(), last.ravel(), spelling, {}, 0)


def duetto(segments: Segments, batches: int | None = None) -> tuple[Callable[[], object], int]:
    """Training on the first batches of an epoch, or on all; and the words that are centres in them."""
    task = Speech2VecTask(segments, segments, Normaliser.identity(13), batch_size=BATCH)
    model = Speech2Vec(Speech2VecConfig())
    optimiser = torch.optim.Adam(model.parameters(), fused=True)
    chosen = task.batches(0)[:batches]

    def run() -> None:
        for batch in chosen:
            optimiser.zero_grad()
            task.loss(model, batch).backward()
            optimiser.step()

    return run, sum(map(len, chosen))


class Plain(nn.Module):
    """The same network, for pairs."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.LSTM(13, 25, bidirectional=True, batch_first=True)
        self.decoder = nn.LSTM(50, 50, batch_first=True)
        self.output = nn.Linear(50, 13)

    def forward(self, inputs: Tensor, targets: Tensor, real: Tensor) -> Tensor:
        """Mean squared error over real frames, (pairs, time, 13) each; real (pairs, time)."""
        _, (h, _) = self.encoder(inputs)
        z = torch.cat((h[0], h[1]), -1)
        said = self.output(self.decoder(z[:, None].expand(-1, targets.shape[1], -1))[0])
        return ((said - targets).square().mean(-1) * real).sum() / real.sum()


def plain(segments: Segments, words: int, window: int = 3) -> Callable[[], object]:
    """Training on the pairs of the first `words` words, in batches of pairs."""
    source, target = segments.neighbours(np.arange(words), window)
    model = Plain()
    optimiser = torch.optim.Adam(model.parameters(), fused=True)

    def padded(chosen: np.ndarray) -> Tensor:
        values = torch.zeros(len(chosen), MAX_WORD_FRAMES, 13)
        for row, i in zip(values, chosen, strict=True):
            row[: segments.lengths[i]] = torch.from_numpy(np.array(segments[i]))
        return values

    def run() -> None:
        for start in range(0, len(source), BATCH):
            pair = slice(start, start + BATCH)
            lengths = torch.from_numpy(segments.lengths[target[pair]])
            real = (torch.arange(MAX_WORD_FRAMES) < lengths[:, None]).float()
            optimiser.zero_grad()
            model(padded(source[pair]), padded(target[pair]), real).backward()
            optimiser.step()

    return run


def grown(words: int) -> tuple[int, float, float, float]:
    """Centre words of an epoch, processor seconds of it, and peak MiB before it and after; in this process."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        segments = corpus(Path(folder), words)
        duetto(segments, batches=2)[0]()
        before = _peak()
        run, centres = duetto(segments)
        began = time.process_time()
        run()
        return centres, time.process_time() - began, before, _peak()


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def speed(repetitions: int) -> str:
    """Words a second beside the straightforward way."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        segments = corpus(Path(folder), 2_000)
        run, centres = duetto(segments, batches=4)
        few = 2 * WORDS_IN_UTTERANCE
        sides = {"duetto": run, "pairs, padded to the longest": plain(segments, few)}
        seconds = alternate(sides, repetitions, clock=time.process_time)
    speeds = {name: n / seconds[name] for name, n in zip(sides, (centres, few), strict=True)}
    slow = list(speeds.values())[-1]
    return table(["side", "words a second", "ratio"], [(name, each, each / slow) for name, each in speeds.items()])


def growth(sizes: Sequence[int]) -> str:
    """Time and memory of an epoch as the corpus grows."""
    rows = []
    for size in sizes:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            n, taken, before, after = pool.apply(grown, (size,))
        rows.append([n, taken, n / taken, f"{before:.0f}", f"{after:.0f}"])
    return table(["words", "seconds", "words a second", "MiB after 2 batches", "MiB after the epoch"], rows)


def main() -> None:
    """Parse the command line, measure, publish."""
    line = parser(__doc__)
    line.add_argument("--repetitions", type=int, default=5)
    line.add_argument("--sizes", type=int, nargs="+", default=[2_000, 8_000, 32_000], help="words")
    options = line.parse_args()
    parts = [
        f"Processor time, one thread, median of {options.repetitions} turns; skip-gram, window 3, dim 50.",
        speed(options.repetitions),
        "One epoch of duetto's side as the corpus grows; memory is the peak of a fresh process:",
        growth(options.sizes),
    ]
    publish("Training: Speech2Vec", parts, packages=("numpy", "torch"), into=options.write)


if __name__ == "__main__":
    main()

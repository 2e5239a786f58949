"""The feature store: arrays of a whole corpus in one memory-mapped file, computed once.

    utterances ─ extract_corpus ─▶ folder ─ FeatureStore.open ─▶ store[id]: (frames, dim) float32 view

    store = extract_corpus(utterances, "features", ShortTermConfig(), workers=0)
    store["Ses01F_impro01_F000"].shape, store.skipped

An array is keyed by what it was computed from: the bytes of the audio file, the cut, and the extractor's
`key()`. Renaming a file or an utterance computes nothing; changing the sound or a setting computes anew.

    folder/<digest of the extractor's key>/
        config.json     the extractor's key
        features.f32    all arrays, end to end, little-endian float32; only ever appended to
        index.jsonl     one line for every array, file and utterance; only ever appended to, and only after
                        the data it names have reached the disk

So a run that is killed loses at most its last second, and the next run computes only what is missing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from .. import audio
from ..errors import AudioError, ConfigurationError, CorpusError, DuettoError
from ..parallel import cores, processes
from ..progress import Progress
from ..utils.files import lock
from ..utterance import Utterance
from ._index import CONFIG, DATA, DTYPE, Index, Place, Writer, read_config, read_index

_JOBS_PER_TASK, _TASKS_PER_WORKER = 16, 8
"""Files go to a process in tasks of at most so many, and fewer where there would not be so many tasks for each."""
_ALONE_SECONDS = 0.5
"""What is done in this time is not worth starting other processes for, which takes about as long."""

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


class Extractor(Protocol):
    """A frozen configuration that turns sound into features, e.g. `short_term.ShortTermConfig`.

    It must survive the way to another process, so its class is defined in an importable module.
    """

    def key(self) -> str:
        """A string that differs whenever the numbers can differ."""
        ...

    def extract(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        """(n,) float32 samples at 16 kHz → (frames, dim), frames ≥ 1, dim the same for every recording."""
        ...


class FeatureStore(Mapping[str, np.ndarray]):
    """Features of a corpus, read from a memory-mapped file; opening it costs no more than its index.

    Knows every utterance ever stored in the folder under this configuration. It may be sent to other
    processes: they map the same file.
    """

    def __init__(self, home: Path) -> None:
        """home: the folder of one configuration; use `open`."""
        self.home = home
        self.key: str = read_config(home)
        self._index, _ = read_index(home)
        data = home / DATA
        size = data.stat().st_size // DTYPE.itemsize if data.exists() else 0
        needed = max((place.end for place in self._index.places.values()), default=0)
        if needed > size:
            raise CorpusError(f"{data}: holds {size} values, the index names {needed}; run the extraction again")
        self._data = np.asarray(np.memmap(data, DTYPE, "r", shape=(size,))) if size else np.empty(0, DTYPE)

    @classmethod
    def open(cls, folder: str | os.PathLike[str], config: Extractor | None = None) -> FeatureStore:
        """The store in `folder`; `config` is needed only where several configurations lie there."""
        folder = Path(folder)
        if config is not None:
            home = _home(folder, config.key())
            if not (home / CONFIG).is_file():
                raise CorpusError(f"{folder}: no features of {config.key()} in it; extract them first")
            return cls(home)
        homes = sorted(path.parent for path in folder.glob("*/config.json"))
        if not homes:
            raise CorpusError(f"{folder}: no feature store; make one: duetto features MANIFEST -o {folder}")
        if len(homes) > 1:
            keys = "; ".join(map(read_config, homes))
            raise ConfigurationError(f"{folder}: holds {len(homes)} configurations, say which to open: {keys}")
        return cls(homes[0])

    def __getitem__(self, utterance_id: str) -> np.ndarray:
        """(frames, dim) float32, read-only."""
        place = self._place(utterance_id)
        view = self._data[place.offset : place.end].reshape(place.frames, place.dim)
        view.setflags(write=False)
        return view

    def __contains__(self, utterance_id: object) -> bool:
        return utterance_id in self._index.ids

    def __len__(self) -> int:
        return len(self._index.ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self._index.ids)

    def __reduce__(self) -> tuple[type[FeatureStore], tuple[Path]]:
        return FeatureStore, (self.home,)

    @property
    def skipped(self) -> dict[str, str]:
        """Utterances without features, and why."""
        return dict(self._index.skipped)

    @property
    def warnings(self) -> dict[str, tuple[str, ...]]:
        """What was odd about a recording, for those where anything was (`audio.Waveform.warnings`)."""
        found = {i: self._index.places[key].warnings for i, key in self._index.ids.items()}
        return {i: warnings for i, warnings in found.items() if warnings}

    @property
    def dim(self) -> int:
        """Features per frame; 0 in an empty store."""
        return next((place.dim for place in self._index.places.values()), 0)

    def frames(self, utterance_id: str) -> int:
        """Number of frames, without touching the data."""
        return self._place(utterance_id).frames

    def _place(self, utterance_id: str) -> Place:
        try:
            return self._index.places[self._index.ids[utterance_id]]
        except KeyError:
            reason = self._index.skipped.get(utterance_id)
            why = f"was skipped: {reason}" if reason else f"is not among its {len(self)} utterances"
            raise CorpusError(f"{self.home}: utterance {utterance_id!r} {why}") from None


def extract_corpus(
    utterances: Iterable[Utterance],
    folder: str | os.PathLike[str],
    config: Extractor,
    *,
    workers: int = 0,
    progress: Progress | None = None,
) -> FeatureStore:
    """Compute what is missing of the features of `utterances`, and open the store.

    workers: processes; 0 takes every core this process may use, 1 computes in this process. Each uses one
        thread, so that processes and threads do not multiply.
    A recording that cannot be analysed is skipped and stands in `skipped` of the result with its reason; it
    is tried again next time. Raises `CorpusError` for two utterances of one id, `ConfigurationError` where
    another process is writing the same store or the worker processes die.
    """
    utterances = list(utterances)
    seen: set[str] = set()
    for utterance in utterances:
        if utterance.id in seen:
            raise CorpusError(f"two utterances have the id {utterance.id!r}; ids must differ to be stored")
        seen.add(utterance.id)
    if workers < 0:
        raise ConfigurationError(f"workers is {workers}; give 0 for every core, or a number of processes")
    home = _home(Path(folder), config.key())
    home.mkdir(parents=True, exist_ok=True)
    with lock(home), Writer(home, config.key()) as writer:
        jobs = _missing(utterances, writer)
        done = len(utterances) - sum(len(job.cuts) for job in jobs)
        if progress is not None:
            progress(done, len(utterances))
        for job, result in _results(jobs, config, workers, frozenset(writer.index.places)):
            _record(writer, job, result)
            done += len(job.cuts)
            if progress is not None:
                progress(done, len(utterances))
    return FeatureStore(home)


@dataclass(frozen=True, slots=True)
class _Job:
    """The cuts of one audio file that are wanted: (id, start, end)."""

    audio: Path
    cuts: tuple[tuple[str, float | None, float | None], ...]


@dataclass(frozen=True, slots=True)
class _Result:
    """What became of a job. For each cut: features and warnings, None if the store has them, or why not."""

    size: int
    mtime: int
    digest: str
    cuts: tuple[tuple[np.ndarray, tuple[str, ...]] | str | None, ...]


def _record(writer: Writer, job: _Job, result: _Result) -> None:
    if result.digest:
        writer.note_file(str(job.audio), result.size, result.mtime, result.digest)
    for (utterance_id, start, end), found in zip(job.cuts, result.cuts, strict=True):
        if isinstance(found, str):
            writer.note_skipped(utterance_id, found)
            continue
        key = _content_key(result.digest, start, end)
        if found is not None:
            dim = next((place.dim for place in writer.index.places.values()), found[0].shape[1])
            if found[0].shape[1] != dim:
                reason = f"{job.audio}: {found[0].shape[1]} features per frame, but the store holds {dim}"
                writer.note_skipped(utterance_id, reason)
                continue
            writer.append(key, *found)
        writer.note_id(utterance_id, key)


def _missing(utterances: Sequence[Utterance], writer: Writer) -> list[_Job]:
    """Jobs for what the store does not have; utterances that it has are mapped at once.

    A file whose size and time of change are as noted is taken to have the noted content.
    """
    cuts: dict[Path, list[tuple[str, float | None, float | None]]] = {}
    digests: dict[Path, str | None] = {}
    for utterance in utterances:
        path = utterance.audio.absolute()
        if path not in digests:
            digests[path] = _noted_digest(path, writer.index)
        digest = digests[path]
        key = _content_key(digest, utterance.start, utterance.end) if digest else None
        if key is not None and key in writer.index.places:
            writer.note_id(utterance.id, key)
        else:
            cuts.setdefault(path, []).append((utterance.id, utterance.start, utterance.end))
    return [_Job(path, tuple(wanted)) for path, wanted in cuts.items()]


def _noted_digest(path: Path, index: Index) -> str | None:
    size, mtime, digest = index.files.get(str(path), (-1, -1, None))
    try:
        status = path.stat()
    except OSError:
        return None
    return digest if (status.st_size, status.st_mtime_ns) == (size, mtime) else None


def _results(
    jobs: list[_Job], config: Extractor, workers: int, known: frozenset[str]
) -> Iterator[tuple[_Job, _Result]]:
    """Every job with its result, in order, whichever process finished first."""
    workers = workers or cores()
    began, alone = time.monotonic(), 0
    for job in jobs:
        if workers > 1 and time.monotonic() - began >= _ALONE_SECONDS:
            break
        yield job, _work(job, config, known)
        alone += 1
    if alone < len(jobs):
        yield from _results_of_workers(jobs[alone:], config, workers, known)


def _results_of_workers(
    jobs: list[_Job], config: Extractor, workers: int, known: frozenset[str]
) -> Iterator[tuple[_Job, _Result]]:
    size = max(1, min(_JOBS_PER_TASK, len(jobs) // (workers * _TASKS_PER_WORKER)))
    tasks = deque(jobs[at : at + size] for at in range(0, len(jobs), size))
    running: deque[tuple[list[_Job], Future[list[_Result]]]] = deque()
    try:
        with _one_thread_each(), processes(workers, _start_worker, (config, known)) as pool:
            while tasks or running:
                while tasks and len(running) < 3 * workers:
                    running.append((task := tasks.popleft(), pool.submit(_work_all, task)))
                task, future = running.popleft()
                yield from zip(task, future.result(), strict=True)
    except BrokenProcessPool as error:
        raise ConfigurationError(
            "the worker processes died: out of memory, or the calling script runs the extraction without "
            "`if __name__ == '__main__':`. What was finished is kept; try workers=1"
        ) from error


_worker: list[tuple[Extractor, frozenset[str]]] = []
"""Set once in each worker process."""


def _start_worker(config: Extractor, known: frozenset[str]) -> None:
    _worker[:] = [(config, known)]


def _work_all(jobs: list[_Job]) -> list[_Result]:
    config, known = _worker[0]
    return [_work(job, config, known) for job in jobs]


def _work(job: _Job, config: Extractor, known: frozenset[str]) -> _Result:
    if audio.is_stream(job.audio):  # it can be read once, but is read to know its content and again to analyse it
        return _Result(0, 0, "", (f"{job.audio}: is no regular file; save it as one",) * len(job.cuts))
    try:
        with job.audio.open("rb") as file:
            status = os.fstat(file.fileno())
            digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except FileNotFoundError:
        return _Result(0, 0, "", (f"{job.audio}: no such file",) * len(job.cuts))
    except OSError as error:
        return _Result(0, 0, "", (f"{job.audio}: cannot be opened ({error.strerror})",) * len(job.cuts))
    found = tuple(
        None if _content_key(digest, start, end) in known else _features(job.audio, start, end, config)
        for _, start, end in job.cuts
    )
    return _Result(status.st_size, status.st_mtime_ns, digest, found)


def _features(
    path: Path, start: float | None, end: float | None, config: Extractor
) -> tuple[np.ndarray, tuple[str, ...]] | str:
    try:
        waveform = audio.load(path, start=start, end=end)
        features = np.asarray(config.extract(waveform.samples, waveform.sample_rate), np.float32)
        if features.ndim != 2 or not features.size or not np.isfinite(features).all():
            raise AudioError(f"the extractor gave {features.shape} features, or some that are not finite")
    except DuettoError as error:
        text = str(error)
        return text if str(path) in text else f"{path}: {text}"
    except Exception as error:  # a defect must not end a run of many hours; it is reported with its kind
        return f"{path}: {type(error).__name__}: {error}"
    return features, waveform.warnings


def _content_key(digest: str, start: float | None, end: float | None) -> str:
    return f"{digest}@{'' if start is None else float(start)!r}-{'' if end is None else float(end)!r}"


def _home(folder: Path, key: str) -> Path:
    return folder / hashlib.blake2b(key.encode(), digest_size=8).hexdigest()


@contextlib.contextmanager
def _one_thread_each() -> Generator[None]:
    """Worker processes that start meanwhile use one thread for linear algebra."""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

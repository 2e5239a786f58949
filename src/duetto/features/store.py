"""The feature store: arrays of a whole corpus in one memory-mapped file, each computed once.

    utterances ─ extract_corpus ─▶ folder ─ FeatureStore.open ─▶ store[id]: (frames, dim) float32 view

    store = extract_corpus(utterances, "features", ShortTermConfig(), workers=0)
    store["Ses01F_impro01_F000"].shape, store.skipped

An array is keyed by what it was computed from: the bytes of the audio file, which are read every time, the segment, and
the extractor's `key()`. Renaming a file or an utterance computes nothing; a change of the audio or of a setting
computes the array again, whatever the file's size and time stamp are.

    folder/<digest of the extractor's key>/
        config.json     the extractor's key
        features.f32    all arrays, end to end, little-endian float32; append-only. Of an extractor that
                        rounds to float16 (`extractor.stored_as_half`), features.f16
        index.jsonl     one line for every array (with its checksum) and utterance; append-only, and written only
                        after the data it names have reached the disk
        lock            held by the process that writes; others wait for it

So a run that is killed loses at most its last second, and the next run computes only what is missing or damaged. A
complete store is neither locked nor written.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from multiprocessing import current_process
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..data.utterance import Utterance
from ..errors import ConfigurationError, CorpusError
from ..utils.files import lock
from ..utils.progress import Progress
from ._extraction import CHANGED, Job, JobResult, extract_jobs
from ._store_files import CONFIG, Arrays, Index, Place, Writer, read_config, read_index
from .content import Contents
from .extractor import Extractor, stored_as_half

log = logging.getLogger(__name__)

_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


class FeatureStore(Mapping[str, np.ndarray]):
    """Features of a corpus by utterance id, read from a memory-mapped file; opening reads only the index.

    Holds every utterance ever stored in the folder under this configuration. It can be pickled: other processes map the
    same file. A returned array is a view: truncating the file while it is in use may crash the process.

    Args:
        home: The folder of one configuration; `open` finds it.
        keys: Utterance id → content key, where the caller has them: they replace what the index has for these ids.

    Attributes:
        home: The folder of this configuration.
        key: The extractor's key.
    """

    def __init__(self, home: Path, keys: Mapping[str, str] | None = None) -> None:
        self.home = home
        self.key: str = read_config(home)
        self._keys = dict(keys or {})
        self._index, _ = read_index(home)
        for utterance_id, key in self._keys.items():
            self._index.apply({"id": utterance_id, "key": key})
        self._arrays = Arrays(home)
        needed = max((place.end for place in self._index.places.values()), default=0)
        if needed > self._arrays.size:
            raise CorpusError(
                f"{self._arrays.path}: holds {self._arrays.size} values, the index names {needed}; "
                "run the extraction again"
            )

    @classmethod
    def open(cls, folder: str | os.PathLike[str], config: Extractor | None = None) -> FeatureStore:
        """Open a store that `extract_corpus` wrote.

        Args:
            folder: The folder given to `extract_corpus`.
            config: The extractor; needed only where the folder holds several configurations.

        Returns:
            The store of this configuration.

        Raises:
            CorpusError: There is no such store, or it is damaged.
            ConfigurationError: The folder holds several configurations, and `config` is None.
        """
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
            raise ConfigurationError(f"{folder}: holds {len(homes)} configurations; choose one of: {keys}")
        return cls(homes[0])

    def __getitem__(self, utterance_id: str) -> np.ndarray:
        """Features of one utterance, (frames, dim) float32, read-only; a damaged array is a CorpusError."""
        array = self._arrays[self._place(utterance_id)]
        if array is None:
            raise CorpusError(
                f"{self._arrays.path}: the features of {utterance_id!r} are damaged or were cut off; run the same "
                "again to compute them again"
            )
        return array

    def __contains__(self, utterance_id: object) -> bool:
        return utterance_id in self._index.ids

    def __len__(self) -> int:
        return len(self._index.ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self._index.ids)

    def __reduce__(self) -> tuple[type[FeatureStore], tuple[Path, dict[str, str]]]:
        return FeatureStore, (self.home, self._keys)

    @property
    def skipped(self) -> dict[str, str]:
        """Utterance id → why it has no features."""
        return dict(self._index.skipped)

    @property
    def warnings(self) -> dict[str, tuple[str, ...]]:
        """Utterance id → `audio.Waveform.warnings` of its recording, for utterances that have any."""
        found = {i: self._index.places[key].warnings for i, key in self._index.ids.items()}
        return {i: warnings for i, warnings in found.items() if warnings}

    @property
    def dim(self) -> int:
        """Features per frame; 0 in an empty store."""
        return next((place.dim for place in self._index.places.values()), 0)

    def frames(self, utterance_id: str) -> int:
        """Number of frames, from the index alone.

        Args:
            utterance_id: Of an utterance in the store.

        Returns:
            The number of frames.
        """
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
    contents: Contents | None = None,
    progress: Progress | None = None,
) -> FeatureStore:
    """Compute the features of utterances that a store lacks or has damaged, and open it.

    A recording that cannot be analysed is skipped, is listed in `FeatureStore.skipped` with the reason, and is tried
    again next time. Where another process is writing the same store, this one waits for it, with a warning.

    Args:
        utterances: With distinct ids.
        folder: Of any number of stores. A complete one may be read-only.
        config: What to compute.
        workers: Processes of one thread each; 0 for every core this process may use, 1 for this process alone.
        contents: Cache of file digests, where the caller reads the recordings too.
        progress: Counts utterances.

    Returns:
        The store.

    Raises:
        CorpusError: Two utterances have the same id, or the index is damaged.
        ConfigurationError: Worker processes died, or features are missing and the folder cannot be written.
    """
    if workers < 0:
        raise ConfigurationError(f"workers is {workers}; give 0 for every core, or a number of processes")
    request = _request(utterances, Path(folder), config, contents or Contents())
    if not _is_complete(request):
        _complete(request, config, workers, progress)
    elif progress is not None:
        progress(len(request.utterances), len(request.utterances))
    stored = read_index(request.home)[0].places
    return FeatureStore(request.home, {i: key for i, key in request.keys.items() if key in stored})


class _Request(NamedTuple):
    """What a store is to hold. keys: utterance id → content key; digests: audio file → digest; where readable."""

    folder: Path
    home: Path
    utterances: list[Utterance]
    keys: dict[str, str]
    digests: dict[Path, str]

    def missing(self, index: Index, arrays: Arrays) -> list[Utterance]:
        """The utterances of which a store has no intact array."""
        places = [index.places.get(self.keys.get(utterance.id, "")) for utterance in self.utterances]
        return [u for u, p in zip(self.utterances, places, strict=True) if p is None or arrays[p] is None]


def _request(utterances: Iterable[Utterance], folder: Path, config: Extractor, contents: Contents) -> _Request:
    by_id: dict[str, Utterance] = {}
    for utterance in utterances:
        if utterance.id in by_id:
            raise CorpusError(f"two utterances have the id {utterance.id!r}; ids must differ to be stored")
        by_id[utterance.id] = utterance
    digests = contents(u.audio.absolute() for u in by_id.values())
    keys = {
        i: _content_key(digest, u.start, u.end) for i, u in by_id.items() if (digest := digests.get(u.audio.absolute()))
    }
    return _Request(folder, _home(folder, config.key()), list(by_id.values()), keys, digests)


def _is_complete(request: _Request) -> bool:
    """Whether the store holds every utterance, intact and under its id."""
    if not (request.home / CONFIG).exists():
        return False
    index, arrays = read_index(request.home)[0], Arrays(request.home)
    return not request.missing(index, arrays) and all(index.ids.get(i) == key for i, key in request.keys.items())


def _complete(request: _Request, config: Extractor, workers: int, progress: Progress | None) -> None:
    """Compute and store what a store lacks."""
    home = request.home
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(lock(home, wait=_before_waiting(home)))
            writer = stack.enter_context(Writer(home, config.key(), half=stored_as_half(config)))
        except OSError as error:
            if error.errno not in _READ_ONLY:
                raise
            _require_arrays(request, error)
            return
        missing = request.missing(writer.index, Arrays(home))
        _forget_damaged(writer, request, missing)
        missing_ids = {utterance.id for utterance in missing}
        for utterance in request.utterances:
            if utterance.id not in missing_ids:
                writer.note_id(utterance.id, request.keys[utterance.id])
        done, total = len(request.utterances) - len(missing), len(request.utterances)
        if progress is not None:
            progress(done, total)
        for job, result in extract_jobs(_jobs(missing, request.digests), config, workers):
            _record(writer, job, result)
            done += len(job.segments)
            if progress is not None:
                progress(done, total)


def _forget_damaged(writer: Writer, request: _Request, missing: Sequence[Utterance]) -> None:
    keys = request.keys
    damaged = {keys[u.id]: u.id for u in missing if keys.get(u.id) in writer.index.places}
    if damaged:
        first = next(iter(damaged.values()))
        log.warning("%s: %d damaged, such as %r; computed again", request.home, len(damaged), first)
        writer.forget(damaged)


def _before_waiting(home: Path) -> Callable[[], None] | None:
    """What to do before waiting for another writer; None to raise instead.

    A worker process must not wait: the writer may be its parent, whose main module runs the extraction on import.
    """
    if current_process().name != "MainProcess":  # `parent_process` is not yet set while that module is imported
        return None
    return lambda: log.warning("%s: another process is computing features; waiting for it", home)


def _require_arrays(request: _Request, error: OSError) -> None:
    """A store that cannot be written must hold all arrays, under whatever ids."""
    missing = request.utterances
    if (request.home / CONFIG).exists():
        missing = request.missing(read_index(request.home)[0], Arrays(request.home))
    if missing:
        raise ConfigurationError(
            f"{request.folder}: lacks the features of {len(missing)} of {len(request.utterances)} utterances, such as "
            f"{missing[0].id!r}, and can't be written ({error.strerror}); let this user write it, or give another "
            "folder (duetto train: --cache)"
        ) from error


def _jobs(missing: Sequence[Utterance], digests: Mapping[Path, str]) -> list[Job]:
    segments: dict[Path, list[tuple[str, float | None, float | None]]] = {}
    for utterance in missing:
        segments.setdefault(utterance.audio.absolute(), []).append((utterance.id, utterance.start, utterance.end))
    return [Job(path, digests.get(path), tuple(of_file)) for path, of_file in segments.items()]


def _record(writer: Writer, job: Job, result: JobResult) -> None:
    for (utterance_id, start, end), found in zip(job.segments, result, strict=True):
        if isinstance(found, str) or job.digest is None:
            writer.note_skipped(utterance_id, found if isinstance(found, str) else f"{job.audio}: {CHANGED}")
            continue
        features, warnings = found
        dim = next((place.dim for place in writer.index.places.values()), features.shape[1])
        if features.shape[1] != dim:
            reason = f"{job.audio}: {features.shape[1]} features per frame, but the store holds {dim}"
            writer.note_skipped(utterance_id, reason)
            continue
        key = _content_key(job.digest, start, end)
        writer.append(key, features, warnings)
        writer.note_id(utterance_id, key)


def _content_key(digest: str, start: float | None, end: float | None) -> str:
    return f"{digest}@{'' if start is None else float(start)!r}-{'' if end is None else float(end)!r}"


def _home(folder: Path, key: str) -> Path:
    return folder / hashlib.blake2b(key.encode(), digest_size=8).hexdigest()

"""The feature store: arrays of a whole corpus in one memory-mapped file, computed once.

    utterances ─ extract_corpus ─▶ folder ─ FeatureStore.open ─▶ store[id]: (frames, dim) float32 view

    store = extract_corpus(utterances, "features", ShortTermConfig(), workers=0)
    store["Ses01F_impro01_F000"].shape, store.skipped

An array is keyed by what it was computed from: the bytes of the audio file, which are read every time, the cut, and
the extractor's `key()`. Renaming a file or an utterance computes nothing; changing the sound or a setting computes
anew, whatever size and time stamp say.

    folder/<digest of the extractor's key>/
        config.json     the extractor's key
        features.f32    all arrays, end to end, little-endian float32; only ever appended to
        index.jsonl     one line for every array (with its checksum) and utterance; only ever appended to, and only
                        after the data it names have reached the disk
        lock            held by the process that writes; others wait for it

So a run that is killed loses at most its last second, and the next run computes only what is missing or damaged. A
store that lacks nothing is neither locked nor written.
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

import numpy as np

from ..data.utterance import Utterance
from ..errors import ConfigurationError, CorpusError
from ..utils.files import lock
from ..utils.progress import Progress
from ._extraction import CHANGED, Extractor, Job, Result, results
from ._store_files import CONFIG, DATA, Arrays, Index, Place, Writer, read_config, read_index
from .content import Contents

log = logging.getLogger(__name__)

_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


class FeatureStore(Mapping[str, np.ndarray]):
    """Features of a corpus, read from a memory-mapped file; opening it costs no more than its index.

    Knows every utterance ever stored in the folder under this configuration. It may be sent to other
    processes: they map the same file.

    An array whose bytes are not those that were stored, or that a file cut short no longer holds, is a `CorpusError`
    when it is asked for. An array that was given out is a view: cutting the file short then may end the process.
    """

    def __init__(self, home: Path, keys: Mapping[str, str] | None = None) -> None:
        """Use `open`.

        Args:
            home: The folder of one configuration.
            keys: Utterance id → content key, where they are known: whatever else the index has for these ids.
        """
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
                f"{home / DATA}: holds {self._arrays.size} values, the index names {needed}; run the extraction again"
            )

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
        array = self._arrays[self._place(utterance_id)]
        if array is None:
            raise CorpusError(
                f"{self.home / DATA}: the features of {utterance_id!r} are damaged, or were cut off meanwhile; run the "
                "same again to compute them anew"
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
    contents: Contents | None = None,
    progress: Progress | None = None,
) -> FeatureStore:
    """Compute what is missing or damaged of the features of `utterances`, and open the store.

    A recording that cannot be analysed is skipped and stands in `skipped` of the result with its reason; it
    is tried again next time. Where another process is writing the same store, this one waits for it, with a warning.

    Args:
        utterances: Of distinct ids.
        folder: Of any number of stores. One that lacks nothing may be read-only.
        config: What to compute.
        workers: Processes; 0 takes every core this process may use, 1 computes in this process. Each uses one
            thread, so that processes and threads do not multiply.
        contents: Digests of the recordings, where the caller reads them too.
        progress: Counts utterances.

    Raises:
        CorpusError: Two utterances of one id; an index that is damaged.
        ConfigurationError: The worker processes die; something is missing, and the folder can't be written.
    """
    utterances = list(utterances)
    seen: set[str] = set()
    for utterance in utterances:
        if utterance.id in seen:
            raise CorpusError(f"two utterances have the id {utterance.id!r}; ids must differ to be stored")
        seen.add(utterance.id)
    if workers < 0:
        raise ConfigurationError(f"workers is {workers}; give 0 for every core, or a number of processes")
    folder = Path(folder)
    home = _home(folder, config.key())
    digests = (contents or Contents())(u.audio.absolute() for u in utterances)
    keys = {
        u.id: _content_key(digest, u.start, u.end) for u in utterances if (digest := digests.get(u.audio.absolute()))
    }
    if not (home / CONFIG).exists() or not _is_complete(home, utterances, keys):
        _complete(folder, utterances, keys, digests, config, workers, progress)
    elif progress is not None:
        progress(len(utterances), len(utterances))
    found = read_index(home)[0].places
    return FeatureStore(home, {i: key for i, key in keys.items() if key in found})


def _is_complete(home: Path, utterances: Sequence[Utterance], keys: Mapping[str, str]) -> bool:
    """Whether a store holds everything, whole, under these ids."""
    index, arrays = read_index(home)[0], Arrays(home)
    return not _missing(utterances, keys, index, arrays) and all(index.ids.get(i) == key for i, key in keys.items())


def _missing(utterances: Sequence[Utterance], keys: Mapping[str, str], index: Index, arrays: Arrays) -> list[Utterance]:
    """The utterances for which a store holds no whole array."""
    places = [index.places.get(keys.get(utterance.id, "")) for utterance in utterances]
    return [u for u, place in zip(utterances, places, strict=True) if place is None or arrays[place] is None]


def _complete(
    folder: Path,
    utterances: Sequence[Utterance],
    keys: Mapping[str, str],
    digests: Mapping[Path, str],
    config: Extractor,
    workers: int,
    progress: Progress | None,
) -> None:
    """Compute and store what a store lacks."""
    home = _home(folder, config.key())
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(lock(home, wait=_waiting(home)))
            writer = stack.enter_context(Writer(home, config.key()))
        except OSError as error:
            if error.errno not in _READ_ONLY:
                raise
            _require_arrays(folder, home, utterances, keys, error)
            return
        index = writer.index
        missing = _missing(utterances, keys, index, Arrays(home))
        damaged = {keys[u.id]: u.id for u in missing if keys.get(u.id) in index.places}
        if damaged:
            first = next(iter(damaged.values()))
            log.warning("%s: %d damaged, such as %r; computed again", home, len(damaged), first)
            writer.forget(damaged)
        lacking = {utterance.id for utterance in missing}
        for utterance in utterances:
            if utterance.id not in lacking:
                writer.note_id(utterance.id, keys[utterance.id])
        done = len(utterances) - len(missing)
        if progress is not None:
            progress(done, len(utterances))
        for job, result in results(_jobs(missing, digests), config, workers):
            _record(writer, job, result)
            done += len(job.cuts)
            if progress is not None:
                progress(done, len(utterances))


def _waiting(home: Path) -> Callable[[], None] | None:
    """What to do before waiting for another writer. A worker process must not wait, since that may be its parent: it
    runs the extraction where the main module does so when it is imported."""
    if current_process().name != "MainProcess":  # `parent_process` is not known yet while that module is imported
        return None
    return lambda: log.warning("%s: another process is computing features; waiting for it", home)


def _require_arrays(
    folder: Path, home: Path, utterances: Sequence[Utterance], keys: Mapping[str, str], error: OSError
) -> None:
    """What can't be written must hold all arrays; under what ids does not matter."""
    there = (home / CONFIG).exists()
    missing = _missing(utterances, keys, read_index(home)[0], Arrays(home)) if there else utterances
    if missing:
        raise ConfigurationError(
            f"{folder}: lacks the features of {len(missing)} of {len(utterances)} utterances, such as "
            f"{missing[0].id!r}, and can't be written ({error.strerror}); let this user write it, or give another "
            "folder (duetto train: --cache)"
        ) from error


def _jobs(missing: Sequence[Utterance], digests: Mapping[Path, str]) -> list[Job]:
    cuts: dict[Path, list[tuple[str, float | None, float | None]]] = {}
    for utterance in missing:
        cuts.setdefault(utterance.audio.absolute(), []).append((utterance.id, utterance.start, utterance.end))
    return [Job(path, digests.get(path), tuple(wanted)) for path, wanted in cuts.items()]


def _record(writer: Writer, job: Job, result: Result) -> None:
    for (utterance_id, start, end), found in zip(job.cuts, result, strict=True):
        if isinstance(found, str) or job.digest is None:
            writer.note_skipped(utterance_id, found if isinstance(found, str) else f"{job.audio}: {CHANGED}")
            continue
        key = _content_key(job.digest, start, end)
        dim = next((place.dim for place in writer.index.places.values()), found[0].shape[1])
        if found[0].shape[1] != dim:
            reason = f"{job.audio}: {found[0].shape[1]} features per frame, but the store holds {dim}"
            writer.note_skipped(utterance_id, reason)
            continue
        writer.append(key, *found)
        writer.note_id(utterance_id, key)


def _content_key(digest: str, start: float | None, end: float | None) -> str:
    return f"{digest}@{'' if start is None else float(start)!r}-{'' if end is None else float(end)!r}"


def _home(folder: Path, key: str) -> Path:
    return folder / hashlib.blake2b(key.encode(), digest_size=8).hexdigest()

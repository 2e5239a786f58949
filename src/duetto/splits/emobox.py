"""Fold files in the layout of EmoBox, so that a table can stand beside its leaderboard.

    FOLDER/fold_K/DATASET_train_fold_K.jsonl, DATASET_test_fold_K.jsonl, and in some corpora DATASET_valid_fold_K.jsonl

    {"key": "emodb-03a02Wb", "dataset": "emodb", "wav": "downloads/emodb/wav/03a02Wb.wav", "type": "raw",
     "sample_rate": 16000, "num_frame": 33978.0, "task": "category", "length": 2.123625, "emo": "anger", "channel": 1}

FOLDER + utterances ─ read_folds ─▶ list[Fold] ─ write_folds ─▶ FOLDER

Ma et al., "EmoBox: Multilingual Multi-corpus Speech Emotion Recognition Toolkit and Benchmark", Interspeech 2024;
https://github.com/emo-box/EmoBox keeps FOLDER as data/DATASET. Some names there lack the last underscore. An utterance
that is a part of a recording has `start_time` and `end_time` too.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from .. import audio
from ..data.utterance import Utterance, by_id
from ..errors import ConfigurationError, CorpusError
from ..utils import files
from ..utils.reading import parse_json, read_bytes, shortened
from ..utils.text import name_of, to_json
from . import Fold, check_classes, with_development

_NAME = re.compile(r"(?P<dataset>.+)_(?P<part>train|valid|test)_fold(?P<mark>_?)(?P<number>\d+)\.jsonl")
_FORM = "EmoBox' fold files hold one JSON object a line, with key, dataset and wav"


def read_folds(folder: Path, utterances: Sequence[Utterance], seed: int = 0) -> list[Fold]:
    """Read the folds of a corpus.

    An entry is the utterance whose id is its key, or its key without the name of the dataset, or the name of its file.

    Args:
        folder: Holds fold_1, fold_2, …
        utterances: Of the manifest. Those without a label are in no fold; nor are those that no file lists.
        seed: Of the draw of development speakers, in folds without a file for validation. (EmoBox draws a fifth of the
            utterances there, whose speakers are in its training data.)

    Returns:
        The folds, in the order of their numbers.

    Raises:
        ConfigurationError: There is no fold, a fold lacks its training or test file, an entry is not in the manifest,
            or a training part lacks a class of its test part.
        CorpusError: A file is damaged.
    """
    found: dict[int, dict[str, tuple[str, Path]]] = defaultdict(dict)
    for path in sorted(folder.glob("fold*/*.jsonl")):
        if match := _NAME.fullmatch(path.name):
            parts = found[int(match["number"])]
            if match["part"] not in parts or match["mark"]:  # two spellings of one file: the regular one
                parts[match["part"]] = match["dataset"], path
    if not found:
        raise ConfigurationError(
            f"{folder}: no fold in it; give a folder with fold_1/DATASET_train_fold_1.jsonl and so on, as data/DATASET "
            "of EmoBox"
        )
    index = _index(utterances)
    folds = [_fold(number, parts, index, seed) for number, parts in sorted(found.items())]
    check_classes(folds)
    return folds


def _fold(
    number: int, files_of: Mapping[str, tuple[str, Path]], index: Mapping[str, Utterance | None], seed: int
) -> Fold:
    for part in ("train", "test"):
        if part not in files_of:
            raise ConfigurationError(f"fold {number} has no file DATASET_{part}_fold_{number}.jsonl")
    read = {part: _utterances(path, index) for part, (_, path) in files_of.items()}
    name = f"{files_of['test'][0]}, fold {number} of EmoBox"
    if "valid" not in read:
        return with_development(name, read["train"], read["test"], seed)
    return Fold(name, tuple(read["train"]), tuple(read["valid"]), tuple(read["test"]))


def _index(utterances: Sequence[Utterance]) -> dict[str, Utterance | None]:
    """Name → utterance; None for a name that two have."""
    index: dict[str, Utterance | None] = {}
    for u in utterances:
        names = {u.id, u.id.rpartition(":")[2]} | ({u.audio.stem} if u.start is None and u.end is None else set())
        for name in names:
            index[name] = u if name not in index else None
    return index | {u.id: u for u in utterances}


def _utterances(path: Path, index: Mapping[str, Utterance | None]) -> list[Utterance]:
    """The labelled utterances that a file lists."""
    text = read_bytes(path, error=CorpusError, repair=_FORM).decode("utf-8", errors="replace")
    found, missing = [], []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        entry = parse_json(line, where=f"{path}:{number}", error=CorpusError, repair=_FORM)
        if not isinstance(entry, dict) or not all(isinstance(entry.get(k), str) for k in ("key", "dataset", "wav")):
            raise CorpusError(f"{path}:{number}: {shortened(line)}: {_FORM}")
        key, stem = entry["key"], PurePosixPath(entry["wav"]).stem
        names = (key, key.removeprefix(entry["dataset"] + "-"), stem)
        utterance = next((u for name in names if (u := index.get(name)) is not None), None)
        if utterance is None:
            missing.append(key)
        elif utterance.label is not None:
            found.append(utterance)
    if missing:
        raise ConfigurationError(
            f"{path}: {len(missing):,} of its utterances are not in the manifest, such as {missing[0]!r}; give the "
            "manifest of the whole corpus"
        )
    return by_id(found)


def write_folds(folder: Path, dataset: str, folds: Sequence[Fold]) -> None:
    """Write folds as EmoBox keeps them: training, validation and test files, and label_map.json.

    Args:
        folder: To write to; becomes data/DATASET of EmoBox.
        dataset: Its name of the corpus.
        folds: Of labelled utterances. Their development parts become the files for validation.

    Raises:
        AudioError: A recording cannot be read.
        ConfigurationError: `dataset` is not a plain name.
    """
    if not re.fullmatch(r"[\w.-]+", dataset):
        raise ConfigurationError(f"dataset {dataset!r}: give a name of letters, digits, '.', '_' and '-'")
    infos: dict[Path, audio.Properties] = {}
    for number, fold in enumerate(folds, 1):
        for part, utterances in (("train", fold.train), ("valid", fold.development), ("test", fold.test)):
            lines = [to_json(_entry(u, dataset, infos)) + "\n" for u in utterances]
            files.write_text(folder / f"fold_{number}" / f"{dataset}_{part}_fold_{number}.jsonl", "".join(lines))
    names = sorted({str(u.label) for fold in folds for u in (*fold.train, *fold.development, *fold.test)})
    files.write_text(folder / "label_map.json", json.dumps({name: name.capitalize() for name in names}, indent=4))


def _entry(u: Utterance, dataset: str, infos: dict[Path, audio.Properties]) -> dict[str, Any]:
    if u.audio not in infos:
        infos[u.audio] = audio.properties(u.audio)
    info = infos[u.audio]
    start, end = u.start or 0.0, info.duration if u.end is None else u.end
    cut = {} if u.start is None and u.end is None else {"start_time": start, "end_time": end}
    return {
        "key": f"{dataset}-{u.id}",
        "dataset": dataset,
        "wav": name_of(u.audio.absolute().as_posix()),
        "type": "raw",
        "sample_rate": info.sample_rate,
        "num_frame": float(round((end - start) * info.sample_rate)),
        "task": "category",
        "length": end - start,
        "emo": u.label,
        "channel": 1,
        **cut,
    }

"""Features of an archive for training: fetched once, memory-mapped, and the same as those of the corpus."""

import json
from pathlib import Path

import numpy as np
import pytest

import quick_training
from duetto.config import experiment
from duetto.data.manifest import read_manifest
from duetto.errors import CorpusError
from duetto.experiments.workspace import Workspace
from duetto.splits import folds
from duetto.training import FoldInputs, train

pytest.importorskip("pyarrow", reason="needs the extra scale")
pytest.importorskip("fsspec", reason="needs the extra scale")

from fsspec.implementations.memory import MemoryFileSystem

from duetto.scale import FeatureShards, Size, job, plan, storage
from duetto.scale.engines import Workers
from duetto.scale.tasks import Align, Features


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """48 sines, and a line without a recording."""
    path = quick_training.corpus(tmp_path)
    with path.open("a") as file:
        file.write(json.dumps({"id": "lost", "audio": "lost.wav"}) + "\n")
    return path


def extracted(manifest: Path, folder: str, mode: str = "corrected") -> str:
    """A job of features in four files."""
    job.run(plan(str(manifest), folder, Features(mode), Size(14)), "loop", Workers(1))
    return folder


@pytest.mark.parametrize("mode", ["corrected", "whisper-means"])
def test_features_are_those_of_the_corpus(manifest: Path, tmp_path: Path, mode: str) -> None:
    utterances = [u for u in read_manifest(manifest) if u.id != "lost"]
    folder = extracted(manifest, "memory://features" if mode == "corrected" else str(tmp_path / "out"), mode)
    found = FeatureShards(folder, tmp_path / "cache")
    e = experiment.load("acoustic" if mode == "corrected" else "whisper")
    expected = Workspace(tmp_path / "own").features(e, utterances).frames
    assert expected is not None and set(found) == {u.id for u in utterances} and len(found) == 48
    for u in utterances:
        np.testing.assert_array_equal(found[u.id], expected[u.id])
        assert found[u.id].dtype == np.float32
    assert list(found.skipped) == ["lost"] and "no such file" in found.skipped["lost"]
    MemoryFileSystem.store.clear()


def test_a_file_is_fetched_once_and_again_only_when_it_has_changed(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = extracted(manifest, str(tmp_path / "out"))
    read: list[str] = []
    read_by = storage.read_by
    monkeypatch.setattr(storage, "read_by", lambda url, reader: (read.append(url), read_by(url, reader))[1])
    seen: list[tuple[int, int]] = []
    FeatureShards(folder, tmp_path / "cache", lambda done, total: seen.append((done, total)))
    first = len(read)
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    read.clear()
    FeatureShards(folder, tmp_path / "cache")
    assert len(read) == first - 4  # only the plan and four footers
    (tmp_path / "out/part-000001.parquet").write_bytes(b"PAR1")
    with pytest.raises(CorpusError, match="damaged; run the same"):
        FeatureShards(folder, tmp_path / "cache")


def test_other_jobs_and_equal_ids_are_refused(manifest: Path, tmp_path: Path) -> None:
    plan(str(manifest), str(tmp_path / "words"), Align())
    with pytest.raises(CorpusError, match="holds a job of align"):
        FeatureShards(str(tmp_path / "words"), tmp_path / "cache")
    lines = manifest.read_text().splitlines()
    manifest.write_text("\n".join([*lines, lines[0]]) + "\n")
    with pytest.raises(CorpusError, match="is in another file, too"):
        FeatureShards(extracted(manifest, str(tmp_path / "twice")), tmp_path / "cache")


def test_a_system_trains_on_them_as_on_the_store(manifest: Path, tmp_path: Path) -> None:
    utterances = [u for u in read_manifest(manifest) if u.id != "lost"]
    frames = FeatureShards(extracted(manifest, str(tmp_path / "out")), tmp_path / "cache")
    e = experiment.with_overrides(experiment.load("acoustic"), quick_training.SMALL)
    fold = folds("session5", utterances)[0]
    own = Workspace(tmp_path / "own").features(e, utterances).frames
    for name, inputs in (("a", FoldInputs(fold, frames)), ("b", FoldInputs(fold, own))):
        train(e, inputs, tmp_path / name, seed=0)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("a", "b")]
    assert weights[0] == weights[1]

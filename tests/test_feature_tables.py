"""Features as tables: read by csv, pandas and NumPy, each gives the numbers of the extractor."""

import csv
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from duetto import audio
from duetto.cli import app
from duetto.data.manifest import write_manifest
from duetto.data.utterance import Utterance
from duetto.errors import ConfigurationError, MissingExtraError
from duetto.features import tables
from duetto.features.registry import FEATURES, feature_spec
from duetto.features.short_term import FUNCTIONAL_NAMES, NAMES, functionals
from sounds import voice

RUN = CliRunner()
RATE = 16_000


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of two cuts of a recording, and of one that cannot be read; one label, one speaker."""
    folder = tmp_path_factory.mktemp("tables")
    audio.write(folder / "a.wav", voice(3.0), RATE)
    (folder / "b.wav").write_text("no audio")
    utterances = [
        Utterance("second", folder / "a.wav", 1.0, 2.5, label="sad", text="not a column"),
        Utterance("broken", folder / "b.wav"),
        Utterance("a, first", folder / "a.wav", None, 1.0, speaker="s1"),
    ]
    write_manifest(folder / "m.jsonl", utterances)
    return folder / "m.jsonl"


def expected(corpus: Path, mode: str) -> dict[str, np.ndarray]:
    """By the extractor itself."""
    spec, found = feature_spec(mode), {}
    for name, start, end in (("second", 1.0, 2.5), ("a, first", None, 1.0)):
        sound = audio.load(corpus.parent / "a.wav", start=start, end=end)
        found[name] = spec.extractor.extract(sound.samples, sound.sample_rate).astype(np.float32)
    return found


def written(corpus: Path, out: Path, *options: str) -> Path:
    done = RUN.invoke(app, ["features", str(corpus), "-o", str(out), "--workers", "1", *options])
    assert done.exit_code == 1 and "2 of 3 utterances, 1 skipped" in done.stderr, done.output  # the broken one
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    return out


def read(path: Path) -> Any:
    """The table as a frame of pandas."""
    pd = pytest.importorskip("pandas")
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    return pd.read_csv(path, dtype={"id": "string"})


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("mode", ["corrected", "voice"])
def test_a_row_for_each_frame(suffix: str, mode: str, corpus: Path, tmp_path: Path) -> None:
    frame = read(written(corpus, tmp_path / f"f{suffix}", "--mode", mode))
    timed = ["start"] if mode == "corrected" else []  # voice leaves frames out
    assert list(frame.columns) == ["id", "label", "speaker", "frame", *timed, *FEATURES[mode].names]
    values = expected(corpus, mode)
    assert frame["id"].drop_duplicates().to_list() == ["second", "a, first"]
    for name, wanted in values.items():
        part = frame[frame["id"] == name]
        np.testing.assert_array_equal(part[list(FEATURES[mode].names)].to_numpy(np.float32), wanted)
        assert part["frame"].to_list() == list(range(len(wanted)))
        if timed:
            assert part["start"].to_list() == [round(0.1 * i, 6) for i in range(len(wanted))]
    assert frame[frame["id"] == "second"]["speaker"].isna().all()
    assert set(frame[frame["id"] == "second"]["label"]) == {"sad"}


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("mode", ["functionals", "whisper-means"])
def test_a_row_for_each_utterance(suffix: str, mode: str, corpus: Path, tmp_path: Path) -> None:
    frame = read(written(corpus, tmp_path / f"f{suffix}", "--mode", mode))
    names = list(feature_spec(mode).columns)
    assert list(frame.columns) == ["id", "label", "speaker", *names] and len(frame) == 2
    np.testing.assert_array_equal(frame[names].to_numpy(np.float32), np.concatenate([*expected(corpus, mode).values()]))
    assert names[0] == ("level_mean" if mode == "functionals" else "state_0_mean"), names[0]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_statistics_of_frames(suffix: str, corpus: Path, tmp_path: Path) -> None:
    frame = read(written(corpus, tmp_path / f"f{suffix}", "--statistics"))
    assert list(frame.columns)[3:] == list(FUNCTIONAL_NAMES)
    wanted = np.stack([functionals(x) for x in expected(corpus, "corrected").values()])
    np.testing.assert_array_equal(frame[list(FUNCTIONAL_NAMES)].to_numpy(np.float32), wanted)


@pytest.mark.parametrize("options", [(), ("--statistics",), ("--mode", "functionals")], ids=str)
def test_arrays(options: tuple[str, ...], corpus: Path, tmp_path: Path) -> None:
    path = written(corpus, tmp_path / "f.npz", *options)
    with np.load(path, allow_pickle=False) as found:
        arrays = dict(found)
    assert set(arrays) == {"names", "id", "label", "speaker", "rows", "features"}
    assert arrays["id"].tolist() == ["second", "a, first"] and arrays["label"].tolist() == ["sad", ""]
    values = list(expected(corpus, "functionals" if "functionals" in options else "corrected").values())
    if options == ("--statistics",):
        values = [functionals(x)[None] for x in values]
    np.testing.assert_array_equal(arrays["features"], np.concatenate(values))
    assert arrays["rows"].tolist() == [len(x) for x in values]
    assert arrays["features"].dtype == np.float32 and len(arrays["names"]) == arrays["features"].shape[1]


def test_the_same_features_give_the_same_bytes(corpus: Path, tmp_path: Path) -> None:
    for suffix in tables.FORMATS:
        first, second = (
            written(corpus, tmp_path / f"{number}{suffix}" / f"f{suffix}").read_bytes() for number in (1, 2)
        )
        assert first == second


def test_large_tables_are_written_in_groups(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(tables, "_GROUP", 1)
    path = written(corpus, tmp_path / "f.parquet")
    assert pq.ParquetFile(path).num_row_groups == 2
    assert read(path)["id"].drop_duplicates().to_list() == ["second", "a, first"]


def test_a_cache_keeps_the_features(corpus: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    (tmp_path / "out").mkdir()
    written(corpus, tmp_path / "out/f.csv", "--cache", str(cache))
    done = RUN.invoke(app, ["features", str(corpus), "-o", str(cache)])
    assert "2 of 3 utterances" in done.stderr and len(list(cache.glob("*/config.json"))) == 1


def test_recordings_without_a_manifest(corpus: Path, tmp_path: Path) -> None:
    name, out = str(corpus.parent / "a.wav"), tmp_path / "f.csv"
    assert RUN.invoke(app, ["features", name, "-o", str(out)]).exit_code == 0
    rows = list(csv.DictReader(io.StringIO(out.read_text(encoding="utf-8"))))
    assert list(rows[0]) == ["id", "frame", "start", *NAMES] and {row["id"] for row in rows} == {name}


def test_wrong_usage(corpus: Path, tmp_path: Path) -> None:
    for options, message in (
        (["-o", str(tmp_path / "folder"), "--statistics"], "are for tables; end the name with .csv"),
        (["-o", str(tmp_path / "f.csv"), "--statistics", "--mode", "functionals"], "has one row for each"),
    ):
        done = RUN.invoke(app, ["features", str(corpus), *options])
        assert done.exit_code == 2 and message in " ".join(done.output.replace("│", " ").split())
    done = RUN.invoke(app, ["features", str(corpus.parent / "b.wav"), "-o", str(tmp_path / "f.csv")])
    assert done.exit_code == 1 and "skipped" in done.stderr and "0 of 1 utterances" in done.stderr
    assert not list(tmp_path.iterdir())


def test_without_pyarrow_nothing_is_computed(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    cache = tmp_path / "cache"
    done = RUN.invoke(app, ["features", str(corpus), "-o", str(tmp_path / "f.parquet"), "--cache", str(cache)])
    assert isinstance(done.exception, MissingExtraError) and "duetto[data]" in str(done.exception)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ConfigurationError, match=r"f\.tsv: give a name that ends with \.csv, \.parquet, \.npz"):
        tables.check_format(tmp_path / "f.tsv")

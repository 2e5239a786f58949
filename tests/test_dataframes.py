"""Tables of pandas and audformat: results, predictions and utterances as their own packages read them."""

import builtins
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import duetto
from duetto import audio, corpora, live
from duetto.data.utterance import Utterance
from duetto.errors import AudioError, ConfigurationError, CorpusError, MissingExtraError
from duetto.evaluation import SystemResult
from duetto.inference import dataframes
from duetto.live.formats.audformat import to_frame as timeline_frame
from sounds import no_voices, voice

pd = pytest.importorskip("pandas")
audformat = pytest.importorskip("audformat")
RATE = 16_000


def result() -> SystemResult:
    """Two seeds, three utterances, two classes."""
    logits = np.log([[[0.8, 0.2], [0.4, 0.6], [0.5, 0.5]], [[0.1, 0.9], [0.3, 0.7], [0.9, 0.1]]])
    return SystemResult(
        "sum", ("happy", "sad"), np.array(["a", "b", "c"]), np.array([0, 1, 1]), logits, (3, 7),
        speaker=np.array(["s1", "", "s1"]), fold=np.array([0, 0, 1]), temperature=np.array([[1, 1], [1, 0.5]]),
    )  # fmt: skip


def test_a_result_by_hand() -> None:
    frame = result().to_frame()
    assert list(frame["id"]) == ["a", "b", "c"] * 2 and list(frame["seed"]) == [3] * 3 + [7] * 3
    assert list(frame["target"]) == ["happy", "sad", "sad"] * 2
    assert list(frame["predicted"][:2]) == ["happy", "sad"] and list(frame["predicted"][3:]) == ["sad", "sad", "happy"]
    assert list(frame["correct"][3:]) == [False, True, False]
    assert list(frame["fold"]) == [0, 0, 1] * 2 and list(frame["speaker"].isna()) == [False, True, False] * 2
    # Of seed 7, fold 1: 0.9 and 0.1, squared by the temperature of 0.5, and normalised.
    assert frame["probability_happy"].to_numpy() == pytest.approx([0.8, 0.4, 0.5, 0.1, 0.3, 0.81 / 0.82])
    assert frame["gender"].isna().all() and set(frame["system"]) == {"sum"}


def test_groups_of_a_result_as_pandas_counts_them() -> None:
    """WA of each seed by pandas and by the result itself."""
    by_seed = result().to_frame().groupby("seed")["correct"].mean()
    assert by_seed.to_list() == [(r == result().target).mean() for r in result().predicted]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recordings: one of speech and its mirror image, and one without speech; and a broken file."""
    folder = tmp_path_factory.mktemp("tables")
    (folder / "wav").mkdir()
    audio.write(folder / "wav/long.wav", np.concatenate((voice(), voice()[::-1])), RATE)
    audio.write(folder / "wav/hum.wav", no_voices()["mains hum"], RATE)
    (folder / "wav/broken.wav").write_bytes(b"no audio")
    return folder


def test_predictions_by_name(folder: Path) -> None:
    recogniser = duetto.load()
    files = [folder / f"wav/{name}.wav" for name in ("long", "hum", "broken")]
    frame = dataframes.to_frame(recogniser.predict_many(files), files)
    expected = recogniser(files[0])
    assert list(frame.index) == list(map(str, files)) and frame.index.name == "file"
    assert frame["label"].iloc[0] == expected.label and frame["label"].isna().to_list() == [False, True, True]
    row = {label: frame[f"probability_{label}"].iloc[0] for label in recogniser.labels}
    assert row == expected.probabilities and frame["duration"].iloc[0] == 4
    assert "no speech was found" in frame["warnings"].iloc[1] and frame["error"].isna().to_list() == [True, True, False]
    assert frame["error"].iloc[2].startswith(str(files[2]))
    with pytest.raises(ConfigurationError, match="1 predictions and 2 file names"):
        dataframes.to_frame([expected], files[:2])
    assert dataframes.to_frame([], []).empty


INDEXES: dict[str, Callable[[], Any]] = {
    "filewise": lambda: audformat.filewise_index(["wav/long.wav", "wav/hum.wav", "wav/broken.wav"]),
    "segmented": lambda: audformat.segmented_index(
        ["wav/long.wav"] * 3 + ["wav/broken.wav"], ["0s", "2s", 0, "1s"], ["2s", None, None, "2s"]
    ),
    "by hand": lambda: pd.MultiIndex.from_arrays(
        [["wav/long.wav"], pd.to_timedelta([2.0], unit="s"), pd.to_timedelta([None])], names=["file", "start", "end"]
    ),
    "empty": lambda: audformat.segmented_index(),
}


@pytest.mark.parametrize("name", INDEXES)
@pytest.mark.parametrize("workers", [1, 2])
def test_the_segments_of_an_index(name: str, workers: int, folder: Path) -> None:
    recogniser, index = duetto.load(), INDEXES[name]()
    frame = dataframes.predict_index(recogniser, index, folder, workers=workers)
    assert frame.index.equals(index) and "emotion" in frame.columns
    for (file, start, end), row in zip(audformat.utils.to_segmented_index(index), frame.itertuples(), strict=True):
        seconds = start.total_seconds() or None, None if end is pd.NaT else end.total_seconds()
        try:
            cut = audio.load(folder / file, start=seconds[0], end=seconds[1])
        except AudioError:
            assert isinstance(row.error, str) and pd.isna(row.emotion)
            continue
        expected = recogniser((cut.samples, cut.sample_rate))
        assert expected.label == (None if pd.isna(row.emotion) else row.emotion)
        assert [getattr(row, f"probability_{label}") for label in expected.probabilities] == pytest.approx(
            list(expected.probabilities.values())
        )


def test_predictions_go_into_a_database(folder: Path, tmp_path: Path) -> None:
    """Written and read again by audformat itself."""
    frame = dataframes.predict_index(duetto.load(), INDEXES["segmented"](), folder)
    database = audformat.Database("mine")
    database.schemes["emotion"] = audformat.Scheme(labels=list(duetto.load().labels))
    database["predicted"] = audformat.Table(frame.index)
    database["predicted"]["emotion"] = audformat.Column(scheme_id="emotion")
    database["predicted"]["emotion"].set(frame["emotion"])
    database.save(str(tmp_path / "db"))
    read = audformat.Database.load(str(tmp_path / "db"))["predicted"].get()
    assert read["emotion"].dropna().to_list() == frame["emotion"].dropna().to_list() and len(read) == 4


@pytest.mark.parametrize("index", [pd.RangeIndex(2), pd.Index(["a"], name="path"), "a"], ids=str)
def test_another_index_is_refused(index: Any) -> None:
    with pytest.raises(CorpusError, match="is none of audformat: give one of file, or of file, start and end"):
        dataframes.predict_index(duetto.load(), index)


def test_a_table_equals_its_file(tmp_path: Path) -> None:
    """What a table in memory gives is what the same table gives from a file, which the parser of corpora reads."""
    index = audformat.segmented_index(["a/b.wav", "a/b.wav", "c.wav"], [0, "1.5s", "0s"], ["1.5s", None, None])
    frame = pd.DataFrame(
        {
            "emotion": pd.Categorical(["anger", None, "happiness"]),
            "speaker": [3, 3, 4],
            "arousal": [0.1, 0.2, 0.3],
            "text": ["oh, well", None, "a\nb"],
        },
        index=index,
    )
    frame.to_csv(tmp_path / "db.csv")
    found = corpora.from_audformat(frame, tmp_path)
    assert found == corpora.load("manifest", tmp_path / "db.csv")
    assert [(u.id, u.label, u.speaker) for u in found] == [
        ("a/b#0-1.5", "angry", "3"),
        ("a/b#1.5-", None, "3"),
        ("c", "happy", "4"),
    ]
    assert found[0].audio == tmp_path / "a/b.wav" and found[0].text == "oh, well"


def test_a_series_and_an_index_are_tables_too() -> None:
    index = audformat.filewise_index(["b.wav", "a.wav"])
    series = pd.Series(["sadness", "bored"], index=index, name="mood")
    assert [(u.id, u.label) for u in corpora.from_audformat(series, labels="as-is")] == [
        ("a", "bored"),
        ("b", "sadness"),
    ]
    assert [(u.id, u.label) for u in corpora.from_audformat(index)] == [("a", None), ("b", None)]
    with pytest.raises(CorpusError, match="is none of audformat"):
        corpora.from_audformat(series.reset_index(drop=True))
    with pytest.raises(CorpusError, match=r"x/table:3: .*ends at 1.0 s, which is not after its start"):
        corpora.from_audformat(audformat.segmented_index(["a.wav", "a.wav"], [0, "2s"], ["1s", "1s"]), "x")


def test_utterances_and_back(tmp_path: Path) -> None:
    utterances = [
        Utterance("x/a#0-1.5", tmp_path / "x/a.wav", None, 1.5, "angry", speaker="s1", language="de"),
        Utterance("x/a#1.5-", tmp_path / "x/a.wav", 1.5, None, "happy"),
        Utterance("y", Path("/elsewhere/y.wav")),
    ]
    table = corpora.to_audformat(utterances, tmp_path)
    audformat.assert_index(table.index)
    assert list(table.columns) == ["emotion", "speaker", "language"]
    assert list(table.index.get_level_values("file")) == ["x/a.wav", "x/a.wav", "/elsewhere/y.wav"]
    back = corpora.from_audformat(table, tmp_path)
    assert [(u.audio, u.start, u.end, u.label, u.speaker) for u in back] == [
        (u.audio, u.start or (0.0 if u.end else None), u.end, u.label, u.speaker)
        for u in (utterances[2], *utterances[:2])
    ]


def test_a_time_line(folder: Path) -> None:
    timeline = live.analyse(duetto.load(), folder / "wav/long.wav")
    frame = timeline_frame(timeline, "wav/long.wav")
    audformat.assert_index(frame.index)
    assert frame["emotion"].to_list() == [segment.label for segment in timeline.segments] and len(frame) > 0
    again = dataframes.predict_index(duetto.load(), frame.index, folder)
    assert again.index.equals(frame.index)


def test_without_pandas_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "pandas":
            raise ModuleNotFoundError(name)
        return original(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    for make in (result().to_frame, lambda: dataframes.to_frame([], []), lambda: corpora.to_audformat([])):
        with pytest.raises(MissingExtraError, match=r"A data frame needs .* pip install 'duetto\[data\]'"):
            make()


def test_a_copied_folder_of_recordings_gives_the_same_table(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    index = INDEXES["segmented"]()[:3]
    first, second = (dataframes.predict_index(duetto.load(), index, f) for f in (folder, tmp_path / "copy"))
    pd.testing.assert_frame_equal(first, second)

"""Recognisers and sessions in other processes: by multiprocessing's spawn, by joblib, and from a file."""

import multiprocessing
import pickle
from pathlib import Path
from typing import Any

import pytest

import duetto
from duetto import audio
from duetto.data.manifest import read_manifest
from duetto.errors import ModelError
from sounds import voice


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pickling") / "voice.wav"
    audio.write(path, voice(), 16_000)
    return path


def test_a_recogniser_answers_alike_in_a_spawned_process(recording: Path) -> None:
    recogniser = duetto.load(require_speech=False, reject=0.3)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        (found,) = pool.map(recogniser, [recording])
    assert found == recogniser(recording) and found.uncertain is not None


def test_a_recogniser_answers_alike_under_joblib(recording: Path) -> None:
    joblib = pytest.importorskip("joblib")
    recogniser = duetto.load("emodb")
    found = joblib.Parallel(n_jobs=2)(joblib.delayed(recogniser)(each) for each in [recording] * 2)
    assert found == [recogniser(recording)] * 2 and found[0].model == "emodb"


def test_arguments_and_name_are_kept_and_a_folder_is_found_from_elsewhere(
    runs: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(runs)
    recogniser = duetto.load("fusion-speech2vec", asr="corpus", require_speech=False)
    pickled = pickle.dumps(recogniser)
    monkeypatch.chdir(tmp_path)
    again = pickle.loads(pickled)
    source = read_manifest(manifest)[0].audio
    assert again.name == "fusion-speech2vec" and again(source) == recogniser(source)
    assert pickle.loads(pickle.dumps(duetto.load())).name == duetto.load().name


def test_a_model_that_is_gone_is_an_error_that_names_it(tmp_path: Path) -> None:
    import shutil

    from duetto.inference.pretrained import folder

    shutil.copytree(folder("emodb"), tmp_path / "mine")
    pickled = pickle.dumps(duetto.load(tmp_path / "mine"))
    shutil.rmtree(tmp_path / "mine")
    with pytest.raises(ModelError, match=r"mine: no model in it"):
        pickle.loads(pickled)


def test_a_session_keeps_what_it_holds_of_the_speaker(adaptive: Any, manifest: Path) -> None:
    session = duetto.load(adaptive, require_speech=False).session()
    turns = [u.audio for u in read_manifest(manifest)[:3]]
    session.enrol(turns[:1])
    session(turns[1])
    again = pickle.loads(pickle.dumps(session))
    assert again.utterances == 2
    expected = session(turns[2])
    assert again(turns[2]) == expected and again.utterances == session.utterances == 3  # each by its own lock
    assert expected.probabilities != duetto.load(adaptive, require_speech=False)(turns[2]).probabilities


@pytest.fixture(scope="module")
def adaptive(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a system that adapts to speakers, quickly trained."""
    from documented import quick, run

    folder = tmp_path_factory.mktemp("adaptive") / "run"
    train = ["train", "acoustic", "--set", "normalisation=shrinkage", "--manifest", str(manifest), "-o", str(folder)]
    run(quick(train))
    return folder

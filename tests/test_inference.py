"""From raw audio to emotion: every way in, every kind of bad input, and agreement with the evaluation."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

import duetto
import quick_training
from duetto import audio
from duetto import runs as run_folder
from duetto.asr.engines import SphinxRecogniser
from duetto.asr.finder import trained_languages
from duetto.asr.recognition import Recognition
from duetto.data.manifest import read_manifest
from duetto.data.utterance import Utterance, Word
from duetto.errors import AudioError, ConfigurationError, ModelError
from duetto.inference import find, inputs, recogniser
from sounds import no_voices, voice


@pytest.fixture(scope="module")
def utterance(manifest: Path) -> Utterance:
    return next(u for u in read_manifest(manifest) if u.session == "5" and u.words)


@pytest.mark.parametrize("name", ["acoustic", "fusion-speech2vec", "fusion-spoken"])
def test_prediction_equals_evaluation(runs: Path, utterance: Utterance, name: str) -> None:
    """The same words through the front door give the probabilities that the evaluation scored."""
    prediction = duetto.load(runs / name)(utterance.audio, words=utterance.words)
    result = run_folder.result_of(runs / name)
    row = list(result.ids).index(utterance.id)
    expected = result.calibrated[0, row]
    # float32 in two libraries
    np.testing.assert_allclose(list(prediction.probabilities.values()), expected, atol=1e-4)
    assert prediction.label == result.classes[int(expected.argmax())]
    assert sum(prediction.probabilities.values()) == pytest.approx(1)


@pytest.mark.parametrize("name", ["fusion-speech2vec", "fusion-spoken"])
def test_from_raw_audio_without_a_transcript(runs: Path, utterance: Utterance, name: str) -> None:
    prediction = duetto.load(runs / name)(utterance.audio)
    assert prediction.words_from == "recognised"
    assert prediction.words and all(word.source == "recognised" and word.end for word in prediction.words)
    said = {word.word for word in utterance.words or ()}
    found = [word.word for word in prediction.words]
    # The recogniser expects the training sentences: it gets at least half of the words of a new one.
    assert sum(word in said for word in found) >= len(found) / 2


def test_rejected_words_are_listed_and_not_read(runs: Path, utterance: Utterance, monkeypatch) -> None:
    """The answer is that of no words at all."""
    system = duetto.load(runs / "fusion-speech2vec", asr="corpus")
    polish = Recognition((Word("tak", 0.1, 0.4, "recognised", 0.9),), "whisper base", "pl", 0.9843751)
    monkeypatch.setattr(SphinxRecogniser, "transcribe", lambda self, samples: polish)
    prediction, without = system(utterance.audio), system(utterance.audio, words=())
    assert prediction.probabilities == without.probabilities
    assert (prediction.words, prediction.words_from, prediction.rejected_words) == ((), "none", polish.words)
    assert any("seems to be pl (probability 0.98)" in warning for warning in prediction.warnings)
    record = prediction.to_json("a.wav")
    assert record["rejected_words"] == [{"word": "tak", "start": 0.1, "end": 0.4, "source": "recognised"}]
    assert [record[k] for k in ("speech_recogniser", "language", "language_probability")] == [
        "whisper base", "pl", 0.984375
    ]  # fmt: skip
    record = without.to_json("a.wav")
    assert [record[k] for k in ("speech_recogniser", "language", "language_probability")] == [None] * 3


def test_a_run_keeps_the_languages_it_was_trained_on(runs: Path) -> None:
    assert trained_languages(find(runs / "fusion-speech2vec")) == ("en",)
    assert "languages" in json.loads((find(runs / "fusion-speech2vec") / "language.json").read_text())


def test_a_transcript_is_aligned(runs: Path, utterance: Utterance) -> None:
    prediction = duetto.load(runs / "fusion-spoken")(utterance.audio, transcript=utterance.text)
    assert prediction.words_from == "aligned"
    gold = [word.start for word in utterance.words or ()]
    found = [word.start for word in prediction.words]
    assert len(gold) == len(found)
    assert float(np.median(np.abs(np.array(gold) - np.array(found)))) < 0.05  # seconds


def test_segments_need_no_recogniser(runs: Path, utterance: Utterance) -> None:
    prediction = duetto.load(runs / "fusion-spoken", asr="segments")(utterance.audio)
    assert prediction.words_from == "segmented" and len(prediction.words) > 1


def test_every_kind_of_input_gives_the_same_prediction(runs: Path, utterance: Utterance) -> None:
    system = duetto.load(runs / "acoustic")
    waveform = audio.load(utterance.audio)
    answers = [
        system(utterance.audio),
        system(str(utterance.audio)),
        system(io.BytesIO(utterance.audio.read_bytes())),
        system({"waveform": waveform.samples, "sample_rate": waveform.sample_rate}),
        system({"waveform": np.stack([waveform.samples] * 2), "sample_rate": waveform.sample_rate}),
    ]
    for answer in answers[1:]:
        np.testing.assert_allclose(
            list(answer.probabilities.values()), list(answers[0].probabilities.values()), atol=1e-6
        )


@pytest.mark.parametrize("rate", [8000, 22_050, 48_000])
@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "opus", "mp3"])
def test_every_format_and_rate_has_an_answer(runs: Path, tmp_path: Path, suffix: str, rate: int) -> None:
    if suffix == "opus" and rate == 22_050:
        pytest.skip("Opus knows no 22 050 Hz")
    path = tmp_path / f"a.{suffix}"
    audio.write(path, audio.load({"waveform": voice(), "sample_rate": 16_000}, sample_rate=rate).samples, rate)
    prediction = duetto.load(runs / "acoustic")(path)
    assert prediction.duration == pytest.approx(2, abs=0.1)  # MP3 and Opus pad
    assert 0.5 < prediction.speech_seconds <= 2
    assert prediction.label == max(prediction.probabilities, key=prediction.probabilities.__getitem__)
    assert any("8000" in w or "narrow" in w for w in prediction.warnings) == (rate == 8000)


@pytest.mark.parametrize(
    "samples", [np.zeros(16_000), np.full(16_000, 0.3), np.ones(1) * 0.1, np.clip(np.sin(np.arange(16_000)) * 9, -1, 1)]
)
@pytest.mark.parametrize("name", ["acoustic", "fusion-speech2vec", "fusion-spoken"])
def test_odd_audio_has_an_answer_and_a_warning(runs: Path, samples: np.ndarray, name: str) -> None:
    """Silent, constant, of one sample, clipped."""
    source = {"waveform": samples.astype(np.float32), "sample_rate": 16_000}
    assert (refused := duetto.load(runs / name)(source)).label is None and refused.warnings
    prediction = duetto.load(runs / name, require_speech=False)(source)
    assert prediction.warnings and np.isfinite(list(prediction.probabilities.values())).all()
    assert prediction.label in prediction.probabilities and prediction.speech_seconds == 0


@pytest.mark.parametrize("sound", no_voices())
def test_a_sound_without_speech_has_no_emotion(sound: str) -> None:
    prediction = duetto.load()({"waveform": no_voices()[sound], "sample_rate": 16_000})
    assert (prediction.label, prediction.probabilities, prediction.speech_seconds) == (None, {}, 0)
    assert (
        prediction.duration == 3 and "no speech was found, so there is no emotion to recognise" in prediction.warnings
    )
    record = json.loads(json.dumps(prediction.to_json("a.wav")))
    assert record["label"] is None and record["probabilities"] == {} and record["speech_seconds"] == 0


def test_the_part_in_which_no_speech_was_found_is_named(runs: Path) -> None:
    """The acoustic system reads the first 20 s, and the voice begins at 30."""
    samples = np.concatenate((np.zeros(480_000, np.float32), voice()))
    prediction = duetto.load(runs / "acoustic")({"waveform": samples, "sample_rate": 16_000})
    assert prediction.label is None and prediction.duration == 32
    assert prediction.warnings[-1].startswith("no speech was found in the 21 s that were read")


def test_words_that_are_given_have_an_emotion_without_sound(runs: Path) -> None:
    """For a system that reads nothing but words; one that reads the sound as well has none."""
    silent = {"waveform": np.zeros(16_000, np.float32), "sample_rate": 16_000}
    words = duetto.load(runs / "embedding-random")
    assert words(silent).label is None
    assert words(silent, transcript="oh that is lovely").label in words.labels
    assert duetto.load(runs / "fusion-speech2vec")(silent, transcript="oh that is lovely").label is None


def test_bad_audio_is_refused(runs: Path, tmp_path: Path) -> None:
    system = duetto.load(runs / "acoustic")
    (tmp_path / "text.wav").write_text("hello")
    (tmp_path / "empty.wav").write_bytes(b"")
    for source in (
        tmp_path / "text.wav", tmp_path / "empty.wav", tmp_path / "missing.wav",
        {"waveform": np.full(99, np.nan), "sample_rate": 16_000}, {"waveform": np.zeros(0), "sample_rate": 16_000},
    ):  # fmt: skip
        with pytest.raises(AudioError):
            system(source)
    waveform = np.full(1600, 1e30, np.float32)
    soundfile.write(tmp_path / "loud.wav", waveform, 16_000, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"loud\.wav: samples reach 1e\+30"):
        system(tmp_path / "loud.wav")
    with pytest.raises(AudioError, match=r"^a recording: samples reach"):
        system({"waveform": waveform, "sample_rate": 16_000})


def test_warnings_that_a_user_needs(runs: Path, utterance: Utterance) -> None:
    voice_only = duetto.load(runs / "acoustic")(utterance.audio, transcript="hello")
    assert any("uses the acoustics only" in warning for warning in voice_only.warnings)
    idle = duetto.load(runs / "acoustic", asr="general")(utterance.audio)
    assert any("asr='general' is not used" in warning for warning in idle.warnings)
    unknown = duetto.load(runs / "fusion-speech2vec")(utterance.audio, words=[Word("xylophone", 0.0, 0.5)])
    assert any("1 of 1 words are not in the system's vocabulary: xylophone" in warning for warning in unknown.warnings)
    long = duetto.load(runs / "acoustic")({"waveform": voice(25), "sample_rate": 16_000})
    assert any("only the first 20 s of 25.0 s" in warning for warning in long.warnings)


def test_models_that_are_none(tmp_path: Path, runs: Path) -> None:
    with pytest.raises(ModelError, match="no model in it"):
        duetto.load(tmp_path)
    with pytest.raises(ModelError, match=r"fold2-seed1: no model in it\. The run folder .* has models in: fold0-seed0"):
        duetto.load(runs / "acoustic/fold2-seed1")
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun/run.json").write_bytes((runs / "acoustic/run.json").read_bytes())
    with pytest.raises(ModelError, match="none of its trainings has ended"):
        duetto.load(tmp_path / "begun")
    part = runs / "acoustic/fold0-seed0"
    for name, content, message in (
        ("model.json", "{", "not valid JSON"),
        ("model.json", '{"format": "x"}', "not of format"),
        ("model.onnx", "junk", "model\\.onnx: .*; train or export again"),
    ):
        broken = tmp_path / "broken"
        broken.mkdir(exist_ok=True)
        for good in ("model.json", "model.onnx"):
            (broken / good).write_bytes((part / good).read_bytes())
        (broken / name).write_text(content)
        with pytest.raises(ModelError, match=message):
            duetto.load(broken)
    for system in ("fusion-spoken", "acoustic"):
        with pytest.raises(ConfigurationError, match="choose auto, corpus, general"):
            duetto.load(runs / system, asr="magic")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("acoustic", {"encoders": ["acoustic", "words"]}),
        ("fusion-speech2vec", {"encoders": ["acoustic"]}),
    ],
)
def test_a_description_of_another_graph_is_refused(
    tmp_path: Path, runs: Path, name: str, change: dict[str, object]
) -> None:
    """Before anything is asked, and not by whatever the graph says of its inputs then."""
    folder = shutil.copytree(runs / name / "fold0-seed0", tmp_path / name)
    described = json.loads((folder / "model.json").read_text())
    described["experiment"] |= change
    (folder / "model.json").write_text(json.dumps(described))
    with pytest.raises(ModelError, match="not of one model"):
        duetto.load(folder)


def test_the_json_record_has_the_documented_keys(runs: Path, utterance: Utterance) -> None:
    record = duetto.load(runs / "fusion-spoken")(utterance.audio, words=utterance.words).to_json("a.wav")
    assert set(record) >= {"file", "duration", "label", "probabilities", "words", "model", "warnings"}
    assert set(record["words"][0]) == {"word", "start", "end", "source"}


def test_the_first_training_of_a_run_answers_whatever_its_number(tmp_path: Path, runs: Path) -> None:
    for name in ("fold0-seed10", "fold0-seed8", "fold10-seed8"):
        shutil.copytree(runs / "acoustic/fold0-seed0", tmp_path / name)
    assert recogniser.find(tmp_path).name == "fold0-seed8"


def test_a_folder_with_the_name_of_a_bundled_model_takes_precedence(
    tmp_path: Path, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert recogniser.find(recogniser.DEFAULT).parent.name == "pretrained"
    shutil.copytree(runs / "acoustic/fold0-seed0", recogniser.DEFAULT)
    assert recogniser.find(recogniser.DEFAULT) == Path(recogniser.DEFAULT)


def test_an_impossible_path_gives_an_error_for_that_file_only(runs: Path) -> None:
    assert isinstance(duetto.load(runs / "acoustic").attempt("x" * 5000), AudioError)


def test_frames_that_leave_out_pauses_are_counted(tmp_path: Path) -> None:
    """A sound of 0.2 s, 37 dB above six seconds of noise; then a minute of sound, each second of it half silent."""
    rng = np.random.default_rng(0)
    beep = 0.01 * rng.normal(size=96_000)
    beep[:3200] += 0.7 * np.sin(np.arange(3200) / 4)
    gaps = np.tile(np.r_[0.1 * rng.normal(size=8000), np.zeros(8000)], 60)
    any_sound = duetto.load(quick_training.train("acoustic-portable", tmp_path), require_speech=False)
    for samples, warning in ((beep, "of 6.0 s are loud enough"), (gaps, "first 20 s of sound of 60.0 s were analysed")):
        prediction = any_sound({"waveform": samples.astype(np.float32), "sample_rate": 16_000})
        assert any(warning in w for w in prediction.warnings), prediction.warnings


def test_words_of_the_end_of_a_long_recording_have_times_in_the_whole(
    runs: Path, utterance: Utterance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system with the padding `pre` reads the end; words are found in it, or given with times in the whole."""
    system, sound = duetto.load(runs / "fusion-spoken"), audio.load(utterance.audio).samples
    monkeypatch.setattr(inputs, "LONGEST_SECONDS", len(sound) / 16_000)
    monkeypatch.setattr(inputs.AcousticInput, "side", "last")
    whole = {"waveform": np.concatenate((np.zeros(40_000, np.float32), sound)), "sample_rate": 16_000}
    end = {"waveform": audio.load(whole, max_seconds=system.max_seconds, side="last").samples, "sample_rate": 16_000}
    before = (40_000 + len(sound) - len(end["waveform"])) / 16_000
    assert before > 1.5
    text = " ".join(word.word for word in utterance.words or ())
    alone = system(end, transcript=text)
    later = tuple(word.shifted(before) for word in alone.words)
    assert alone.words_from == "aligned" and later[0].start is not None and later[0].start > before
    found = system(whole, transcript=text)
    assert (found.words, found.probabilities) == (later, alone.probabilities)
    given = system(whole, words=[Word("early", 0.5, 1.0), *later])
    assert [word.word for word in given.words] == [word.word for word in later]
    np.testing.assert_allclose([w.start for w in given.words], [w.start for w in later], atol=1e-9)  # type: ignore[arg-type]
    np.testing.assert_allclose(list(given.probabilities.values()), list(alone.probabilities.values()), atol=1e-6)
    effects = system.explain(whole, transcript=text)
    assert [(e.start, e.end) for e in effects.words] == [(w.start, w.end) for w in later]
    assert effects.moments[0].start > before

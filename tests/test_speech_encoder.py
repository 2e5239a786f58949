"""Whisper's first layers as features: the numbers, the folder of an encoder, the systems that name one."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import safetensors.numpy
import torch
from onnx import numpy_helper
from typer.testing import CliRunner

import duetto
from duetto import audio
from duetto.cli import app
from duetto.config import experiment
from duetto.data.utterance import Utterance
from duetto.errors import AudioError, ConfigurationError, ModelError
from duetto.experiments.export import export
from duetto.features import contours, functionals, log_mel, speech_encoder, voice, whisper
from duetto.features.registry import ENCODER_KINDS, FEATURES, feature_spec
from duetto.features.speech_encoder import DESCRIPTION, GRAPH, PACKAGED, SpeechEncoder
from duetto.features.store import FeatureStore, extract_corpus
from duetto.models.onnx import whisper as graph
from duetto.models.onnx.int8 import int8
from duetto.training import speech_encoder as builder
from duetto.training import whisper_weights
from duetto.utils import onnx_runtime
from quick_training import check_predictions, train
from speech_encoders import BANDS, DIM, HEADS, ctranslate2, random_weights, reference, whisper_folder

RATE = 16_000


def noise(n: int, seed: int = 0) -> np.ndarray:
    """Noise whose level rises and falls, as that of speech does."""
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(n) * (1.1 + np.sin(np.arange(n) / 2000))).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder of two layers with float32 weights."""
    home = tmp_path_factory.mktemp("encoder")
    builder.build(whisper_folder(home / "whisper"), home / "built", layers=2, int8=False)
    return home / "built"


# numbers


@pytest.mark.parametrize("time", [1, 2, 7, 300])
@pytest.mark.parametrize("layers", [1, 2])
def test_the_graph_computes_what_pytorch_computes(time: int, layers: int) -> None:
    weights, mel = random_weights(), np.random.default_rng(time).standard_normal((BANDS, time)).astype(np.float32)
    run = onnx_runtime.load(graph.encoder(weights, HEADS, layers), "graph", "states", threads=1, repair="")
    states = run({"mel": mel[None]})[0]
    assert states.shape == ((time + 1) // 2, DIM)
    np.testing.assert_allclose(states, reference(weights, mel, layers=layers), atol=1e-5, rtol=1e-5)


def test_the_quantised_graph_computes_what_its_rounded_weights_give() -> None:
    weights, mel = random_weights(), np.random.default_rng(1).standard_normal((BANDS, 90)).astype(np.float32)
    content = int8(graph.encoder(weights, HEADS, 2))
    constants = {c.name: numpy_helper.to_array(c) for c in onnx.load_from_string(content).graph.initializer}
    rounded = dict(weights)
    for name in weights:
        if f"{name}.int8" in constants:
            value = constants[f"{name}.int8"].astype(np.float64) * constants[f"{name}.scale"]
            rounded[name] = value.T if value.ndim == 2 else value
    assert sum(not np.array_equal(rounded[name], weights[name]) for name in weights) == 2 + 2 * 6
    states = onnx_runtime.load(content, "graph", "states", threads=1, repair="")({"mel": mel[None]})[0]
    expected = reference(rounded, mel)
    np.testing.assert_allclose(states, expected, atol=1e-4 * np.abs(expected).max())
    assert np.abs(expected - reference(weights, mel)).max() > 1e-3  # the weights were rounded


def test_log_mel_is_the_textbook_computation() -> None:
    """Against torch.stft, with triangles drawn one by one."""
    samples = noise(8_000)
    window = torch.hann_window(400, periodic=True, dtype=torch.float64)
    spectrum = torch.stft(torch.tensor(samples, dtype=torch.float64), 400, 160, window=window, return_complex=True)
    power = spectrum[:, :-1].abs().numpy() ** 2

    def hertz(mel: float) -> float:
        return mel * 200 / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)

    corners = [hertz(mel) for mel in np.linspace(0, 15 + 27 * np.log(8) / np.log(6.4), 82)]
    bands = np.zeros((80, power.shape[1]))
    for i, (low, centre, high) in enumerate(zip(corners, corners[1:], corners[2:], strict=False)):
        triangle = np.interp(np.arange(201) * 40, (low, centre, high), (0, 2 / (high - low), 0))
        bands[i] = triangle @ power
    levels = np.log10(np.maximum(bands, 1e-10))
    expected = (np.maximum(levels, levels.max() - 8) + 4) / 4
    found = log_mel.log_mel(samples, RATE)
    assert found.shape == (80, 50) and found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_log_mel_is_that_of_faster_whisper() -> None:
    extractor = pytest.importorskip("faster_whisper.feature_extractor").FeatureExtractor()
    samples = noise(40_000)
    np.testing.assert_allclose(log_mel.log_mel(samples, RATE), extractor(samples, padding=0), atol=1e-4)


def test_log_mel_of_silence_and_of_a_few_samples() -> None:
    assert (log_mel.log_mel(np.zeros(16_000, np.float32), RATE) == -1.5).all()
    assert log_mel.log_mel(np.array([0.5], np.float32), RATE).shape == (80, 2)
    whole = (0.5 * np.ones(3_000)).astype(np.float32)
    np.testing.assert_allclose(log_mel.log_mel((whole * 32768).astype(np.int16), RATE), log_mel.log_mel(whole, RATE))
    with pytest.raises(AudioError, match="16000 samples a second, not 8000"):
        log_mel.log_mel(whole, 8_000)


def test_a_long_recording_is_encoded_in_equal_parts(folder: Path) -> None:
    """70 s: 3500 states, three parts of at most 30 s, each as if it stood alone."""
    samples = noise(70 * RATE + 100)
    states = SpeechEncoder(folder)(samples, RATE)
    assert states.shape == (3500, DIM)
    mel = log_mel.log_mel(samples, RATE)
    weights = random_weights(3)
    for begin, end in ((0, 1166), (1166, 2333), (2333, 3500)):
        expected = reference(weights, mel[:, 2 * begin : 2 * end])
        # A thousand radians are a float32 to 6e-5.
        np.testing.assert_allclose(states[begin:end], expected, atol=1e-3)


def test_the_packaged_encoder_is_whisper_base() -> None:
    about = speech_encoder.settings(PACKAGED)
    assert (about.dim, about.layers, about.bands) == (512, 3, 80)
    assert (
        about.about["source"]["sha256"].startswith("d01c3014881c")
        and about.sha256 in (PACKAGED / "README.md").read_text()
    )
    assert (PACKAGED / GRAPH).stat().st_size < 12e6
    states = SpeechEncoder(PACKAGED)(noise(RATE), RATE)
    assert states.shape == (50, 512) and 1 < np.abs(states).max() < 100


# statistics


def test_speech_weights_are_those_of_the_contours() -> None:
    for samples in (noise(30_000), np.r_[noise(9_000), np.zeros(20_000, np.float32)], np.ones(100, np.float32)):
        np.testing.assert_array_equal(contours.speech_weights(samples, RATE), contours.extract(samples, RATE).speech)


def test_statistics_are_weighted_by_speech(folder: Path) -> None:
    """Half a second of sound, then silence: the states of the silence count for nothing."""
    samples = np.r_[noise(8_000), np.zeros(24_000, np.float32)]
    states = SpeechEncoder(folder)(samples, RATE).astype(np.float64)
    found = whisper.EncoderVectorConfig("statistics", folder).extract(samples, RATE)
    assert found.shape == (1, 2 * DIM) and found.dtype == np.float32
    weights = whisper.speech_weights(contours.speech_weights(samples, RATE), len(states))
    assert (weights[:24] == 1).all() and (weights[28:] == 0).all()
    mean = np.average(states, axis=0, weights=weights)
    deviation = np.sqrt(np.average((states - mean) ** 2, axis=0, weights=weights))
    np.testing.assert_allclose(found[0], np.r_[mean, deviation], rtol=1e-5, atol=1e-6)
    means = whisper.EncoderVectorConfig("means", folder).extract(samples, RATE)
    np.testing.assert_array_equal(means, found[:, :DIM])


def test_each_state_has_the_weight_of_the_contours_around_it() -> None:
    """State t is at 20 ms · t, the contours' frame t at 10 ms · t + 20 ms; beyond the ends, the last one counts."""
    speech = np.array((0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0))
    np.testing.assert_allclose(whisper.speech_weights(speech, 5), (0, 0, 0.25, 0.25, 0))
    np.testing.assert_allclose(whisper.speech_weights(np.array((0.5,)), 3), 0.5)


def test_features_of_the_signal_follow_those_of_the_states(folder: Path) -> None:
    samples = noise(20_000)
    statistics = whisper.EncoderVectorConfig("statistics", folder).extract(samples, RATE)
    described = functionals.FunctionalsConfig().extract(samples, RATE)
    found = whisper.EncoderVectorConfig("functionals", folder).extract(samples, RATE)
    np.testing.assert_array_equal(found, np.hstack((statistics, described)))
    frames = voice.VoiceConfig().extract(samples, RATE).astype(np.float64)
    found = whisper.EncoderVectorConfig("voice", folder).extract(samples, RATE)
    level = whisper.EncoderVectorConfig("means", folder).extract(whisper.at_level(samples), RATE)
    np.testing.assert_allclose(found[:, :DIM], level, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[0, DIM:], np.r_[frames.mean(0), frames.std(0)], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("gain", [1.0, 0.3, 0.01])
def test_the_level_of_a_recording_is_that_of_its_loudest_20_ms(gain: float) -> None:
    """A sine of amplitude a has a root mean square of a / √2, at whatever place and level it is."""
    sine = np.sin(2 * np.pi * 500 * np.arange(RATE) / RATE).astype(np.float32)
    samples = gain * np.r_[0.1 * sine[:7001], 0.5 * sine, 0.01 * sine]
    levelled = whisper.at_level(samples)
    assert levelled.dtype == np.float32
    np.testing.assert_allclose(np.abs(levelled).max(), 0.2 * np.sqrt(2), rtol=2e-3)
    np.testing.assert_allclose(levelled / np.abs(levelled).max(), samples / np.abs(samples).max(), atol=1e-5)
    assert np.abs(whisper.at_level(np.zeros(5, np.float32))).max() == 0


@pytest.mark.parametrize("name", [name for name in FEATURES if name.startswith("whisper")])
@pytest.mark.parametrize("samples", [noise(1), np.zeros(5_000, np.float32), np.full(700, 0.5, np.float32)])
def test_odd_recordings_have_finite_features(name: str, samples: np.ndarray) -> None:
    found = feature_spec(name).extractor.extract(samples, RATE)
    assert found.shape[1] == feature_spec(name).dim and np.isfinite(found).all()


def test_states_are_stored_as_float16_without_loss(folder: Path, tmp_path: Path) -> None:
    audio.write(tmp_path / "a.wav", noise(RATE), RATE)
    config = whisper.EncoderConfig(folder)
    utterances = [Utterance("a", tmp_path / "a.wav")]
    extract_corpus(utterances, tmp_path / "s", config, workers=1)
    store = FeatureStore.open(tmp_path / "s")
    assert (store.home / "features.f16").stat().st_size == 2 * 50 * DIM and not (store.home / "features.f32").exists()
    expected = config.extract(audio.load(tmp_path / "a.wav").samples, RATE)
    np.testing.assert_array_equal(store["a"], expected)
    assert store["a"].dtype == np.float32 and not store["a"].flags.writeable
    content = bytearray((store.home / "features.f16").read_bytes())
    content[100] ^= 1
    (store.home / "features.f16").write_bytes(content)
    again = extract_corpus(utterances, tmp_path / "s", config, workers=1)  # notices the damage
    np.testing.assert_array_equal(again["a"], expected)


# folders


def test_a_model_gives_the_same_bytes_every_time(tmp_path: Path) -> None:
    for name in "ab":
        builder.build(whisper_folder(tmp_path / f"model {name}"), tmp_path / name)
    for file in (GRAPH, DESCRIPTION):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_both_formats_hold_the_same_tensors(tmp_path: Path) -> None:
    weights = random_weights(2)
    for prefix in ("encoder.", "model.encoder."):
        home = tmp_path / prefix
        home.mkdir()
        tensors = {f"{prefix}{name}": value for name, value in weights.items()}
        tensors[f"{prefix}embed_positions.weight"] = graph.positions(50, DIM)
        tensors["model.decoder.layers.0.encoder_attn.q_proj.weight"] = np.zeros((DIM, DIM), np.float32)
        safetensors.numpy.save_file(tensors, home / "model.safetensors")
        (home / "config.json").write_text(json.dumps({"encoder_attention_heads": HEADS}))
        found = whisper_weights.read(home)
        assert (found.heads, found.layers, found.dim, found.bands) == (HEADS, 2, DIM, BANDS)
        assert found.tensors.keys() == weights.keys()
        assert all(np.array_equal(found.tensors[name], weights[name]) for name in weights)
    for dtype, tolerance in ((np.float32, 0), (np.float16, 1e-3)):
        (tmp_path / "model.bin").write_bytes(ctranslate2(weights, dtype=dtype))
        found = whisper_weights.read(tmp_path)
        assert found.heads == HEADS and set(found.tensors) - set(weights) == {
            f"layers.{i}.self_attn.k_proj.bias"
            for i in range(2)  # zeros
        }
        for name, value in weights.items():
            assert found.tensors[name].dtype == np.float32
            np.testing.assert_allclose(found.tensors[name], value, rtol=tolerance, atol=tolerance / 10)


GOOD = ctranslate2(random_weights(1))
BROKEN = {
    "cut in a number": (GOOD[:5], "can't be read as a CTranslate2 model"),
    "cut in an array": (GOOD[:2000], "ends too early"),
    "cut between arrays": (GOOD[:-4][: -len(GOOD) // 3], "ends too early|can't be read"),
    "empty": (b"", "can't be read as a CTranslate2 model"),
    "another version": (ctranslate2(random_weights(1), version=3), "format 3; 4 to 6 are known"),
    "another model": (ctranslate2(random_weights(1), kind="TransformerSpec"), "'TransformerSpec', not WhisperSpec"),
    "integers": (ctranslate2(random_weights(1), dtype=np.int8), "its weights are int8; convert the model as float16"),
    "no layers": (ctranslate2(random_weights(0)), "layers.0.fc1.bias is missing"),
    "text": (b"version https://git-lfs.github.com/spec/v1\n", "can't be read as a CTranslate2 model"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_models_are_refused(name: str, tmp_path: Path) -> None:
    content, message = BROKEN[name]
    (tmp_path / "model.bin").write_bytes(content)
    with pytest.raises(ModelError, match=message):
        whisper_weights.read(tmp_path)


def test_models_of_another_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"neither model\.bin .* nor model\.safetensors"):
        whisper_weights.read(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"encoder_attention_heads": 3}))
    changes = {
        "3 heads for 16 values": {},
        "fc2.weight is missing": {"layers.0.fc2.weight": None},
        r"fc1.weight has shape \(2, 2\), not \(32, 16\)": {"layers.0.fc1.weight": np.zeros((2, 2), np.float32)},
        "positions are not Whisper's": {"embed_positions.weight": np.zeros((50, DIM), np.float32)},
    }
    for message, change in changes.items():
        tensors = {
            f"encoder.{name}": value for name, value in (random_weights(1) | change).items() if value is not None
        }
        safetensors.numpy.save_file(tensors, tmp_path / "model.safetensors")
        with pytest.raises(ModelError, match=message):
            whisper_weights.read(tmp_path)


def test_damaged_folders_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=rf"no {DESCRIPTION} in it; give a folder that `duetto encoder build` wrote"):
        SpeechEncoder(tmp_path)
    speech_encoder.copy(folder, tmp_path)
    content = (tmp_path / GRAPH).read_bytes()
    (tmp_path / GRAPH).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ModelError, match="its SHA-256 is not the one"):
        SpeechEncoder(tmp_path)
    about = {"layers": 2, "bands": BANDS, "about": {}}
    speech_encoder.write(content[:-500], tmp_path, dim=DIM, **about)
    with pytest.raises(ModelError, match=r"encoder\.onnx: .*; build it again"):
        SpeechEncoder(tmp_path)
    speech_encoder.write(content, tmp_path, dim=DIM + 1, **about)
    with pytest.raises(ModelError, match="its output is not of the 17 values"):
        SpeechEncoder(tmp_path)
    (tmp_path / DESCRIPTION).write_text(json.dumps({"format": "duetto-encoder-1", "sha256": "x"}))
    with pytest.raises(ModelError, match="'sha256' is not a digest"):
        speech_encoder.settings(tmp_path)


def test_a_strange_graph_never_reaches_onnx_runtime(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = onnx.load(folder / GRAPH)
    model.graph.node[0].op_type = "LSTM"
    speech_encoder.write(model.SerializeToString(), tmp_path, dim=DIM, layers=2, bands=BANDS, about={})
    monkeypatch.setattr(onnx_runtime, "load", lambda *_, **__: pytest.fail("it was loaded"))
    with pytest.raises(ModelError, match="operator 'LSTM', which duetto's graphs don't have there"):
        SpeechEncoder(tmp_path)


def test_the_command_builds_a_folder(tmp_path: Path) -> None:
    model, out = whisper_folder(tmp_path / "whisper"), tmp_path / "out"
    done = CliRunner().invoke(app, ["encoder", "build", str(model), "-o", str(out), "--layers", "2"])
    assert done.exit_code == 0 and "2 layers, 16 values every 20 ms" in done.output
    assert SpeechEncoder(out).settings.about["weights"] == "int8"
    done = CliRunner().invoke(app, ["encoder", "build", str(model), "-o", str(out), "--layers", "4"])
    assert isinstance(done.exception, ConfigurationError) and "has 3 layers; keep 1 to 3" in str(done.exception)


# systems


def test_features_name_a_folder(folder: Path, tmp_path: Path) -> None:
    dims = {"": DIM, "-means": DIM, "-statistics": 2 * DIM, "-functionals": 2 * DIM + 632, "-voice": DIM + 50}
    for kind, dim in dims.items():
        assert feature_spec(f"encoder{kind}:{folder}").dim == dim
    assert experiment.load("acoustic", features=f"encoder:{folder}").uses_audio
    with pytest.raises(ConfigurationError, match=r"choose from corrected, .*encoder:FOLDER"):
        experiment.load("acoustic", features="encoder:")
    with pytest.raises(ModelError, match="give a folder that `duetto encoder build` wrote"):
        feature_spec(f"encoder:{tmp_path}")


def test_keys_follow_the_content_of_a_folder(folder: Path, tmp_path: Path) -> None:
    speech_encoder.copy(folder, tmp_path / "copy")
    builder.build(whisper_folder(tmp_path / "whisper", seed=1), tmp_path / "other", layers=2, int8=False)
    for kind in ENCODER_KINDS:
        keys = [
            feature_spec(f"{kind}:{home}").extractor.key() for home in (folder, tmp_path / "copy", tmp_path / "other")
        ]
        assert keys[0] == keys[1] != keys[2]


def test_a_system_takes_its_encoder_along(tmp_path: Path) -> None:
    """The run predicts without the folder that the experiment named, and so does what it exports."""
    home = tmp_path / "mine"
    builder.build(whisper_folder(tmp_path / "whisper"), home, layers=1)
    toml = tmp_path / "mine.toml"
    toml.write_text(
        f'name = "mine"\ntitle = "Mine"\nencoders = ["acoustic"]\nfeatures = "encoder:{home}"\nhead_layers = 0'
    )
    run = train(toml, tmp_path)
    home.rename(tmp_path / "elsewhere")
    check_predictions(run)
    part = next(run.glob("fold0-*"))
    description = json.loads((part / "model.json").read_text())
    assert description["experiment"]["features"] == "encoder:encoder"
    export(run, tmp_path / "exported")
    recording = next(tmp_path.glob("*.wav"))
    expected = duetto.load(run, require_speech=False)(recording).probabilities
    (tmp_path / "exported").rename(tmp_path / "moved")
    assert duetto.load(tmp_path / "moved", require_speech=False)(recording).probabilities == pytest.approx(
        expected, abs=1e-6
    )
    assert "| encoder/encoder.onnx |" in (tmp_path / "moved/README.md").read_text()


def test_a_model_reads_no_encoder_but_its_own(folder: Path, tmp_path: Path) -> None:
    """model.json may come from anybody: the folder that it names is never opened."""
    from duetto import inference

    e = experiment.load("acoustic", features=f"encoder:{folder}")
    (tmp_path / "model.json").write_text(
        json.dumps({"format": "duetto-model-1", "temperature": 1.0, "experiment": json.loads(e.to_json())})
    )
    with pytest.raises(ModelError):
        inference.settings(tmp_path)

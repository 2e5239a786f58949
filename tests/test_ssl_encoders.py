"""wav2vec 2.0, HuBERT, WavLM, data2vec and Whisper of random weights: duetto's graphs against `transformers`."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch
from typer.testing import CliRunner

from duetto.cli import app
from duetto.errors import AudioError, ConfigurationError, MissingExtraError, ModelError
from duetto.features import contours, speech_encoder, whisper
from duetto.features.log_mel import log_mel
from duetto.features.registry import feature_spec
from duetto.features.speech_encoder import DESCRIPTION, LONGEST_FRAMES, SpeechEncoder
from duetto.models.onnx.wav2vec2 import buckets
from duetto.training import speech_encoder as builder
from duetto.training import wav2vec2_weights
from quick_training import check_predictions, train

transformers = pytest.importorskip("transformers", reason="needs the extra `ssl`")

RATE = 16_000
LAYERS = 4
TOLERANCE = 1e-5
"""Greatest difference from `transformers`, as a share of the largest value: float32 sums in another order."""

SMALL: dict[str, Any] = {
    "hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": LAYERS, "intermediate_size": 24,
    "conv_dim": (8,) * 7, "num_conv_pos_embedding_groups": 4, "initializer_range": 0.3, "layerdrop": 0.0,
}  # fmt: skip
LARGE: dict[str, Any] = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
"""What the large models of a family have."""

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "wav2vec2-base": ("Wav2Vec2", {}),
    "wav2vec2-large": ("Wav2Vec2", LARGE),
    "hubert-base": ("Hubert", {"feat_proj_layer_norm": False}),
    "hubert-large": ("Hubert", LARGE | {"num_conv_pos_embeddings": 17}),
    "hubert-batch-norm": ("Hubert", {"conv_pos_batch_norm": True}),
    "wavlm-base": ("WavLM", {}),
    "wavlm-large": ("WavLM", LARGE | {"num_buckets": 32, "max_bucket_distance": 80}),
    "unispeech-sat": ("UniSpeechSat", {}),
    "data2vec": ("Data2VecAudio", {"conv_pos_kernel_size": 19, "num_conv_pos_embeddings": 3}),
}
"""Name → class and what its configuration has beyond `SMALL`."""


def noise(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(n) + 0.02).astype(np.float32)


def saved(folder: Path, variant: str = "wav2vec2-base", *, normalise: bool = True, **changes: Any) -> Any:
    """A model of random weights, saved as Hugging Face has it."""
    family, options = VARIANTS[variant]
    torch.manual_seed(1)
    model = getattr(transformers, f"{family}Model")(
        getattr(transformers, f"{family}Config")(**SMALL | options | changes)
    )
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():  # what starts as ones, zeros or a running mean of 0 would hide its absence
        for name, value in (*model.named_parameters(), *model.named_buffers()):
            if value.is_floating_point() and ("norm" in name or name.endswith(("bias", "const"))):
                value.add_(0.3 * torch.rand(value.shape, generator=generator))
    model.save_pretrained(folder)
    preprocessor = transformers.Wav2Vec2FeatureExtractor(do_normalize=normalise)
    preprocessor.save_pretrained(folder)
    return model.eval()


def theirs(folder: Path, model: Any, samples: np.ndarray) -> list[np.ndarray]:
    """Output of each layer that `transformers` computes, its feature extractor included."""
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    entered = extractor(samples, sampling_rate=RATE, return_tensors="pt").input_values
    with torch.no_grad():
        return [state[0].numpy() for state in model(entered, output_hidden_states=True).hidden_states[1:]]


def close(found: np.ndarray, expected: np.ndarray, tolerance: float = TOLERANCE) -> None:
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=tolerance * np.abs(expected).max(), rtol=0)


# numbers


@pytest.mark.parametrize("variant", VARIANTS)
def test_states_are_those_of_transformers(variant: str, tmp_path: Path) -> None:
    """Of the second and of the third layer, for recordings of one frame and of some seconds."""
    model = saved(tmp_path / "model", variant)
    for layers in (2, 3):
        builder.build(tmp_path / "model", tmp_path / "built", layers=layers, int8=False)
        encoder = SpeechEncoder(tmp_path / "built")
        for n in (400, 719, 720, 5_000, 3 * RATE + 77):
            samples = noise(n, n)
            found = encoder(samples, RATE)
            close(found, theirs(tmp_path / "model", model, samples)[layers - 1])
            assert found.shape == ((n - 400) // 320 + 1, 16) and found.dtype == np.float32


@pytest.mark.parametrize("variant", ["wav2vec2-large", "wavlm-base"])
def test_the_last_layer_of_a_model_is_given_before_its_last_normalisation(variant: str, tmp_path: Path) -> None:
    model = saved(tmp_path / "model", variant)
    builder.build(tmp_path / "model", tmp_path / "built", layers=LAYERS, int8=False)
    found = SpeechEncoder(tmp_path / "built")(noise(RATE), RATE)
    entered = transformers.AutoFeatureExtractor.from_pretrained(tmp_path / "model")(
        noise(RATE), sampling_rate=RATE, return_tensors="pt"
    ).input_values
    with torch.no_grad():
        expected = model(entered).last_hidden_state[0].numpy()
        if variant == "wav2vec2-large":
            found = model.encoder.layer_norm(torch.from_numpy(found)).numpy()
    close(found, expected)


def test_a_mixture_weighs_the_layers(tmp_path: Path) -> None:
    model = saved(tmp_path / "model", "wavlm-base")
    built = builder.build(tmp_path / "model", tmp_path / "built", layers=3, mix=(1, 0, 3), int8=False)
    assert built.about["mix"] == [0.25, 0.0, 0.75]
    outputs = theirs(tmp_path / "model", model, noise(RATE))
    close(SpeechEncoder(tmp_path / "built")(noise(RATE), RATE), 0.25 * outputs[0] + 0.75 * outputs[2])


@pytest.mark.parametrize("normalise", [True, False])
def test_samples_are_normalised_as_the_preprocessor_states(normalise: bool, tmp_path: Path) -> None:
    model = saved(tmp_path / "model", "hubert-large", normalise=normalise)
    built = builder.build(tmp_path / "model", tmp_path / "built", layers=2, int8=False)
    assert built.samples is not None and built.samples.normalise == normalise
    encoder, samples = SpeechEncoder(tmp_path / "built"), noise(RATE)
    close(encoder(samples, RATE), theirs(tmp_path / "model", model, samples)[1])
    louder = np.abs(encoder(samples, RATE) - encoder(3 * samples, RATE)).max()
    assert (louder < 1e-3) == normalise


def test_8_bit_weights_change_the_states_little(tmp_path: Path) -> None:
    for variant in ("wav2vec2-base", "wavlm-large"):
        saved(tmp_path / variant, variant)
        builder.build(tmp_path / variant, tmp_path / "whole", layers=2, int8=False)
        builder.build(tmp_path / variant, tmp_path / "rounded", layers=2)
        whole, rounded = (SpeechEncoder(tmp_path / name)(noise(RATE), RATE) for name in ("whole", "rounded"))
        difference = np.sqrt(np.square(rounded - whole).mean() / np.square(whole).mean())
        assert 0 < difference < 0.05


def test_whisper_needs_no_transformers_and_agrees_with_it(tmp_path: Path) -> None:
    config = transformers.WhisperConfig(
        d_model=16, encoder_layers=3, encoder_attention_heads=2, encoder_ffn_dim=24, decoder_layers=1,
        decoder_attention_heads=2, decoder_ffn_dim=24, max_source_positions=150, init_std=0.3, vocab_size=60,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=3,
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.WhisperModel(config).eval()
    model.save_pretrained(tmp_path / "model")
    builder.build(tmp_path / "model", tmp_path / "built", layers=2, int8=False)
    samples = noise(3 * RATE)  # 300 frames of the spectrogram: all that this model reads
    mel = torch.from_numpy(log_mel(samples, RATE)[None])
    with torch.no_grad():
        expected = model.encoder(mel, output_hidden_states=True).hidden_states[2][0].numpy()
    close(SpeechEncoder(tmp_path / "built")(samples, RATE), expected)


def test_buckets_are_those_of_wavlm() -> None:
    attention = transformers.models.wavlm.modeling_wavlm.WavLMAttention(16, 2, num_buckets=320, max_distance=800)
    count = LONGEST_FRAMES
    with torch.no_grad():
        attention.rel_attn_embed.weight[:] = torch.arange(320.0)[:, None]
        numbers = attention.compute_bias(count, count)[0].numpy()  # [query, key]: the number of the bucket
    distance = np.arange(count) - np.arange(count)[:, None]
    np.testing.assert_array_equal(buckets(distance, 320, 800), numbers)


# recordings


def test_a_long_recording_is_encoded_in_equal_parts(tmp_path: Path) -> None:
    """40 s: 1999 states, three parts of at most 15 s; the recording is normalised as a whole."""
    model = saved(tmp_path / "model", "wavlm-base")
    builder.build(tmp_path / "model", tmp_path / "built", layers=2, int8=False)
    samples = noise(40 * RATE) * np.linspace(0.2, 1, 40 * RATE, dtype=np.float32)
    states = SpeechEncoder(tmp_path / "built")(samples, RATE)
    assert states.shape == (1999, 16)
    entered = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
    for begin, end in ((0, 666), (666, 1332), (1332, 1999)):
        last = len(samples) if end == 1999 else 320 * (end - 1) + 400
        part = torch.from_numpy(entered[None, 320 * begin : last])
        with torch.no_grad():
            expected = model(part, output_hidden_states=True).hidden_states[2][0].numpy()
        close(states[begin:end], expected, 1e-4)


def test_odd_recordings(tmp_path: Path) -> None:
    saved(tmp_path / "model")
    builder.build(tmp_path / "model", tmp_path / "built")
    encoder = SpeechEncoder(tmp_path / "built")
    assert encoder.settings.layers == 2  # half of four
    for samples in (noise(1), np.zeros(5_000, np.float32), np.full(700, 0.5, np.float32)):
        states = encoder(samples, RATE)
        assert len(states) == max(1, (len(samples) - 400) // 320 + 1) and np.isfinite(states).all()
    whole = (32_768 * noise(4_000)).astype(np.int16)
    np.testing.assert_allclose(encoder(whole, RATE), encoder(whole / np.float32(32_768), RATE), atol=1e-5)
    with pytest.raises(AudioError, match="16000 samples a second, not 8000"):
        encoder(noise(8_000), 8_000)


def test_statistics_weigh_each_state_by_the_speech_around_its_centre(tmp_path: Path) -> None:
    """State t is centred on 20 ms · t + 12.5 ms, the contours' frame t on 10 ms · t + 20 ms."""
    speech = np.array((0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0))
    np.testing.assert_allclose(whisper.speech_weights(speech, 4, 0.0125), (0, 0, 0.5, 0))
    saved(tmp_path / "model")
    builder.build(tmp_path / "model", tmp_path / "built")
    samples = np.r_[noise(8_000), np.zeros(24_000, np.float32)]
    states = SpeechEncoder(tmp_path / "built")(samples, RATE)
    weights = whisper.speech_weights(contours.speech_weights(samples, RATE), len(states), 0.0125)
    found = feature_spec(f"encoder-statistics:{tmp_path / 'built'}").extractor.extract(samples, RATE)
    np.testing.assert_allclose(found[0], np.concatenate(whisper.statistics(states, weights)), rtol=1e-6)


def test_keys_follow_graph_and_normalisation(tmp_path: Path) -> None:
    keys = []
    for normalise in (True, False):
        saved(tmp_path / "model", normalise=normalise)
        home = tmp_path / f"built-{normalise}"
        builder.build(tmp_path / "model", home)
        keys.append(feature_spec(f"encoder:{home}").extractor.key())
    graphs = [(tmp_path / f"built-{normalise}/encoder.onnx").read_bytes() for normalise in (True, False)]
    assert keys[0] != keys[1] and graphs[0] == graphs[1]


# folders


def test_the_command_builds_a_folder(tmp_path: Path) -> None:
    saved(tmp_path / "model", "wavlm-large")
    command = ["encoder", "build", str(tmp_path / "model"), "-o", str(tmp_path / "out"), "--layers", "3"]
    done = CliRunner().invoke(app, [*command, "--mix", "1,1,1"])
    assert done.exit_code == 0 and "3 layers, 16 values every 20 ms" in done.output
    about = speech_encoder.settings(tmp_path / "out").about
    assert about["model"] == "wavlm" and about["source"]["layers"] == LAYERS and about["weights"] == "int8"
    for mix, message in (
        ("1,1", "one of at least 0 for each of the 3"),
        ("1,-1,1", "at least 0"),
        ("a", "numbers with"),
    ):
        done = CliRunner().invoke(app, [*command, "--mix", mix])
        assert isinstance(done.exception, ConfigurationError) and message in str(done.exception)
    done = CliRunner().invoke(app, [*command[:-1], "5"])
    assert isinstance(done.exception, ConfigurationError) and "has 4 layers; keep 1 to 4" in str(done.exception)


def test_a_model_gives_the_same_bytes_every_time(tmp_path: Path) -> None:
    saved(tmp_path / "model", "wavlm-base")
    for name in "ab":
        builder.build(tmp_path / "model", tmp_path / name)
    for file in ("encoder.onnx", DESCRIPTION):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_a_checkpoint_with_a_head_holds_the_same_encoder(tmp_path: Path) -> None:
    model = saved(tmp_path / "model", "hubert-base")
    whole = transformers.HubertForCTC(model.config)
    whole.hubert = model
    whole.save_pretrained(tmp_path / "ctc")
    (tmp_path / "ctc/preprocessor_config.json").write_bytes((tmp_path / "model/preprocessor_config.json").read_bytes())
    graphs = []
    for name in ("model", "ctc"):
        builder.build(tmp_path / name, tmp_path / f"{name}-built")
        graphs.append((tmp_path / f"{name}-built/encoder.onnx").read_bytes())
    assert graphs[0] == graphs[1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_act": "relu"}, "activations are gelu, relu"),
        ({"layer_norm_eps": 1e-3}, "layer_norm_eps is 0.001"),
        ({"adapter_attn_dim": 4, "do_stable_layer_norm": True}, "layers have adapters"),
        ({"conv_stride": (5, 2, 2, 2, 2, 2, 1)}, "a state every 160 samples, not every 320"),
    ],
)
def test_other_architectures_are_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    saved(tmp_path, **changes)
    with pytest.raises(ModelError, match=message):
        builder.build(tmp_path, tmp_path / "out")


def test_a_variant_that_computes_something_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph that differs from `transformers` is never written."""
    saved(tmp_path, "wavlm-base")
    read = wav2vec2_weights.read

    def changed(folder: Path) -> wav2vec2_weights.Wav2Vec2Encoder:
        model = read(folder)
        name = "encoder.layers.0.attention.gru_rel_pos_const"
        return replace(model, weights=model.weights | {name: model.weights[name] + 1})

    monkeypatch.setattr(wav2vec2_weights, "read", changed)
    with pytest.raises(ModelError, match="differ from those of transformers by"):
        builder.build(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_damaged_folders_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path)
    weights, config = tmp_path / "model.safetensors", json.loads((tmp_path / "config.json").read_text())
    tensors = safetensors.numpy.load_file(weights)
    content = weights.read_bytes()

    def refused(message: str) -> None:
        with pytest.raises(ModelError, match=message):
            builder.build(tmp_path, tmp_path / "out")

    weights.write_bytes(content[:1000])
    refused("transformers can't load the model")
    del tensors["encoder.layers.1.feed_forward.output_dense.weight"]
    safetensors.numpy.save_file(tensors, weights, {"format": "pt"})
    refused("lack 1 tensors, such as encoder.layers.1.feed_forward.output_dense.weight")
    weights.rename(tmp_path / "pytorch_model.bin")
    refused("pickled weights are not read")
    (tmp_path / "pytorch_model.bin").unlink()
    weights.write_bytes(content)
    (tmp_path / "preprocessor_config.json").rename(tmp_path / "elsewhere.json")
    refused(r"no preprocessor_config\.json in it, which states whether samples are normalised")
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"sampling_rate": 8_000}))
    refused("reads 8000 samples a second, not 16000")
    (tmp_path / "config.json").write_text(json.dumps(config | {"model_type": "wav2vec2-bert"}))
    refused("a model of type 'wav2vec2-bert'; known are whisper, data2vec-audio, hubert")
    (tmp_path / "config.json").write_text("{")
    refused("config.json")


def test_missing_transformers_name_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"duetto\[ssl\]"):
        builder.build(tmp_path, tmp_path / "out")


def test_damaged_descriptions_are_refused(tmp_path: Path) -> None:
    saved(tmp_path / "model")
    builder.build(tmp_path / "model", tmp_path / "built")
    path = tmp_path / "built" / DESCRIPTION
    good = json.loads(path.read_text())
    for samples, message in (
        ({"window": 400}, "'normalise' is missing"),
        ({"window": 0, "normalise": True}, "an integer from 1 to 65536"),
        ({"window": 4_000, "normalise": True}, "its output is not of the 16 values"),
    ):
        path.write_text(json.dumps(good | {"samples": samples}))
        with pytest.raises(ModelError, match=message):
            SpeechEncoder(tmp_path / "built")


def test_a_system_takes_its_encoder_along(tmp_path: Path) -> None:
    """Training and prediction with an encoder of samples, without the folder that the experiment named."""
    saved(tmp_path / "model", "wavlm-base")
    home, toml = tmp_path / "mine", tmp_path / "mine.toml"
    builder.build(tmp_path / "model", home)
    toml.write_text(
        f'name = "mine"\ntitle = "Mine"\nencoders = ["acoustic"]\nfeatures = "encoder:{home}"\nhead_layers = 0'
    )
    run = train(toml, tmp_path)
    home.rename(tmp_path / "elsewhere")
    check_predictions(run)

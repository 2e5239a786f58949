"""Convolutional encoders: against hand-worked values and the published AlexNet, at every length, and as ONNX graphs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import planted
from duetto import training
from duetto.config import experiment
from duetto.config.cnn_stacks import STACKS, Convolution, Pooling, Stack, bands_left, layer_numbers
from duetto.config.model import ModelConfig
from duetto.errors import ModelError
from duetto.features.registry import feature_spec
from duetto.models.cnn import ConvolutionalEncoder
from duetto.models.emotion import Batch, EmotionModel
from duetto.models.onnx import networks
from duetto.training import FoldInputs, checkpoint

LENGTHS = (1, 2, 3, 4, 5, 8, 9, 16, 17, 31, 32, 33, 64, 65, 100, 127, 128, 129)


def values(name: str) -> int:
    return feature_spec(STACKS[name].features).dim


def model(name: str, **changes: object) -> EmotionModel:
    torch.manual_seed(0)
    config = ModelConfig(encoders=("acoustic",), n_features=values(name), acoustic_encoder=name)
    return EmotionModel(replace(config, **changes)).eval()  # type: ignore[arg-type]


def batch(name: str, lengths: tuple[int, ...] = LENGTHS) -> Batch:
    torch.manual_seed(1)
    frames = torch.randn(len(lengths), max(lengths) + 3, values(name))
    return Batch(frames=frames, frame_lengths=torch.tensor(lengths), target=torch.arange(len(lengths)) % 4)


def alexnet() -> nn.Sequential:
    """The convolutions of torchvision's AlexNet, written out: Krizhevsky 2014, arXiv 1404.5997."""
    return nn.Sequential(
        nn.Conv2d(3, 64, kernel_size=11, stride=4, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(kernel_size=3, stride=2),
        nn.Conv2d(64, 192, kernel_size=5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(kernel_size=3, stride=2),
        nn.Conv2d(192, 384, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.Conv2d(384, 256, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.Conv2d(256, 256, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(kernel_size=3, stride=2),
    )


def weights_of(network: nn.Sequential) -> dict[str, Tensor]:
    """As torchvision names them, its classifier included."""
    named = {f"features.{name}": tensor for name, tensor in network.state_dict().items()}
    return {**named, "classifier.1.weight": torch.zeros(4096, 9216)}


def test_worked_by_hand() -> None:
    """Samples 1, 2, 3 with the kernel 1, 2, 3 give 8, 14, 8; in pairs, the largest are 14 and 8; their mean is 11."""
    stack = Stack((Convolution(1, kernel=3, padding=1), Pooling(2, 2)), features="waveform", image=False)
    encoder = ConvolutionalEncoder(stack, 1, 1, 0.0)
    with torch.no_grad():
        encoder.features[0].weight.copy_(torch.tensor([[[1.0, 2.0, 3.0]]]))
        encoder.dense.weight.fill_(1.0)
        encoder.dense.bias.zero_()
    x = torch.tensor([1.0, 2.0, 3.0, 99.0, 99.0])[None, :, None]
    maps, steps = encoder.maps(x, torch.tensor([3]))
    assert maps[0, 0, :2].tolist() == [14, 8] and not maps[0, 0, 2:].any() and steps.tolist() == [2]
    assert encoder(x, torch.tensor([3])).item() == 11


@pytest.mark.parametrize("name", STACKS)
def test_batch_equals_its_items_alone_at_every_length(name: str) -> None:
    network, whole = model(name), batch(name)
    assert whole.frames is not None
    together = network(whole)
    for i, n in enumerate(LENGTHS):
        alone = network(Batch(frames=whole.frames[i : i + 1, :n], frame_lengths=torch.tensor([n])))
        torch.testing.assert_close(alone, together[i : i + 1], rtol=1e-5, atol=1e-5)  # float32, other order of sums


@pytest.mark.parametrize("name", STACKS)
def test_padding_and_an_empty_sequence_never_change_an_answer(name: str) -> None:
    network, given = model(name), batch(name, (0, 5, 40))
    assert given.frames is not None
    noisy = given.frames.clone()
    noisy[0], noisy[1, 5:], noisy[2, 40:] = 1e4, 1e4, 1e4
    torch.testing.assert_close(network(given), network(given._replace(frames=noisy)), rtol=0, atol=0)
    silent = Batch(frames=torch.zeros(1, 1, values(name)), frame_lengths=torch.tensor([1]))
    torch.testing.assert_close(network(silent), network(given)[:1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", STACKS)
def test_exported_graph_equals_the_model_at_every_length(name: str) -> None:
    network, given = model(name), batch(name, (0, *LENGTHS))
    assert given.frames is not None and given.frame_lengths is not None
    weights = {key: tensor.numpy() for key, tensor in network.state_dict().items()}
    session = onnxruntime.InferenceSession(
        networks.emotion(network.config, weights), providers=["CPUExecutionProvider"]
    )

    def answer(frames: Tensor, lengths: Tensor) -> np.ndarray:
        return session.run(["logits"], {"frames": frames.numpy(), "frame_lengths": lengths.numpy()})[0]

    expected = network(given).detach().numpy()
    # float32 in two libraries, sums of at most 4 800 products, logits of size 1
    np.testing.assert_allclose(answer(given.frames, given.frame_lengths), expected, atol=1e-5)
    for i, n in enumerate((0, *LENGTHS)):
        alone = answer(given.frames[i : i + 1, : max(n, 1)], given.frame_lengths[i : i + 1])
        np.testing.assert_allclose(alone, expected[i : i + 1], atol=1e-5)


@pytest.mark.parametrize("name", STACKS)
def test_overfits_one_batch(name: str) -> None:
    network = model(name, dense=16, dropout=0.0).train()
    given = batch(name, (20, 7, 30, 12))
    optimiser = torch.optim.Adam(network.parameters(), lr=5e-4)
    for _ in range(40):
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(network(given), given.target)
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < 0.05


def test_shapes_and_names_are_those_of_alexnet() -> None:
    network = model("alexnet")
    assert isinstance(network.acoustic, ConvolutionalEncoder)
    own = {name: tuple(tensor.shape) for name, tensor in network.acoustic.features.state_dict().items()}
    assert own == {name: tuple(tensor.shape) for name, tensor in alexnet().state_dict().items()}
    assert layer_numbers(STACKS["alexnet"]) == (0, 2, 3, 5, 6, 8, 10, 12)


def test_equals_alexnet_where_no_window_reaches_the_end() -> None:
    torch.manual_seed(0)
    published = alexnet()
    network = model("alexnet")
    assert isinstance(network.acoustic, ConvolutionalEncoder)
    network.acoustic.start_from(weights_of(published), "here")
    x = torch.randn(2, 500, 64)
    image = x.transpose(1, 2)[:, None].repeat(1, 3, 1, 1)
    expected = published(image)[:, :, 0]  # (batch, 256, steps): one band is left
    maps, steps = network.acoustic.maps(x, torch.tensor([500, 500]))
    assert steps.tolist() == [16, 16] and bands_left(STACKS["alexnet"], 64) == 1
    # Step t sees the frames from 32t − 66 to 32t + 128, so that of steps 0 to 11 none sees the end.
    torch.testing.assert_close(maps[..., :12], expected[..., :12], rtol=1e-4, atol=1e-5)


def test_an_experiment_starts_from_the_weights_of_a_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    published = alexnet()
    save_file(weights_of(published), tmp_path / "alexnet.safetensors")
    fold = planted.fold().fold
    rng = np.random.default_rng(0)
    everyone = (*fold.train, *fold.development, *fold.test)
    inputs = FoldInputs(fold, frames={u.id: rng.normal(size=(9, 64)).astype(np.float32) for u in everyone})
    e = experiment.load("spectrogram-alexnet", initial=str(tmp_path / "alexnet.safetensors"))
    built = training.build(training.fit_preprocessor(e, inputs), inputs, seed=0)
    assert isinstance(built.acoustic, ConvolutionalEncoder)
    for name, tensor in published.state_dict().items():
        torch.testing.assert_close(built.acoustic.features.state_dict()[name], tensor, rtol=0, atol=0)


def test_the_error_of_wrong_weights_names_the_shapes(tmp_path: Path) -> None:
    encoder = model("alexnet").acoustic
    assert isinstance(encoder, ConvolutionalEncoder)
    before = encoder.features[0].weight.clone()
    wrong = {**weights_of(alexnet()), "features.0.weight": torch.zeros(96, 3, 11, 11)}
    del wrong["features.10.bias"]
    with pytest.raises(ModelError, match=r"features\.0\.weight is \(96, 3, 11, 11\), not \(64, 3, 11, 11\)") as error:
        encoder.start_from(wrong, "alexnet.safetensors")
    assert "alexnet.safetensors: not the weights" in str(error.value)
    assert "features.10.bias is missing, not (256,)" in str(error.value)
    torch.testing.assert_close(encoder.features[0].weight, before)
    (tmp_path / "alexnet.pth").write_bytes(b"PK\x03\x04 a zip archive")
    for name, message in (("alexnet.pth", r"can't be read as safetensors \(.*save_file"), ("gone", "no such file")):
        with pytest.raises(ModelError, match=message):
            checkpoint.tensors(tmp_path / name)

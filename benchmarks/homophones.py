"""The homophone test on vectors whose origin is known: Speech2Vec and word2vec of one corpus. Prints Markdown tables.

    python benchmarks/homophones.py --corpus corpus --out homophones --word-similarity $DUETTO_DATA/word-similarity

Writes a synthetic corpus (extra `synth`) unless the folder holds one; features, encoder and vectors stay in --out,
and the same command resumes there.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from duetto import corpora, synthetic
from duetto.data.text import tokens
from duetto.data.utterance import Utterance
from duetto.embeddings import similarity, spoken_words, word2vec
from duetto.embeddings import vectors as word_vectors
from duetto.embeddings.inspection import Inspection
from duetto.embeddings.probing import inspect
from duetto.embeddings.vectors import Vectors
from duetto.embeddings.vocabulary import count
from duetto.features.mfcc import MfccConfig
from duetto.features.store import extract_corpus
from duetto.inference import SpokenWordEncoder, export_spoken
from duetto.inference import spoken as spoken_
from duetto.models.speech2vec import Speech2Vec, Speech2VecConfig
from duetto.preprocessing import Normaliser
from duetto.training import speech2vec
from duetto.training.loop import TrainingConfig
from duetto.utils.progress import steps


def trained(utterances: list[Utterance], options: argparse.Namespace) -> tuple[dict[str, Vectors], dict[str, object]]:
    """Name → vectors, all over the same words of the training part; and what the training of Speech2Vec noted."""
    with steps() as step:
        store = extract_corpus(utterances, options.out / "features", MfccConfig(), progress=step("MFCC"))
        rest, development = speech2vec.hold_out(utterances, 0.05, seed=options.seed)
        encoder = speech2vec.train(
            rest,
            development,
            store,
            options.out / f"speech2vec-{options.dim}-{options.epochs}-{options.seed}",
            config=Speech2VecConfig(dim=options.dim, decoder=options.dim),
            training=TrainingConfig(epochs=options.epochs, seed=options.seed),
            progress=step("Speech2Vec"),
        )
        segments = spoken_words.Segments.of(rest, store)
        spoken = spoken_.type_vectors(encoder, segments)
        untrained = spoken.type_vectors(fresh(segments, options), segments)
    sentences = [tokens(utterance) for utterance in rest]
    written = word2vec.train(sentences, dim=options.dim, epochs=20, seed=options.seed)
    rng = np.random.default_rng(options.seed)
    random = Vectors(written.words, rng.normal(size=written.matrix.shape).astype(np.float32))
    found = {"Speech2Vec": spoken, "word2vec": written, "random": random, "untrained encoder": untrained}
    return found, encoder.about


def fresh(segments: spoken_words.Segments, options: argparse.Namespace) -> SpokenWordEncoder:
    """An encoder with random weights: what the architecture gives without any training."""
    torch.manual_seed(options.seed)
    config = Speech2VecConfig(dim=options.dim, decoder=options.dim)
    weights = {name: tensor.numpy() for name, tensor in Speech2Vec(config).state_dict().items()}
    normaliser = Normaliser.fit((segments[i] for i in range(len(segments))), config.n_features)
    export_spoken(weights, normaliser, {"config": asdict(config)}, options.out / "untrained")
    return SpokenWordEncoder(options.out / "untrained")


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print one Markdown table."""
    print(f"\n| {' | '.join(header)} |\n|{'---|' * len(header)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def evidence(name: str, found: Inspection) -> list[str]:
    """One row of the first table."""
    sound, distance = found.homophones, found.distance
    cells = [name, found.verdict]
    if sound is None:
        cells += ["0", "–", "–", "–", "–"]
    else:
        cells += [str(sound.pairs), f"{sound.cosine:.2f}", f"{sound.control_cosine:.2f}"]
        cells += [f"{sound.auc:.2f} ({sound.ci95[0]:.2f}–{sound.ci95[1]:.2f})", f"{sound.p:.4f}"]
    cells.append("–" if distance is None else f"{distance.phones_partial:.2f}")
    cells.append("–" if found.agreement is None else f"{found.agreement.rho:.2f}")
    return cells


def compare_with_people(found: dict[str, Vectors], folder: Path) -> None:
    """Print ρ and coverage on every benchmark of which five pairs or more are covered."""
    scores = {name: similarity.evaluate(vectors, folder) for name, vectors in found.items()}
    first, rows = next(iter(scores.values())), []
    for i, benchmark in enumerate(first):
        if benchmark.pairs_used >= 5:
            row = [benchmark.name, f"{benchmark.pairs_used} of {benchmark.pairs}"]
            for each in scores.values():
                rho, interval = each[i].rho, each[i].ci95
                row.append(
                    "–" if rho is None or interval is None else f"{rho:.2f} ({interval[0]:.2f}–{interval[1]:.2f})"
                )
            rows.append(row)
    table(["benchmark", "pairs covered", *(f"ρ, {name}" for name in scores)], rows)
    print(f"\n{len(first) - len(rows)} of {len(first)} benchmarks have fewer than five pairs covered.")


def main() -> None:
    """Parse, train, inspect, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="synthetic corpus; written where there is none")
    parser.add_argument("--size", type=int, default=800, help="utterances of a corpus that is written")
    parser.add_argument("--out", type=Path, required=True, help="folder for features, encoder and vectors")
    parser.add_argument("--epochs", type=int, default=5, help="of Speech2Vec")
    parser.add_argument("--dim", type=int, default=50, help="values a vector")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--word-similarity", type=Path, help="folder of word-similarity files")
    options = parser.parse_args()
    if not (options.corpus / synthetic.MARKER).is_file():
        synthetic.write(options.corpus, size=options.size, seed=options.seed)
    utterances = [u for u in corpora.load("synthetic", options.corpus) if u.words]
    began = time.perf_counter()
    found, about = trained(utterances, options)
    for name, vectors in found.items():
        word_vectors.save(vectors, options.out / f"{name.lower().replace(' ', '-')}.vec")
    types = len(count(tokens(u) for u in utterances))
    print(f"{len(utterances)} utterances, {types} word types")
    print(f"Speech2Vec: {about['words']} words in training, dropped {about['dropped']}; error {about['loss']:.3f}, on")
    print(f"development words {about['development_loss']:.3f} (the mean frame: {about['mean_frame_error']:.3f})")
    print(f"features, training and vectors: {time.perf_counter() - began:.0f} s")
    header = ["vectors", "verdict", "homophone pairs", "their cosine", "of controls", "AUC (95 %)", "p"]
    rows = [evidence(name, inspect(vectors, other=found["word2vec"])) for name, vectors in found.items()]
    table([*header, "ρ with phone distance", "RSA with word2vec"], rows)
    if options.word_similarity:
        compare_with_people(found, options.word_similarity)


if __name__ == "__main__":
    main()

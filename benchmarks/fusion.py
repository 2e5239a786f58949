"""Which fusion survives a voice it has never heard? Two experiments; prints one Markdown table.

    python benchmarks/fusion.py --data $DUETTO_DATA --out runs/fusion --seeds 3
    python benchmarks/fusion.py --calibrated --out runs/fusion --size 600 --seeds 2     # fusion-calibrated alone
    python benchmarks/fusion.py --calibrated --manifest corpus.jsonl --protocol speaker --out runs/own
    python benchmarks/fusion.py --calibrated --fusion fusion-voice --manifest emodb.jsonl --out runs/voice --seeds 1

1. Synthetic speech: session 5 spoken by voices like those of training, and by voices unlike them (another accent,
   timbre, pitch, rate, level). Words and emotions are the same, so the difference is the voice alone.
2. Real voices, independent real words: each EmoDB recording is given a MELD sentence that people labelled with the
   same emotion; no sentence is used twice. Five folds that share no speaker. The words come as text only, so every
   system reads word2vec vectors trained on the training part.

With --calibrated, instead: `fusion-calibrated`, or --fusion NAME, beside each of its branches, with the paired
difference, on the same corpora, or on a manifest; also after earlier utterances of the speaker, where branches adapt.
--set changes the fusion as in `duetto train` (branches=A,B; inner_folds=3).

Resumable: what lies in --out is not trained again.
"""

from __future__ import annotations

import argparse
import csv
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from duetto import corpora, report, runs, synthetic
from duetto.config import experiment
from duetto.config.experiment import Experiment
from duetto.config.fusion import fusion_with_overrides, load_fusion
from duetto.data.labels import selected
from duetto.data.manifest import read_manifest
from duetto.data.text import normalise
from duetto.data.utterance import Utterance
from duetto.evaluation import SystemResult, mean_ua, paired_bootstrap
from duetto.experiments.fusion_runner import run_fusion
from duetto.experiments.runner import run_systems
from duetto.experiments.workspace import Workspace
from duetto.report.branches import branch_section, named_branches
from duetto.utils.progress import steps

SYSTEMS = (
    "acoustic",
    "embedding-speech2vec",
    "fusion-speech2vec",
    "fusion-attention",
    "fusion-cross-attention",
    "fusion-modality-dropout",
    "fusion-confidence",
    "fusion-speaker",
    "fusion-robust",
)
MELD_LABELS = {"anger": "angry", "joy": "happy", "neutral": "neutral", "sadness": "sad"}
FEWEST_WORDS = 3


def sentences(folder: Path, seed: int) -> dict[str, list[str]]:
    """Label → the different MELD sentences that carry it and have `FEWEST_WORDS` or more, in a random order."""
    texts: dict[str, str] = {}
    for part in ("train", "dev", "test"):
        with (folder / f"{part}_sent_emo.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                words = " ".join(normalise(row["Utterance"]))
                if row["Emotion"] in MELD_LABELS and len(words.split()) >= FEWEST_WORDS:
                    texts.setdefault(words, MELD_LABELS[row["Emotion"]])
    order = np.random.default_rng(seed).permutation(len(texts))
    shuffled = [list(texts.items())[i] for i in order]
    return {label: [text for text, own in shuffled if own == label] for label in MELD_LABELS.values()}


def with_words(utterances: Sequence[Utterance], texts: dict[str, list[str]]) -> list[Utterance]:
    """Each utterance with the next unused sentence of its own label instead of what is said in it."""
    unused = {label: iter(lines) for label, lines in texts.items()}
    return [replace(u, text=next(unused[str(u.label)]), words=None, scenario=None) for u in utterances]


def run(name: str, systems: Sequence[Experiment], utterances: list[Utterance], protocol: str, options) -> None:
    """Train the systems and print their rows."""
    home = options.out / name.replace(" ", "-").replace(",", "")
    with steps() as step:
        found: list[SystemResult] = run_systems(
            systems,
            utterances,
            protocol,
            [home / e.name for e in systems],
            Workspace(home / "cache", progress=step),
            seeds=range(options.seeds),
            workers=options.workers,
        )
    print(f"### {name}\n\n{report.markdown([replace(r, paper_ua=None) for r in found])}", flush=True)


def run_calibrated(name: str, utterances: list[Utterance], protocol: str, options) -> None:
    """Train a fusion of calibrated posteriors, and print it beside its branches with the paired differences."""
    fusion = fusion_with_overrides(load_fusion(options.fusion), options.set)
    home = options.out / name.replace(" ", "-").replace(",", "")
    folder = home / re.sub(r"[^A-Za-z0-9._-]+", "_", fusion.name)
    with steps() as step:
        result = run_fusion(
            fusion,
            utterances,
            protocol,
            folder,
            Workspace(home / "cache", progress=step),
            seeds=range(options.seeds),
            workers=options.workers,
        )
    branches = named_branches(result, runs.branch_results(folder))
    scored = report.score([result, *branches])
    section = branch_section(scored, {result.system: [branch.system for branch in branches]})
    notes = "".join(f"- {note}\n" for note in result.notes)
    print(f"### {name}\n\n{section.tables[0].markdown()}\n{in_sessions(result, branches)}{notes}", flush=True)


def in_sessions(fusion: SystemResult, branches: Sequence[SystemResult]) -> str:
    """Table of a fusion after earlier utterances of the speaker, beside the branches that adapt; empty if none does."""
    lines = []
    for number in fusion.after:
        own = fusion.after_utterances(number)
        lines.append(f"| {number} | {fusion.system} | {mean_ua(own):.1f} | |\n")
        for branch in branches:
            if branch.after:
                other = branch.after_utterances(number)
                gap = paired_bootstrap(own, other)
                low, high = gap.ci95
                row = f"{mean_ua(other):.1f} | {gap.mean:+.1f} [{low:+.1f} to {high:+.1f}]"
                lines.append(f"| {number} | {branch.system} | {row} |\n")
    header = "| after utterances | system | UA % | fusion − branch |\n|---:|---|---:|---:|\n"
    return header + "".join(lines) + "\n" if lines else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, help="folder with emodb/ and meld/; without it the second part is left out"
    )
    parser.add_argument("--out", type=Path, required=True, help="where corpora, runs, features and vectors go")
    parser.add_argument("--size", type=int, default=1200, help="utterances of each synthetic corpus")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1, help="processes that train side by side")
    parser.add_argument("--calibrated", action="store_true", help="fusion-calibrated beside its branches, instead")
    parser.add_argument("--fusion", default="fusion-calibrated", help="with --calibrated: a fusion or its TOML file")
    parser.add_argument("--manifest", type=Path, help="with --calibrated: this corpus alone")
    parser.add_argument("--protocol", default="speaker", help="of the manifest")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="with --calibrated")
    options = parser.parse_args()
    if options.calibrated and options.manifest:
        run_calibrated(options.manifest.stem, selected(read_manifest(options.manifest)), options.protocol, options)
        return
    systems = [experiment.load(name) for name in SYSTEMS]
    for name, unseen in (("synthetic, voices like those of training", False), ("synthetic, voices unlike them", True)):
        tree = options.out / ("unseen" if unseen else "seen")
        if not (tree / synthetic.MARKER).is_file():
            synthetic.write(tree, size=options.size, unseen_test_voices=unseen)
        utterances = selected(corpora.load("synthetic", tree))
        if options.calibrated:
            run_calibrated(name, utterances, "session5", options)
        else:
            run(name, systems, utterances, "session5", options)
    if options.data:
        spoken = with_words(
            selected(corpora.load("emodb", options.data / "emodb")), sentences(options.data / "meld", 0)
        )
        if options.calibrated:
            run_calibrated("EmoDB voices, MELD words", spoken, "speaker", options)
            return
        of_text = [replace(e, embeddings="word2vec", word_dim=50) for e in systems]
        run("EmoDB voices, MELD words", of_text, spoken, "speaker", options)


if __name__ == "__main__":
    main()

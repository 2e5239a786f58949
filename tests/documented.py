"""The code blocks of the documentation: reading them, and the folder in which they are run."""

from __future__ import annotations

import itertools
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import typer
from typer.testing import CliRunner

from duetto import audio, synthetic
from duetto.cli import app
from duetto.data.manifest import read_manifest, write_manifest
from duetto.data.text import tokens
from duetto.embeddings import vectors
from duetto.embeddings.similarity import BENCHMARKS
from duetto.embeddings.vectors import Vectors
from speech_encoders import whisper_folder

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LANGUAGES = ("python", "bash", "json", "toml", "text", "diff", "yaml")
FENCE = re.compile(r"^( *)```(.*)\n((?:.*\n)*?)\1```$", re.M)
COMMAND = typer.main.get_command(app)
SMALL = ("hidden=8", "dense=8", "word_dim=4", "epochs=2")
BASELINES = ("svm", "hmm", "dnn-elm", "evector", "evector-acoustic")
UTTERANCES = 40


@dataclass(frozen=True)
class Block:
    """One fenced block of a page.

    Attributes:
        language: What is behind the opening fence.
        title: Name of the file that it shows, or nothing.
        text: Its content, without indentation.
        line: Line of the page at which it begins.
    """

    language: str
    title: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page."""
    content = page.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(content):
        indent, info, body = match.groups()
        language, _, rest = info.partition(" ")
        title = re.search(r'title="([^"]+)"', rest)
        text = "".join(line.removeprefix(indent) for line in body.splitlines(keepends=True))
        found.append(Block(language, title[1] if title else "", text, content.count("\n", 0, match.start()) + 1))
    return found


def commands(text: str) -> Iterator[list[str]]:
    """The commands of a shell block, each as its words; `|`, `&&` and `>` are words of their own."""
    for line in text.replace("\\\n", " ").splitlines():
        if words := shlex.split(line, comments=True):
            yield words


def duetto_calls(words: list[str]) -> Iterator[list[str]]:
    """Arguments of each call of duetto in a command, without redirections."""
    call: list[str] = []
    for word in [*words, "|"]:
        if word in ("|", "&&"):
            if call[:1] == ["duetto"]:
                yield call[1 : call.index(">") if ">" in call else None]
            call = []
        else:
            call.append(word)


def parse(arguments: list[str]) -> Any:
    """Parse the arguments of a call without running it.

    Args:
        arguments: What follows `duetto`.

    Returns:
        The click context of the command; an unknown option or command raises a usage error.
    """
    command, context, rest = COMMAND, None, list(arguments)
    name = "duetto"
    while True:
        context = command.make_context(name, rest, parent=context)
        if not hasattr(command, "resolve_command"):
            return context
        rest = [*context._protected_args, *context.args]
        name, command, rest = command.resolve_command(context, rest)


def quick(arguments: list[str]) -> list[str]:
    """The same call in small: fewer utterances, units, epochs and seeds."""
    given = list(arguments)
    if given[0] == "train":
        if "--seeds" in given:
            given[given.index("--seeds") + 1] = "1"
        if given[1] not in BASELINES:
            given += [part for setting in SMALL for part in ("--set", setting)]
    elif given[:2] == ["corpus", "synthesise"]:
        given = [*given[:3], "--size", str(UTTERANCES)]
    elif given[:2] in (["speech2vec", "train"], ["speech2vec", "word2vec"]):
        given += ["--epochs", "1", "--dim", "4"]
    return given


def run(arguments: list[str]) -> str:
    """Run a call in this process.

    Args:
        arguments: What follows `duetto`.

    Returns:
        Its standard output.
    """
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, f"duetto {shlex.join(arguments)}: {done.exit_code}\n{done.stderr}\n{done.exception!r}"
    return done.stdout


def write_world(folder: Path) -> None:
    """Write the files that the documentation names: recordings, manifests, vectors, and trained runs."""
    corpus = folder / "IEMOCAP_full_release"
    synthetic.write(corpus, size=UTTERANCES, seed=1, workers=1)
    whisper_folder(folder / "whisper-small", layers=4)
    manifest = folder / "iemocap.jsonl"
    run(["corpus", "manifest", "synthetic", str(corpus), "-o", str(manifest)])
    for name in ("emodb", "corpus", "train"):
        shutil.copy(manifest, folder / f"{name}.jsonl")
    shutil.copytree(corpus, folder / "corpus")
    for name in ("first", "second"):
        (folder / name).mkdir()
        without = [replace(utterance, corpus=None) for utterance in read_manifest(manifest)]
        write_manifest(folder / name / "data.jsonl", without)
    utterances = read_manifest(manifest)
    (folder / "calls").mkdir()
    for name, utterance in zip(("call", "calls/a", "calls/b"), utterances, strict=False):
        shutil.copy(utterance.audio, folder / f"{name}.wav")
    for name, utterance in zip(("1/w01", "1/n02", "2/t01f"), utterances, strict=False):
        (folder / "recordings" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(utterance.audio, folder / f"recordings/{name}.wav")
    words = tuple(sorted({word for u in utterances for word in tokens(u)}))
    made = Vectors(words, np.random.default_rng(0).normal(size=(len(words), 4)).astype(np.float32))
    for path in (folder / "glove.txt", folder / "speech2vec/50.vec", folder / "word2vec/50.vec"):
        path.parent.mkdir(exist_ok=True)
        vectors.save(made, path)
    (folder / "word-similarity").mkdir()
    pairs = [f"{a}\t{b}\t{i}\n" for i, (a, b) in enumerate(itertools.pairwise(words))]
    for file in BENCHMARKS.values():
        (folder / "word-similarity" / file).write_text("".join(pairs[:30]))
    for name, system in (("acoustic", "acoustic"), ("fusion", "fusion-speech2vec")):
        run(quick(["train", system, "--manifest", str(manifest), "-o", str(folder / "runs" / name)]))
    calibrated = ["train", "fusion-calibrated", "--set", "inner_folds=2", "--set", "branches=acoustic,embedding-random"]
    run(quick([*calibrated, "--manifest", str(manifest), "-o", str(folder / "runs/calibrated")]))
    adaptive = ["train", "acoustic", "--set", "normalisation=shrinkage", "--manifest", str(manifest)]
    run(quick([*adaptive, "-o", str(folder / "runs/adaptive")]))
    rated = ["train", "acoustic", "--set", 'dimensions=["arousal"]', "--manifest", str(manifest)]
    run(quick([*rated, "-o", str(folder / "runs/dimensions")]))
    assert audio.load(folder / "call.wav").duration > 1

"""A finished run, scored again with other words of its test utterances.

run folder + utterances ─ rescore ─▶ SystemResult
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .. import runs
from ..data.labels import classes
from ..data.utterance import Utterance
from ..errors import ConfigurationError
from ..evaluation import SystemResult, from_utterances
from ..inference import OovResolver, Session, SpokenEncoder
from ..inference.spoken import AlikeWords, SpokenWords
from ..training import Reader, Sources, prepare
from .workspace import Workspace


def rescore(folder: Path, utterances: Sequence[Utterance], workspace: Workspace, words: str) -> SystemResult:
    """A finished run, scored again on its own test utterances with other words: recognised, or merely segmented.

    utterances: all test utterances of the run, with those words. words: what to call them in a table.
    Nothing is trained; answers come from the exported models, as in prediction.
    """
    described, experiment = runs.read(folder), runs.experiment_of(folder)
    if not experiment.uses_words:
        raise ConfigurationError(f"{folder}: system {experiment.name!r} reads no words")
    by_id = {utterance.id: utterance for utterance in utterances}
    lacking = [i for fold in described["folds"] for i in fold["test"] if i not in by_id]
    if lacking:
        raise ConfigurationError(
            f"{len(lacking)} test utterances of {folder} are not in the manifest: {lacking[0]!r}, …"
        )
    tests = [[by_id[i] for i in fold["test"]] for fold in described["folds"]]
    tested = [utterance for test in tests for utterance in test]
    frames = workspace.frames(experiment, tested)
    alike = experiment.unknown == "spoken" and experiment.embeddings != "spoken"
    mfcc = workspace.mfcc(tested) if alike or experiment.embeddings == "spoken" else None
    seeds = described["seeds"]
    logits = np.zeros((len(seeds), len(tested), len(classes(experiment.label_set))))
    temperature = np.ones((len(seeds), len(tests)))
    for s, seed in enumerate(seeds):
        first = 0
        for f, test in enumerate(tests):
            part = folder / runs.member(f, seed)
            session = Session(part)
            reader = Reader()
            if mfcc is not None and alike:
                reader = Reader(alikes=AlikeWords(mfcc, OovResolver.load(part)))
            elif mfcc is not None:
                reader = Reader(spoken=SpokenWords(part, mfcc, SpokenEncoder(part)))
            inputs = prepare(test, session.preprocessor, Sources(frames=frames), reader, seed=seed)
            logits[s, first : first + len(test)] = session.answer(inputs.frames, inputs.words)
            temperature[s, f] = session.temperature
            first += len(test)
    return from_utterances(
        f"{experiment.name} ({words})",
        tested,
        classes(experiment.label_set),
        logits,
        seeds,
        title=f"{experiment.title}; {words} words",
        fold=np.repeat(np.arange(len(tests)), [len(test) for test in tests]),
        temperature=temperature,
        kind=runs.result_of(folder).kind,  # one that leaks does so with any words
    )

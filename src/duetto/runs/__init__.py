"""The run folder: the only code that reads and writes it.

    run.json                experiment (or baseline), protocol, folds (the ids of each part), seeds, environment, and
                            digests of each utterance: of its labels, words and cut, and of its recording's content
    result.npz              logits of all test utterances (`evaluation.SystemResult`)
    tested.jsonl            manifest of the test utterances, for the list of answers in a report
    audit.json              findings of the audit (`audit.Audit`), where `experiments.runner.run_systems` trained
    control-*.npz           results of the controls
    foldK-seedS/            model.onnx + model.json (prediction; with language.json, spoken.*, sounds.vec where a
                            system reads words), model.safetensors, last.safetensors (training), tensorboard/,
                            teacher/ (the same of a teacher), outcome.npz (logits of this fold)
                            of a fusion: fusion.json, outcome.npz, branches/NAME/ (as above), inner/J/NAME/ (the same
                            branch, trained without the J-th part of the speakers)
    branch-NAME.npz         result of a branch of a fusion by itself
    lock                    held by the process that trains

A run folder can be resumed at any point: every file in it is whole or absent.
"""

from .description import PARTS, RATED, comparable, describe, environment, is_synthetic, kind_of
from .folder import (
    OUTCOME,
    RESULT,
    RUN,
    begin,
    branch_results,
    branches_of,
    check,
    collect,
    collect_branch,
    controls_of,
    experiment_of,
    locked,
    member,
    read,
    reads_words,
    result_of,
    save_controls,
)
from .outcome import adapted_logits, load_outcome, outcome_ratings, outcome_value, save_outcome
from .tested import TESTED, name_corpus, save_tested, tested

__all__ = [
    "OUTCOME",
    "PARTS",
    "RATED",
    "RESULT",
    "RUN",
    "TESTED",
    "adapted_logits",
    "begin",
    "branch_results",
    "branches_of",
    "check",
    "collect",
    "collect_branch",
    "comparable",
    "controls_of",
    "describe",
    "environment",
    "experiment_of",
    "is_synthetic",
    "kind_of",
    "load_outcome",
    "locked",
    "member",
    "name_corpus",
    "outcome_ratings",
    "outcome_value",
    "read",
    "reads_words",
    "result_of",
    "save_controls",
    "save_outcome",
    "save_tested",
    "tested",
]

"""A fitted baseline in a folder of its own.

RUN/foldK-seedS ─ baseline.npz, model.json, language.json, README.md ─▶ DIR
"""

from __future__ import annotations

from pathlib import Path

from .. import runs
from ..asr.finder import LANGUAGE_MODEL_FILE
from ..errors import ModelError
from ..inference import DESCRIPTION
from ..inference.model_folder import ARRAYS
from ..inference.recogniser import Recogniser
from ..utils import files
from .export import README, check_free, chosen_training, scores_section


def export_baseline_run(run: Path, folder: Path, *, fold: int | None = None, seed: int | None = None) -> Path:
    """Export one fitted baseline of a run folder: nothing is converted, so its answers are the same.

    Args:
        run: The run folder.
        folder: To write; must be empty or missing.
        fold: Its number, from 0; the first by default.
        seed: One of the run's; the first by default.

    Returns:
        The folder of the fold and seed that was exported.

    Raises:
        ModelError: `run` holds no run, this fold is unfinished, of an earlier version, or damaged.
        ConfigurationError: The run has no such fold or seed, or the folder is not empty.
    """
    part = run / runs.member(*chosen_training(run, fold, seed))
    check_free(folder)
    if not (part / ARRAYS).is_file() or not (part / DESCRIPTION).is_file():
        raise ModelError(f"{part}: no {ARRAYS} in it; delete {runs.OUTCOME} there and run `duetto train` again")
    with files.new_folder(folder) as temporary:
        for path in (part / name for name in (ARRAYS, LANGUAGE_MODEL_FILE, DESCRIPTION)):
            if path.is_file():
                files.copy(path, temporary / path.name)
        Recogniser(temporary, asr="corpus")  # opens everything that a prediction needs
        files.write_text(temporary / README, _card(run, part))
    return part


def _card(run: Path, part: Path) -> str:
    described = runs.read(run)
    baseline = described["baseline"]
    fold, seed = part.name.removeprefix("fold").split("-seed")
    trained = described["folds"][int(fold)]
    counts = ", ".join(f"{len(trained[part])} {part}" for part in ("train", "development", "test"))
    return (
        f"# {baseline['title']}\n\n    duetto predict FILE --model FOLDER\n\n"
        f"Baseline `{baseline['name']}`, after {baseline['source']}. Reads {' and '.join(baseline['needs'])}. Fitted "
        f"with protocol {described['protocol']}, fold {fold} ({trained['name']}), seed {seed}: {counts} utterances; "
        f"disjoint in {', '.join(trained['disjoint_in']) or 'NOTHING'}.\n\n"
        f"## Scores of the run\n\n{scores_section(run, described)}"
    )

"""What a system reads on one fold: from the workspace to train it, from its own folder to score it again.

Experiment + Fold + Features ─ fold_inputs ─▶ training.FoldInputs
exported model + Fold ─ exported_inputs ─▶ training.FoldInputs
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..config.experiment import Experiment, teacher_of
from ..data.text import tokens
from ..data.utterance import Utterance, ratings_of
from ..embeddings import sentences
from ..embeddings.vocabulary import count, coverage
from ..errors import ConfigurationError
from ..splits import Fold
from ..training import FoldInputs, learned, load_vectors, word_embeddings
from .workspace import Features, Workspace


def fold_inputs(experiment: Experiment, fold: Fold, features: Features, workspace: Workspace) -> FoldInputs:
    """Collect what a system and its teacher read on one fold; train the fold's word vectors and encoder if missing.

    Args:
        experiment: The system.
        fold: Word vectors are trained on its training part; its development part chooses Speech2Vec's epoch.
        features: Of the corpus, for this system.
        workspace: Keeps word vectors and encoders.

    Returns:
        The inputs.
    """
    teacher = teacher_of(experiment)
    encoder = _encoder(experiment, fold, features, workspace)
    return FoldInputs(
        fold,
        frames=features.frames,
        augmented=features.augmented,
        vectors=_vectors(experiment, fold, features, encoder, workspace),
        mfcc=features.mfcc,
        encoder=encoder if _reads_sounds(experiment) else None,
        resolves_oov=_resolves_oov(experiment),
        teacher=teacher and features.teacher and fold_inputs(teacher, fold, features.teacher, workspace),
    )


def exported_inputs(
    experiment: Experiment, folder: Path, fold: Fold, utterances: Sequence[Utterance], workspace: Workspace
) -> FoldInputs:
    """Collect what an exported model reads on one fold, with the encoder in its own folder.

    Args:
        experiment: The system.
        folder: Of the exported model.
        fold: To score.
        utterances: Of all folds: their features are extracted together.
        workspace: Keeps features.

    Returns:
        The inputs: no word vectors, copies or teacher, which only training reads.
    """
    by_sound = _reads_sounds(experiment)
    return FoldInputs(
        fold,
        frames=workspace.frames(experiment, utterances),
        mfcc=workspace.mfcc(utterances) if by_sound else None,
        encoder=folder if by_sound else None,
        resolves_oov=_resolves_oov(experiment),
    )


def check_vectors(experiment: Experiment, utterances: Sequence[Utterance], workspace: Workspace) -> None:
    """Report how much of a corpus the user-supplied word vectors of a system and its teacher cover.

    Args:
        experiment: The system.
        utterances: The corpus.
        workspace: Names the files; its `notify` is called.

    Raises:
        ConfigurationError: The system needs a file of vectors, and none is supplied.
    """
    for e in filter(None, (experiment, teacher_of(experiment))):
        path = workspace.supplied_vectors(e)
        if path is not None:
            found = coverage(count(tokens(utterance) for utterance in utterances), load_vectors(path))
            workspace.notify(
                f"vectors of {path.name}: {found.type_rate:.1%} of the corpus' {found.types} word types, "
                f"{found.token_rate:.1%} of its words; the others: {e.unknown}"
            )
        elif e.uses_words and e.embeddings == "file":
            raise ConfigurationError(f"system {e.name!r} needs a file of word vectors: --vectors FILE")


def check_ratings(experiment: Experiment, folds: Sequence[Fold]) -> None:
    """Check that every dimension of a system can be learned.

    Args:
        experiment: The system.
        folds: That it is trained on.

    Raises:
        ConfigurationError: The training utterances of a fold have fewer than two different ratings of a dimension.
    """
    for fold in folds:
        trained = learned(experiment, fold)
        rated = Counter(name for u in trained for name in u.dimensions or ())
        for name, ratings in zip(experiment.dimensions, ratings_of(trained, experiment.dimensions).T, strict=True):
            if len(set(ratings[~np.isnan(ratings)].tolist())) < 2:
                found = ", ".join(f"{other} ({count})" for other, count in sorted(rated.items())) or "none"
                raise ConfigurationError(
                    f"system {experiment.name!r} learns {name}, and the training utterances of fold {fold.name!r} have "
                    f"no two different ratings of it; they have: {found}. Add them to `dimensions` of the manifest, or "
                    "leave them out of the experiment"
                )


def vectors_identity(experiment: Experiment, workspace: Workspace) -> str:
    """Describe what a system learns from beside the corpus, as `run.json` records it.

    Args:
        experiment: The system.
        workspace: How word vectors are trained, and which are supplied.

    Returns:
        Word vectors, by the digest of their file or the configuration of their training; the weights that the system
        starts from; its teacher, and what that one learns from.

    Raises:
        ConfigurationError: A file is missing.
    """
    parts = [_word_vectors_identity(experiment, workspace)]
    if experiment.initial:
        parts.append(_file_identity(Path(experiment.initial)))
    if experiment.sentences:
        parts.append(_file_identity(Path(experiment.sentences) / sentences.WEIGHTS))
    if (teacher := teacher_of(experiment)) is not None:
        parts += [teacher.to_json(), vectors_identity(teacher, workspace)]
    return " ".join(filter(None, parts))


def _reads_sounds(experiment: Experiment) -> bool:
    """Whether a system embeds spoken words when it answers: all of them, or those out of vocabulary."""
    return experiment.uses_words and "spoken" in (experiment.embeddings, experiment.unknown)


def _resolves_oov(experiment: Experiment) -> bool:
    return _reads_sounds(experiment) and experiment.embeddings != "spoken"


def _encoder(experiment: Experiment, fold: Fold, features: Features, workspace: Workspace) -> Path | None:
    """Folder of the fold's Speech2Vec, trained; None for systems without."""
    if features.mfcc is None:
        return None
    config = replace(workspace.embeddings, dim=experiment.word_dim)
    encoder = word_embeddings.encoder_folder(fold, features.mfcc, config, workspace.vectors_folder)
    if not word_embeddings.is_trained(encoder):
        progress = workspace.progress(f"train Speech2Vec, {fold.name}")
        word_embeddings.train_encoder(encoder, fold, features.mfcc, config, progress)
    if _resolves_oov(experiment):
        word_embeddings.speech2vec_file(encoder, fold, features.mfcc)
    return encoder


def _vectors(
    experiment: Experiment, fold: Fold, features: Features, encoder: Path | None, workspace: Workspace
) -> Path | None:
    """File of the vectors that initialise the embedding table; None for systems with a random one, or without."""
    supplied = workspace.supplied_vectors(experiment)
    if supplied is not None or not experiment.uses_words:
        return supplied
    if experiment.embeddings == "speech2vec" and encoder is not None and features.mfcc is not None:
        return word_embeddings.speech2vec_file(encoder, fold, features.mfcc)
    if experiment.embeddings == "word2vec":
        config = replace(workspace.embeddings, dim=experiment.word_dim)
        return word_embeddings.word2vec_file(fold, config, workspace.vectors_folder)
    return None


def _word_vectors_identity(experiment: Experiment, workspace: Workspace) -> str:
    if not experiment.uses_words:
        return ""
    trained = repr(replace(workspace.embeddings, dim=experiment.word_dim))
    by_sound = f"unknown words by {trained}" if experiment.unknown == "spoken" else ""
    if experiment.embeddings == "random":
        return by_sound
    supplied = workspace.supplied_vectors(experiment)
    return trained if supplied is None else ", ".join(filter(None, (_file_identity(supplied), by_sound)))


def _file_identity(path: Path) -> str:
    if not path.is_file():
        raise ConfigurationError(f"{path}: no such file")
    with path.open("rb") as file:
        return f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()[:16]}"

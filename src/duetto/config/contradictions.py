"""Values of an experiment that do not fit together.

Experiment ─ contradictions ─▶ what is wrong, and what to change
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..features.registry import FEATURES, is_whole_recording
from .cnn_stacks import STACKS
from .encoders import VECTORS

DEFAULT_SHRINKAGE = 5.0
"""Ours: of 2, 5 and 10 recordings the best over unseen speakers of EmoDB and RAVDESS, by a small margin."""


def contradictions(e: Any) -> Iterator[str]:
    """Find values that do not fit together.

    Args:
        e: An `experiment.Experiment` (whose module imports this one), each of whose values is valid by itself.

    Yields:
        Messages of errors, which say what to change.
    """
    if not e.encoders:
        yield 'encoders is empty; set it to ["acoustic"], ["words"], or both'
    for key in ("encoders", "dimensions"):
        if len(set(names := getattr(e, key))) < len(names):
            yield f"{key} = {list(names)} names one twice"
    yield from _acoustic_contradictions(e)
    yield from _word_contradictions(e)
    yield from _fusion_contradictions(e)
    yield from _classifier_contradictions(e)


def _acoustic_contradictions(e: Any) -> Iterator[str]:
    if e.augmentation != "none" and not e.uses_audio:
        yield (
            f"augmentation = {e.augmentation!r} changes recordings, and this system has no acoustic encoder; "
            "add 'acoustic' to encoders"
        )
    if e.acoustic_encoder == "statistics" and e.normalisation == "utterance":
        yield (
            "normalisation = 'utterance' makes every mean 0 and every deviation 1, which is all that "
            "acoustic_encoder = 'statistics' reads; set normalisation = \"train\", or another encoder"
        )
    if e.normalisation == "shrinkage" and not e.uses_audio:
        yield "normalisation = 'shrinkage' adapts features, and this system has no acoustic encoder; leave it out"
    if e.shrinkage != DEFAULT_SHRINKAGE and e.normalisation != "shrinkage":
        yield f'shrinkage = {e.shrinkage} has no use for normalisation = {e.normalisation!r}; set it to "shrinkage"'
    if e.uses_audio:
        yield from _whole_recording_contradictions(e)
    stack = STACKS.get(e.acoustic_encoder)
    if stack is not None and e.features != stack.features:
        yield (
            f"acoustic_encoder = {e.acoustic_encoder!r} reads features = {stack.features!r}, not {e.features!r}; "
            "set both"
        )
    if e.initial and stack is None:
        yield (
            f"initial = {e.initial!r} has no use for acoustic_encoder = {e.acoustic_encoder!r}; "
            f"initial weights can be given for {', '.join(STACKS)}"
        )


def _whole_recording_contradictions(e: Any) -> Iterator[str]:
    whole = is_whole_recording(e.features)
    if whole and e.normalisation == "utterance":
        yield (
            f"normalisation = 'utterance' makes every value of features = {e.features!r} 0, which have one frame for a "
            'recording; set normalisation = "train" or "speaker"'
        )
    if e.acoustic_encoder == "vector" and not whole:
        names = ", ".join(name for name, spec in FEATURES.items() if spec.whole_recording)
        yield (
            f"acoustic_encoder = 'vector' reads one frame, and features = {e.features!r} have many; set features to "
            f'one of {names}, or acoustic_encoder = "statistics"'
        )


def _word_contradictions(e: Any) -> Iterator[str]:
    if not e.uses_words:
        for key, default in (("word_encoder", "bilstm"), ("word_order", "given")):
            if getattr(e, key) != default:
                yield f"{key} = {getattr(e, key)!r} needs words; add 'words' to encoders"
    if not e.counts_words:
        if e.sentences:
            yield f'sentences = {e.sentences!r} stands beside counted words; set word_encoder = "tfidf"'
        return
    for key, default in (("word_order", "given"), ("embeddings", "random"), ("unknown", "random")):
        if getattr(e, key) != default:
            yield f"{key} = {getattr(e, key)!r} has no use for word_encoder = 'tfidf', which counts words; leave it out"


def _fusion_contradictions(e: Any) -> Iterator[str]:
    fused, dropped = f"fusion = {e.fusion!r}", f"modality_dropout = {e.modality_dropout}"
    for setting, given in ((fused, e.fusion != "concatenate"), (dropped, e.modality_dropout > 0)):
        if given and not (e.uses_audio and e.uses_words):
            yield f'{setting} needs two encoders; set encoders = ["acoustic", "words"]'
    if e.fusion == "cross-attention":
        if e.pooling != "attention" or {e.word_encoder, e.acoustic_encoder} != {"bilstm"}:
            yield f'{fused} pools the states of two BiLSTMs; set pooling = "attention" and both encoders to "bilstm"'
        if e.modality_dropout:
            yield f"{dropped} cannot be combined with {fused}, where both encodings hold both modalities; leave one out"


def _classifier_contradictions(e: Any) -> Iterator[str]:
    if e.classifier == "network":
        return
    chosen = f"classifier = {e.classifier!r}"
    if len(e.encoders) > 1:
        yield f"{chosen} reads one vector for each utterance; set one encoder, or combine two systems afterwards"
    elif e.uses_audio and e.acoustic_encoder not in VECTORS:
        yield f'{chosen} reads one vector for each utterance; set acoustic_encoder = "vector", and features to match'
    elif e.uses_words and not e.counts_words:
        yield f'{chosen} reads one vector for each utterance; set word_encoder = "tfidf"'
    if e.epoch_choice != "development":
        yield f"{chosen} has no epochs, and chooses its settings on development data; leave epoch_choice out"
    for key, none in (("teacher", ""), ("verification", 0.0), ("soft_labels", False)):
        if getattr(e, key) != none:
            yield f'{key} = {getattr(e, key)!r} changes the loss of a network; set classifier = "network"'

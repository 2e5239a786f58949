"""A planted problem without audio: utterances whose features and words tell what they are known to tell.

The frames say whether the emotion is aroused (angry, happy) or not, the words whether it is pleasant
(happy, neutral) or not, and both say it without error: so each modality alone can reach a UA of 0.5, and
both together reach 1.
"""

from pathlib import Path

import numpy as np

from duetto.data.labels import LABEL_SETS
from duetto.data.utterance import Utterance
from duetto.splits import folds
from duetto.training import FoldInputs

AROUSED, PLEASANT = {"angry", "happy"}, {"happy", "neutral"}


def corpus(n: int = 160, seed: int = 0) -> tuple[list[Utterance], dict[str, np.ndarray]]:
    """Utterances of 10 speakers in 5 sessions, and their (frames, 34) features."""
    rng = np.random.default_rng(seed)
    utterances, features = [], {}
    for i in range(n):
        label = LABEL_SETS["four"][i % 4]
        speaker = (i // 4) % 10
        word = rng.choice(["lovely", "good"] if label in PLEASANT else ["awful", "bad"])
        text = " ".join([*rng.choice(["the", "day", "was"], rng.integers(1, 5)), word])
        utterance = Utterance(
            f"u{i:03d}",
            Path(f"u{i:03d}.wav"),
            label=label,
            speaker=f"s{speaker}",
            session=str(speaker // 2 + 1),
            gender="FM"[speaker % 2],
            scenario=("impro0" if i % 2 else "script0") + str(i % 3),
            text=text,
        )
        frames = rng.normal(size=(rng.integers(3, 25), 34)).astype(np.float32)
        frames[:, 1] += 3.0 * (label in AROUSED)
        utterances.append(utterance)
        features[utterance.id] = frames
    return utterances, features


def fold(n: int = 160) -> FoldInputs:
    """What a system reads on the single fold of protocol `session5` over a planted corpus."""
    utterances, features = corpus(n)
    return FoldInputs(folds("session5", utterances)[0], frames=features)


def strangers(n: int = 400, seed: int = 0) -> FoldInputs:
    """The fold of `session5` over voices that tell everything once heard, and nothing before.

    Each speaker shows each emotion by a direction of its own, so an encoder can know the voices of the training
    part by heart, which is worth nothing on those of development and test. The last word is that of the emotion
    for 75 % of the utterances, and of any for the others: the words alone reach 0.75 + 0.25/4 = 0.81.
    """
    rng = np.random.default_rng(seed)
    utterances, features = [], {}
    habits, voices = 1.5 * rng.normal(size=(10, 4, 34)), 1.5 * rng.normal(size=(10, 34))
    for i in range(n):
        emotion, speaker = i % 4, (i // 4) % 10
        said = emotion if rng.random() < 0.75 else int(rng.integers(4))
        word = ("furious", "lovely", "usual", "lonely")[said]
        text = " ".join([*rng.choice(["the", "day", "was"], rng.integers(1, 4)), word])
        utterance = Utterance(
            f"u{i:03d}",
            Path(f"u{i:03d}.wav"),
            label=LABEL_SETS["four"][emotion],
            speaker=f"s{speaker}",
            session=str(speaker // 2 + 1),
            text=text,
        )
        frames = rng.normal(size=(rng.integers(5, 15), 34)) + voices[speaker] + habits[speaker, emotion]
        utterances.append(utterance)
        features[utterance.id] = frames.astype(np.float32)
    return FoldInputs(folds("session5", utterances)[0], frames=features)

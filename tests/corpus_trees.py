"""Miniature corpus trees for the tests of corpus readers and validation; every function returns its folder."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from duetto import audio

RATE = 16_000
HEADER = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
WDSEG = """\tSFrm\tEFrm\t  SegAScr Word
\t   0\t   9\t  -117721 <s>
\t  10\t  24\t  -53027 EXCUSE(2)
\t  25\t  29\t  -10 <sil>
\t  30\t  39\t  -9 ME
\t  40\t  44\t  -9 ++BREATHING++
\t  45\t  49\t  -9 </s>
Total score:     -123456
"""

MINI = {
    "Ses01F_impro01": [("Ses01F_impro01_F000", "neu"), ("Ses01F_impro01_M000", "fru"), ("Ses01F_impro01_F001", "exc")],
    "Ses01M_script01_2": [("Ses01M_script01_2_F000", "ang"), ("Ses01M_script01_2_M000", "xxx")],
    "Ses02F_script03_1b": [("Ses02F_script03_1b_M000", "hap"), ("Ses02F_script03_1b_F000", "sad")],
}
"""Dialogue → (id, label): three dialogues of two sessions, every form of name."""


def wav(path: Path, seconds: float = 0.5, rate: int = RATE, frequency: float = 220.0, amplitude: float = 0.1) -> Path:
    """A sine; amplitude 1 is full scale."""
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(round(seconds * rate)) / rate
    audio.write(path, (amplitude * np.sin(2 * np.pi * frequency * time)).astype(np.float32), rate)
    return path


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


def evaluation(turns: Sequence[tuple[str, str]]) -> str:
    """An EmoEvaluation file, in the form of the release."""
    blocks = [
        f"[{6.2901 + at:.4f} - {8.2357 + at:.4f}]\t{name}\t{label}\t[2.5000, 2.5000, 2.5000]\n"
        "C-E2:\tNeutral;\t()\nC-E3:\tNeutral; Sadness;\t(quiet: tired)\nC-F1:\tNeutral; \t()\n"
        "A-E3:\tval 3; act 2; dom  2;\t()\nA-F1:\tval 3; act 2; dom  ;\t()\n"
        for at, (name, label) in enumerate(turns)
    ]
    return HEADER + "\n".join(blocks)


def transcription(turns: Sequence[tuple[str, str]]) -> str:
    """A transcription file, with the lines that are not utterances."""
    lines = [f"{name} [006.2901-008.2357]: Well: excuse me, {number}.\n" for number, (name, _) in enumerate(turns)]
    dialog = turns[0][0].rpartition("_")[0]
    return "".join([*lines, "M: sorry\n", f"{dialog}_FXX0 [009.0000-009.5000]: unfinished\n"])


def iemocap(root: Path, dialogs: dict[str, list[tuple[str, str]]] = MINI, *, recordings: bool = True) -> Path:
    """An IEMOCAP tree without a defect (but of two sessions, unless `dialogs` has more)."""
    for dialog, turns in dialogs.items():
        session = root / f"Session{dialog[4]}"
        write(session / "dialog/EmoEvaluation" / f"{dialog}.txt", evaluation(turns))
        for annotators in ("Attribute", "Categorical", "Self-evaluation"):
            write(
                session / "dialog/EmoEvaluation" / annotators / f"{dialog}_e1.txt", "Ses01F_impro01_F000 :Anger; ()\n"
            )
        write(session / "dialog/transcriptions" / f"{dialog}.txt", transcription(turns))
        for name, _ in turns if recordings else ():
            wav(session / "sentences/wav" / dialog / f"{name}.wav")
            write(session / "sentences/ForcedAlignment" / dialog / f"{name}.wdseg", WDSEG)
    return root

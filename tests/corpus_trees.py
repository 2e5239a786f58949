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
        f"[{6.2901 + at:.4f} - {8.2357 + at:.4f}]\t{name}\t{label}\t[2.5000, 3.2500, 2.0000]\n"
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


MELD_HEADER = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\n"
MELD = {
    "train/train_sent_emo.csv": (
        MELD_HEADER + '1,"Oh, you’re back.",Phoebe,joy,positive,0,0,8,21,"00:16:16,059","00:16:21,731"\n'
        '2,Yes?,Waiter,surprise,positive,0,1,8,21,"00:16:21,940","00:16:23,442"\n'
        '3,Broken.,Ross,anger,negative,125,3,2,1,"00:00:01,000","00:00:02,000"\n'
    ),
    "dev_sent_emo.csv": MELD_HEADER + '1,No!,Joey,anger,negative,0,0,4,7,"00:20:57,256","00:21:00,049"\n',
    "test_sent_emo.csv": MELD_HEADER + '1,Fine.,Monica,neutral,neutral,0,0,3,19,"00:14:38,127","00:14:40,378"\n',
}
"""Table → its text; the second row of the training table has no video that can be decoded."""

IMPROV = """UTD-IMPROV-S01A-F01-S-FM01.avi; A; A:2.800000; V:3.100000; D:2.900000 ; N:3.000000;
AMT-7; Angry; Angry,Frustrated; A:3.000000; V:3.000000; D:3.000000; N:3.000000;
AMT-9; Neutral; Neutral; A:3.000000; V:3.000000; D:3.000000; N:3.000000;

UTD-IMPROV-S20H-M06-P-MF112.avi; X; A:2.800000; V:3.100000; D:NaN ; N:NaN;
AMT-7; Other; Other; A:3.000000; V:3.000000; D:3.000000; N:3.000000;
"""
"""Ratings of MSP-IMPROV: two utterances, three ratings."""

PODCAST = """FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set
MSP-PODCAST_0001_0008.wav,N,2.2,4.0,2.6,30,Male,Test1
MSP-PODCAST_0153_0459.wav,A,3.7,3.5,3.7,Unknown,Unknown,Test2
MSP-PODCAST_3469_0114_0006.wav,U,4.1,4.7,4.0,512,Female,Development
"""
"""Consensus labels of MSP-Podcast."""

LAYOUTS: dict[str, dict[str, str | None]] = {
    "crema-d": {"1001_IEO_ANG_HI.wav": None, "1002_TAI_DIS_XX.wav": None, "1091_ITH_SAD_X.wav": None},
    "tess": {"OAF_Fear/OAF_back_fear.wav": None, "OAF_neutral/OA_bite_neutral.wav": None, "YAF_sad_sad.wav": None},
    "savee": {"AudioData/DC/sa03.wav": None, "AudioData/KL/su15.wav": None, "JE_n30.wav": None},
    "emovo": {"f1/rab-f1-b1.wav": None, "m3/sor-m3-n5.wav": None, "m3/gio-m3-d2.wav": None},
    "shemo": {
        "female/F01A01.wav": None,
        "male/M56W12.wav": None,
        "male/M02N103.wav": None,
        "shemo.json": '{"F01A01": {"gender": "female", "emotion": "anger", "transcript": "دیگه نمی‌تونم"}}',
    },
    "esd": {
        "0001/0001.txt": "0001_000001\t打远一看。\t中立\n0001_000351\t打远一看。\t生气\n",
        "0001/Neutral/0001_000001.wav": None,
        "0001/Angry/evaluation/0001_000351.wav": None,
        "0011/0011.txt": "0011_001401\tThe nine  the eggs, I keep.\tSurprise\n\n0011_000351 The nine the eggs\n",
        "0011/Surprise/test/0011_001401.wav": None,
        "0011/Angry/0011_000351.wav": None,
    },
    "meld": {
        **MELD,
        "train/train_splits/dia0_utt0.wav": None,
        "train/train_splits/dia0_utt1.wav": None,
        "dev_splits_complete/dia0_utt0.flac": None,
        "output_repeated_splits_test/dia0_utt0.wav": None,
    },
    "msp-improv": {
        "Evalution.txt": IMPROV,
        "session1/S01A/S/MSP-IMPROV-S01A-F01-S-FM01.wav": None,
        "session6/S20H/P/MSP-IMPROV-S20H-M06-P-MF112.wav": None,
    },
    "msp-podcast": {
        "Labels/labels_consensus.csv": PODCAST,
        "Audios/MSP-PODCAST_0001_0008.wav": None,
        "Audios/MSP-PODCAST_0153_0459.wav": None,
        "Audios/MSP-PODCAST_3469_0114_0006.wav": None,
        "Transcripts/MSP-PODCAST_0001_0008.txt": "right\n",
    },
}
"""Kind → relative path → text of the file; None for a recording."""


def layout(kind: str, root: Path) -> Path:
    """The tree of a kind of `LAYOUTS`; no two recordings are alike."""
    for number, (name, text) in enumerate(LAYOUTS[kind].items()):
        if text is None:
            wav(root / name, 0.3 + 0.01 * number, frequency=200 + 10 * number)
        else:
            write(root / name, text)
    return root

"""The plan of the corpus: who speaks which sentence, how, in which dialogue and with which label.

    Options ─ draw_plan ─▶ Plan(lines) ─ tree.write ─▶ files

Draws are stratified. With a plain draw of 600 utterances the best possible accuracy on one session would differ by
several points from its ceiling. Here the (style, wording) pairs of each emotion are the
points of a rank-1 lattice i ↦ ((i + u) / N, (g·i + v) / N mod 1), mapped through the two conditional
distributions. Both coordinates of any tenth part of a lattice (one speaker's utterances) are evenly
spaced, so frequencies are within one utterance of nominal for each speaker, and the generator g is
chosen so that the joint table of each session is near nominal too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..errors import ConfigurationError
from . import sentences
from .channel import DEFAULT, EMOTIONS, Channel

SESSIONS = (1, 2, 3, 4, 5)
SPEAKERS = tuple((session, gender) for gender in "FM" for session in SESSIONS)
"""(session, gender) of the ten speakers; speakers of one session stand five apart."""

SCENARIOS = (
    "impro01", "script01_1", "impro02", "script02_1", "impro03", "script03_1", "impro04", "script01_2",
    "impro05", "script02_2", "impro06", "script03_2", "impro07", "script01_3", "impro08",
)  # fmt: skip
"""In the order in which growing corpora use them; each is played twice a session (F and M with markers)."""

EMOTION_OF_SCENARIO = {
    "impro01": "happy", "script01": "angry", "impro02": "neutral", "script02": "sad", "impro03": "angry",
    "script03": "happy", "impro04": "sad", "impro05": "neutral", "impro06": "happy", "impro07": "sad",
    "impro08": "angry",
}  # fmt: skip
"""The emotion that a scenario predicts where `leak` is above 0."""

ODD_NAMES = {(5, "M", "script01_1"): "script01_1b", (3, "M", "impro05"): "impro05a"}
"""(session, markers, scenario) → dialogues whose name carries a letter, as some of IEMOCAP's do."""

RAW_LABELS = {"angry": "ang", "neutral": "neu", "sad": "sad"}
HAPPINESS_SHARE = 595 / 1636
"""Share of the happy utterances that are labelled `hap` rather than `exc`: as in IEMOCAP."""

OTHER_LABELS = {"xxx": 0.5, "fru": 0.4, "sur": 0.1}
"""Raw labels without a class of the label set `four`, and their shares, roughly those of IEMOCAP."""

SMALLEST = 10
_LINES_PER_SCRIPT = 3
_PER_SCENARIO = 16
_LATTICES = 64
_DRAW, _DEAL, _SPEAK, _SCRIPT, _LABEL = range(5)
"""Parts of the seeds, so that no two kinds of draws share a random stream."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a corpus is drawn from.

    Attributes:
        size: Utterances with one of the four emotions, 10 or more.
        seed: Of every draw.
        leak: Share (0–1) of them whose scenario predicts the emotion and, in scripted scenarios, whose sentence other
            sessions repeat nearly verbatim, as in IEMOCAP.
        unseen_test_voices: Whether session 5 has voices unlike the others.
        other_labels: Further utterances, as a share (0–1) of `size`, whose raw label has no class.
        channel: How an emotion shows.
    """

    size: int = 600
    seed: int = 0
    leak: float = 0.0
    unseen_test_voices: bool = False
    other_labels: float = 0.1
    channel: Channel = DEFAULT

    def __post_init__(self) -> None:
        if self.size < SMALLEST:
            raise ConfigurationError(f"size={self.size}: a corpus has ten speakers, so give {SMALLEST} or more")
        if self.seed < 0:
            raise ConfigurationError(f"seed={self.seed}: give 0 or a positive whole number")
        for name in ("leak", "other_labels"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigurationError(f"{name}={getattr(self, name)}: a share lies between 0 and 1")


@dataclass(frozen=True, slots=True)
class Line:
    """One utterance to be synthesised.

    Attributes:
        number: Unique; seeds the jitter of the voice.
        id: In the form of IEMOCAP.
        dialog: Name of its dialogue.
        session: 1–5.
        gender: F or M, of the speaker.
        emotion: None where the raw label has no class.
        raw_label: In the labels of IEMOCAP.
        style: The planted prosody style.
        wording: The planted wording class.
        text: What is spoken.
        scripted: Whether the text is a line of a script that other sessions repeat (only where `leak` is above 0).
    """

    number: int
    id: str
    dialog: str
    session: int
    gender: str
    emotion: str | None
    raw_label: str
    style: str
    wording: str
    text: str
    scripted: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """Every utterance of a corpus.

    Attributes:
        options: What it was drawn from.
        lines: Dialogue by dialogue, in the order in which they are spoken.
    """

    options: Options
    lines: tuple[Line, ...]

    def dialogs(self) -> dict[str, list[Line]]:
        """Group the lines by dialogue.

        Returns:
            Dialogue → its lines in order.
        """
        dialogs: dict[str, list[Line]] = {}
        for line in self.lines:
            dialogs.setdefault(line.dialog, []).append(line)
        return dialogs


@dataclass(slots=True)
class _Slot:
    """An utterance that is not complete yet."""

    number: int
    session: int
    gender: str
    emotion: str | None
    style: str = ""
    wording: str = ""
    markers: str = ""
    scenario: str = ""
    leaks: bool = False


def draw_plan(options: Options) -> Plan:
    """Draw the whole corpus.

    Args:
        options: All that the result depends on.

    Returns:
        The plan.
    """
    slots = _labelled(options) + _others(options)
    count = scenario_count(options.size)
    for session in SESSIONS:
        _assign_dialogues([slot for slot in slots if slot.session == session], SCENARIOS[:count], session, options)
    texts = _texts(slots, options)
    order = np.random.default_rng([options.seed, _DEAL]).permutation(len(slots))
    position = {(name, marker): i for i, (name, marker) in enumerate((s, m) for s in SCENARIOS for m in "FM")}
    arranged = sorted((slots[i] for i in order), key=lambda slot: (slot.session, position[slot.scenario, slot.markers]))
    turns: dict[tuple[str, str], int] = {}
    return Plan(options, tuple(_line(slot, *texts[slot.number], turns, options) for slot in arranged))


def scenario_count(size: int) -> int:
    """Choose the number of scenarios in a session, so that a dialogue has about eight utterances.

    Args:
        size: Of the corpus.

    Returns:
        At least one for each emotion.
    """
    return max(len(EMOTIONS), min(len(SCENARIOS), round(size / len(SESSIONS) / _PER_SCENARIO)))


def base_scenario(scenario: str) -> str:
    """Name the scenario of a part: `script01` of `script01_2`.

    Args:
        scenario: A scenario, or a part of a scripted one.

    Returns:
        The scenario.
    """
    return scenario.split("_")[0]


def _labelled(options: Options) -> list[_Slot]:
    slots: list[_Slot] = []
    for number in range(options.size):
        turn, speaker = divmod(number, len(SPEAKERS))
        session, gender = SPEAKERS[speaker]
        # Balanced after every four numbers; and after four turns every speaker has each emotion once.
        slots.append(_Slot(number, session, gender, EMOTIONS[(number + turn // 2) % 4]))
    for index, emotion in enumerate(EMOTIONS):
        own = [slot for slot in slots if slot.emotion == emotion]
        own.sort(key=lambda slot: (slot.number // 40, slot.number % 10))
        styles, wordings = options.channel.styles()[index], options.channel.wordings()[index]
        sessions = np.array([slot.session for slot in own])
        random = np.random.default_rng([options.seed, _DRAW, index])
        for slot, (style, wording) in zip(own, _lattice(styles, wordings, sessions, random), strict=True):
            slot.style, slot.wording = EMOTIONS[style], EMOTIONS[wording]
    return slots


def _lattice(styles: np.ndarray, wordings: np.ndarray, sessions: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """(n, 2) style and wording indices: of `_LATTICES` random lattices the one whose sessions are most nominal.

    styles, wordings: (4,) probabilities. sessions: (n,) session of each point.
    """
    n = len(sessions)
    index = np.arange(n)
    nominal = np.outer(styles, wordings)
    best, best_score = np.zeros((n, 2), dtype=int), math.inf
    generators = [g for g in range(1, n + 1) if math.gcd(g, n) == 1]
    for _ in range(_LATTICES):
        g, u, v = generators[random.integers(len(generators))], random.random(), random.random()
        points = np.stack([_inverse(styles, (index + u) / n), _inverse(wordings, (g * index + v) / n % 1)], axis=1)
        score = 0.0
        for group in (index >= 0, *(sessions == session for session in SESSIONS)):
            counts = np.zeros((4, 4))
            np.add.at(counts, tuple(points[group].T), 1)
            score += float(np.square(counts - nominal * group.sum()).sum()) / max(1, group.sum())
        if score < best_score:
            best, best_score = points, score
    return best


def _inverse(probabilities: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Classes of `points` in [0, 1) under the inverse cumulative distribution."""
    return np.minimum(np.searchsorted(np.cumsum(probabilities), points, side="right"), len(probabilities) - 1)


def _others(options: Options) -> list[_Slot]:
    """Utterances whose raw label has no class: style and wording uniform."""
    random = np.random.default_rng([options.seed, _LABEL])
    slots: list[_Slot] = []
    for index in range(round(options.other_labels * options.size)):
        session, gender = SPEAKERS[index % len(SPEAKERS)]
        style, wording = (EMOTIONS[random.integers(4)] for _ in range(2))
        slots.append(_Slot(options.size + index, session, gender, None, style, wording))
    return slots


def _assign_dialogues(slots: list[_Slot], scenarios: tuple[str, ...], session: int, options: Options) -> None:
    """Give each slot of a session its dialogue, evenly within each emotion."""
    random = np.random.default_rng([options.seed, _DEAL, session])
    dialogs = [(scenario, markers) for scenario in scenarios for markers in "FM"]
    for emotion in (*EMOTIONS, None):
        own = [slot for slot in slots if slot.emotion == emotion]
        random.shuffle(own)  # type: ignore[arg-type]
        leaking = round(options.leak * len(own)) if emotion else 0
        home = [dialog for dialog in dialogs if EMOTION_OF_SCENARIO[base_scenario(dialog[0])] == emotion]
        for group, choices in ((own[:leaking], home), (own[leaking:], dialogs)):
            order = random.permutation(len(choices))
            for index, slot in enumerate(group):
                slot.scenario, slot.markers = choices[order[index % len(order)]]
                slot.leaks = choices is home


def _texts(slots: list[_Slot], options: Options) -> dict[int, tuple[str, bool]]:
    """Slot number → its sentence, and whether that is a line of a script.

    Other sentences are all different, as far as the grammar goes: after 50 repetitions one is accepted.
    """
    seen: set[str] = set()
    texts: dict[int, tuple[str, bool]] = {}
    for slot in slots:
        random = np.random.default_rng([options.seed, _SPEAK, slot.number])
        if slot.leaks and slot.scenario.startswith("script"):
            play = list(EMOTION_OF_SCENARIO).index(base_scenario(slot.scenario))
            line = int(random.integers(_LINES_PER_SCRIPT))
            script = np.random.default_rng([options.seed, _SCRIPT, play, EMOTIONS.index(slot.wording), line])
            texts[slot.number] = sentences.near_verbatim(sentences.sentence(slot.wording, script), random), True
            continue
        text = sentences.sentence(slot.wording, random)
        for _ in range(50):
            if text not in seen:
                break
            text = sentences.sentence(slot.wording, random)
        seen.add(text)
        texts[slot.number] = text, False
    return texts


def _line(slot: _Slot, text: str, scripted: bool, turns: dict[tuple[str, str], int], options: Options) -> Line:
    scenario = ODD_NAMES.get((slot.session, slot.markers, slot.scenario), slot.scenario)
    dialog = f"Ses0{slot.session}{slot.markers}_{scenario}"
    turn = turns.get((dialog, slot.gender), 0)
    turns[dialog, slot.gender] = turn + 1
    random = np.random.default_rng([options.seed, _LABEL, slot.number])
    if slot.emotion is None:
        raw = str(random.choice(list(OTHER_LABELS), p=list(OTHER_LABELS.values())))
    elif slot.emotion == "happy":
        raw = "hap" if random.random() < HAPPINESS_SHARE else "exc"
    else:
        raw = RAW_LABELS[slot.emotion]
    return Line(
        number=slot.number,
        id=f"{dialog}_{slot.gender}{turn:03d}",
        dialog=dialog,
        session=slot.session,
        gender=slot.gender,
        emotion=slot.emotion,
        raw_label=raw,
        style=slot.style,
        wording=slot.wording,
        text=text,
        scripted=scripted,
    )

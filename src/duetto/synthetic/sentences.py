"""The sentences of the synthetic corpus: a small grammar with planted meaning.

    wording class, Generator ─ sentence ─▶ "So the fresh bread at the market is lonely, and you know the answer."

A sentence is an optional opener, a clause with one to three class-bearing words, and an optional tail.
Three things are planted in it:

- the wording class, by words of `CLASS_WORDS` that occur nowhere else in the grammar;
- a topic: the nouns, verbs, adjectives and places of one clause belong together, so that vectors trained
  on the corpus can find neighbours;
- homophones: both spellings of each pair occur, each among its own companions, so that vectors trained on
  text can tell them apart and vectors trained on sound alone cannot.

Every word is in CMUdict.
"""

from __future__ import annotations

import re

import numpy as np

SHORTEST, LONGEST = 4, 14
"""Words in a sentence."""

CLASS_WORDS: dict[str, dict[str, tuple[str, ...]]] = {
    "angry": {
        "A": ("furious", "unfair", "rude"),
        "N": ("insult", "nonsense"),
        "V": ("hate", "blame"),
    },
    "happy": {
        "A": ("wonderful", "delightful", "lovely"),
        "N": ("party", "joy"),
        "V": ("love", "enjoy"),
    },
    "neutral": {
        "A": ("ordinary", "usual", "regular"),
        "N": ("form", "list"),
        "V": ("check", "sort"),
    },
    "sad": {
        "A": ("hopeless", "miserable", "lonely"),
        "N": ("funeral", "grief"),
        "V": ("miss", "regret"),
    },
}
"""Wording class → part of speech (adjective, noun, verb) → its class-bearing words."""

TOPICS: dict[str, dict[str, tuple[str, ...]]] = {
    "food": {
        "noun": ("bread", "soup", "coffee", "cheese", "apple", "dinner", "rice", "cake"),
        "verb": ("cook", "eat", "taste", "bake"),
        "adj": ("fresh", "sweet", "hot", "salty"),
        "place": ("kitchen", "market", "restaurant"),
    },
    "weather": {
        "noun": ("rain", "snow", "wind", "storm", "cloud", "winter", "summer", "thunder"),
        "verb": ("watch", "expect", "follow", "measure"),
        "adj": ("cold", "wet", "grey", "dry"),
        "place": ("valley", "hill", "forest"),
    },
    "travel": {
        "noun": ("train", "ticket", "suitcase", "hotel", "flight", "passport", "bus", "map"),
        "verb": ("book", "catch", "carry", "pack"),
        "adj": ("late", "foreign", "crowded", "distant"),
        "place": ("station", "airport", "harbor"),
    },
    "work": {
        "noun": ("report", "computer", "manager", "project", "contract", "meeting", "printer", "customer"),
        "verb": ("finish", "print", "send", "plan"),
        "adj": ("new", "busy", "modern", "digital"),
        "place": ("office", "factory", "library"),
    },
    "home": {
        "noun": ("chair", "window", "carpet", "lamp", "table", "curtain", "sofa", "mirror"),
        "verb": ("paint", "clean", "move", "repair"),
        "adj": ("wooden", "dusty", "narrow", "comfortable"),
        "place": ("bedroom", "garage", "hallway"),
    },
    "music": {
        "noun": ("song", "guitar", "piano", "concert", "drum", "band", "violin", "singer"),
        "verb": ("play", "practice", "record", "tune"),
        "adj": ("loud", "slow", "classical", "electric"),
        "place": ("theater", "studio", "church"),
    },
    "animals": {
        "noun": ("horse", "dog", "cat", "rabbit", "sheep", "pony", "donkey", "goat"),
        "verb": ("feed", "walk", "brush", "wash"),
        "adj": ("young", "brown", "hungry", "tame"),
        "place": ("farm", "barn", "stable"),
    },
    "health": {
        "noun": ("doctor", "nurse", "medicine", "bandage", "fever", "tablet", "patient", "surgeon"),
        "verb": ("call", "trust", "need", "bring"),
        "adj": ("sterile", "careful", "dental", "medical"),
        "place": ("hospital", "clinic", "pharmacy"),
    },
}
"""Topic → slot → the words that fill it."""

OPENERS = ("well,", "so", "maybe", "anyway,", "i think", "listen:", "of course", "honestly,")
PEOPLE = ("my brother", "the teacher", "our neighbor", "his cousin", "the driver", "my mother", "her uncle")
TIMES = ("today", "yesterday", "this morning", "last night", "on monday", "after lunch", "in april", "at noon")

CLAUSES = (
    "the {adj} {noun} is {A}",
    "the {noun} at the {place} was {A}",
    "i {V} the {adj} {noun}",
    "they {V} the {noun} in the {place}",
    "{person} told me about the {N}",
    "that {N} was about the {noun}",
    "it seems {A} that we {verb} the {noun}",
    "we {verb} the {noun} after the {N}",
    "is it {A} when they {verb} the {noun}",
    "i {V} this {A} {noun}",
    "they {V} the {noun} because it was {A}",
    "the {N} was {A} and the {noun} was {adj}",
    "{person} said the {N} is {A}",
    "we {V} the {N} in the {place}",
    "i {V} it because the {N} is {A}",
    "we {V} the {A} {N} at the {place}",
)
"""Clauses with one to three class-bearing slots A, N, V; lower-case slots are carriers."""

HOMOPHONES: dict[tuple[str, str], tuple[tuple[str, ...], tuple[str, ...]]] = {
    ("their", "there"): (
        ("with their friends", "in their old house", "and they took their children"),
        ("over there by the door", "and it stayed there on the shelf", "there beside the gate"),
    ),
    ("to", "two"): (
        ("on the way to town", "from spring to autumn", "from north to south"),
        ("for two or three hours", "with two of the boys", "and two plus three makes five"),
    ),
    ("hear", "here"): (
        ("and i hear a bell ring", "so they hear the noise", "as you hear the echo"),
        ("and come here please", "so stay here with us", "and wait here inside"),
    ),
    ("know", "no"): (
        ("and you know the answer", "as the students know", "and they know the facts"),
        ("but no thank you", "with no money left", "and with no sugar"),
    ),
    ("right", "write"): (
        ("on the right side of the road", "and turn right at the corner", "left or right"),
        ("and write with a pencil", "so they write a long letter", "and write it on paper"),
    ),
    ("sun", "son"): (
        ("under the bright sun", "and the sun warms the sky", "as the sun shines"),
        ("with my son and daughter", "like her youngest son", "and his son is a boy"),
    ),
    ("one", "won"): (
        ("for one dollar", "and only one of them", "with one finger"),
        ("and our team won the game", "since they won the race", "as the champion won"),
    ),
    ("sea", "see"): (
        ("on a boat at sea", "like fish in the sea", "and the sea has waves"),
        ("and you see the picture", "so we see the film", "as your eyes see"),
    ),
    ("meet", "meat"): (
        ("and we meet the guests", "when they meet new people", "so meet us outside"),
        ("with beef and other meat", "and the butcher cuts meat", "like meat with onions"),
    ),
    ("week", "weak"): (
        ("early next week", "every day of the week", "for a month and a week"),
        ("and my arms are weak", "because his leg is weak", "as weak as a baby"),
    ),
}
"""Homophone pair → the tails with the first spelling, and those with the second."""

_SHARE_OPENER, _SHARE_HOMOPHONE, _SHARE_TIME = 0.35, 0.55, 0.3


def sentence(wording: str, random: np.random.Generator) -> str:
    """Draw a sentence.

    Args:
        wording: Its wording class.
        random: Draws it.

    Returns:
        4–14 words, with a capital first letter and a final full stop or question mark.
    """
    while True:
        words = _draw(wording, random)
        if SHORTEST <= len(words.split()) <= LONGEST:
            return punctuated(words)


def _draw(wording: str, random: np.random.Generator) -> str:
    def draw(choices: tuple[str, ...]) -> str:
        return choices[random.integers(len(choices))]

    topic = TOPICS[draw(tuple(TOPICS))]
    slots = {**topic, **CLASS_WORDS[wording], "person": PEOPLE}
    text = re.sub(r"\{(\w+)\}", lambda match: draw(slots[match[1]]), draw(CLAUSES))
    if random.random() < _SHARE_OPENER:
        text = f"{draw(OPENERS)} {text}"
    tail = random.random()
    if tail < _SHARE_HOMOPHONE:
        pair = tuple(HOMOPHONES)[random.integers(len(HOMOPHONES))]
        text += f"{draw((' ', ', '))}{draw(HOMOPHONES[pair][random.integers(2)])}"
    elif tail < _SHARE_HOMOPHONE + _SHARE_TIME:
        text += f" {draw(TIMES)}"
    return text


def near_verbatim(text: str, random: np.random.Generator) -> str:
    """Vary a scripted line as a second actor does: word for word, or with one more word at the beginning.

    Args:
        text: The line.
        random: Draws the variation.

    Returns:
        The line as it is spoken.
    """
    if random.random() < 0.5:
        return text
    opener = ("oh,", "well,", "look,")[random.integers(3)]
    body = text[:-1]
    return f"{opener.capitalize()} {body if body.startswith('I ') else body[0].lower() + body[1:]}{text[-1]}"


def punctuated(words: str) -> str:
    """Write lower-case words as a sentence: capitals at the beginning and in "I", "Monday", "April"; a mark at the end.

    Args:
        words: Separated by spaces.

    Returns:
        The sentence.
    """
    text = re.sub(r"\b(i|monday|april)\b", lambda match: match[1].capitalize(), words)
    mark = "?" if re.search(r"\bis it\b", words) else "."
    return text[0].upper() + text[1:] + mark


def vocabulary() -> set[str]:
    """List the words of the grammar.

    Returns:
        Every word that a sentence can have.
    """
    parts: list[str] = [*OPENERS, *PEOPLE, *TIMES, *CLAUSES, "oh look well"]
    for topic in TOPICS.values():
        parts += [word for words in topic.values() for word in words]
    for words in CLASS_WORDS.values():
        parts += [word for group in words.values() for word in group]
    for tails in HOMOPHONES.values():
        parts += [tail for side in tails for tail in side]
    return set(re.findall(r"[a-z']+", re.sub(r"\{\w+\}", " ", " ".join(parts))))

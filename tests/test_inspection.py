"""The reality check on vectors whose origin is planted: sound, spelling, meaning, both, neither."""

import json
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pytest

from duetto.asr.pronunciation import dictionary, phone_distance, pronunciations
from duetto.embeddings.inspection import Inspection
from duetto.embeddings.probing import RELATED_WORDS, inspect
from duetto.embeddings.vectors import Vectors
from duetto.errors import ConfigurationError, ModelError

HOMOPHONES = tuple(
    word
    for line in (
        "to two too see sea for four know no right write one won here hear new knew their there by buy be bee son sun",
        "made maid meet meat night knight week weak way weigh wait weight red read some sum eight ate blue blew hole",
        "whole road rode sail sale tail tale steel steal plain plane pair pear peace piece rain reign break brake",
    )
    for word in line.split()
)


def vocabulary() -> tuple[str, ...]:
    """Homophones, related words, and 800 other words of the dictionary."""
    special = [*HOMOPHONES, *(word for pair in RELATED_WORDS for word in pair)]
    plain = sorted(word for word in dictionary() if 3 <= len(word) <= 9 and word.isalpha())
    others = np.random.default_rng(5).choice(plain, 800, replace=False).tolist()
    words = list(dict.fromkeys([*special, *others]))
    return tuple(np.random.default_rng(6).permutation(words).tolist())


WORDS = vocabulary()


def from_parts(parts: Callable[[str], Sequence[str]], noise: float = 0.3) -> Vectors:
    """Each word is the sum of random vectors of its parts and their pairs, plus noise of its own."""
    rng = np.random.default_rng(1)
    known: dict[tuple[str, ...], np.ndarray] = {}
    matrix = []
    for word in WORDS:
        marked = ["<", *parts(word), ">"]
        grams = [(p,) for p in marked] + list(pairwise(marked))
        row = np.sum([known.setdefault(gram, rng.normal(size=80)) for gram in grams], axis=0)
        matrix.append(row + noise * np.linalg.norm(row) / np.sqrt(80) * rng.normal(size=80))
    return Vectors(WORDS, np.array(matrix, dtype=np.float32))


def from_meaning(seed: int = 2) -> Vectors:
    """A text model: words of one topic share a centre; `RELATED_WORDS` share a topic, other words have a random one."""
    rng = np.random.default_rng(seed)
    topics = dict(zip(WORDS, np.random.default_rng(9).integers(0, 40, len(WORDS)).tolist(), strict=True))
    for number, (first, second) in enumerate(RELATED_WORDS):
        topics[first] = topics[second] = number % 40
    centres = rng.normal(size=(40, 80))
    return Vectors(WORDS, np.array([centres[topics[w]] + rng.normal(size=80) for w in WORDS], dtype=np.float32))


def at_random() -> Vectors:
    return Vectors(WORDS, np.random.default_rng(3).normal(size=(len(WORDS), 80)).astype(np.float32))


@pytest.fixture(scope="module")
def sound() -> Vectors:
    return from_parts(lambda word: pronunciations(word)[0])


@pytest.fixture(scope="module")
def by_sound(sound: Vectors) -> Inspection:
    return inspect(sound, other=from_meaning())


def test_vectors_from_phones_are_sound(by_sound: Inspection) -> None:
    assert by_sound.verdict == "sound", by_sound.reasons
    assert by_sound.reasons[0] == "the vectors follow how words sound"
    assert by_sound.homophones is not None and by_sound.homophones.pairs >= 30
    assert by_sound.homophones.auc > 0.97 and by_sound.homophones.p == pytest.approx(1e-4)
    assert by_sound.homophones.effect > 2
    assert by_sound.distance is not None and by_sound.distance.phones_partial < -0.3 and by_sound.distance.p <= 0.01
    # No meaning was planted: chance within the interval, and no agreement (.05 is 7 standard errors of 79,800 pairs,
    # as generous as their dependence demands).
    assert by_sound.meaning is not None and by_sound.meaning.ci95[0] < 0.5 < by_sound.meaning.ci95[1]
    assert by_sound.agreement is not None and abs(by_sound.agreement.rho) < 0.05
    assert "homophone pairs against controls of equally similar spelling: AUC" in by_sound.reasons[1]


def test_vectors_from_text_are_not(sound: Vectors) -> None:
    report = inspect(from_meaning(2), other=from_meaning(7))
    assert report.verdict == "text", report.reasons
    assert report.homophones is not None and report.homophones.ci95[0] < 0.5 < report.homophones.ci95[1]
    assert report.homophones.p > 0.01
    assert report.meaning is not None and report.meaning.auc > 0.9
    assert report.agreement is not None and report.agreement.words == 400 and report.agreement.rho > 0.05
    assert inspect(from_meaning(2), other=from_meaning(2)).agreement.rho == pytest.approx(1)  # type: ignore[union-attr]


def test_random_vectors_fail_the_homophone_test_and_are_undecided() -> None:
    report = inspect(at_random())
    assert report.verdict == "undecided"
    assert report.reasons[0] == "no sign that the vectors come from sound, and none of meaning either"
    assert report.homophones is not None and report.homophones.p > 0.01
    assert report.agreement is None


def test_spelling_is_not_taken_for_sound() -> None:
    """Vectors of letters (as of a subword text model) know `see`–`sea` a little; matched controls see through it."""
    report = inspect(from_parts(list))
    assert report.verdict == "undecided", report.reasons
    assert report.homophones is not None and report.homophones.auc < 0.75
    assert report.distance is not None and report.distance.spelling < report.distance.phones


def test_sound_with_meaning_is_reported_as_both(sound: Vectors) -> None:
    meaning = from_meaning()
    both = Vectors(WORDS, np.concatenate([sound.unit, meaning.unit], axis=1))
    report = inspect(both)
    # Homophones get cosine (1 + 0) / 2 and still stand above their controls.
    assert report.verdict == "sound", report.reasons
    assert report.reasons[0] == "the vectors follow how words sound, and carry meaning as well"


def test_few_homophones_fall_back_on_distances(sound: Vectors) -> None:
    plain = [word for word in WORDS if word not in HOMOPHONES][:150]
    kept = tuple(word for word in plain if len(pronunciations(word)[0]) > 3)
    for vectors, verdict in ((sound, "sound"), (at_random(), "undecided")):
        few = Vectors(kept, np.stack([vectors.lookup(word) for word in kept]))
        report = inspect(few)
        assert report.verdict == verdict, report.reasons
        assert "homophone pairs (8 are required)" in report.reasons[1]


def test_homophone_pairs_are_real_and_controls_are_not(by_sound: Inspection) -> None:
    test = by_sound.homophones
    assert test is not None
    for first, second, cosine in test.examples:
        assert phone_distance(pronunciations(first)[0], pronunciations(second)[0]) == 0
        assert -1 <= cosine <= 1
    assert test.controls == 10 * test.pairs
    assert abs(test.spelling - test.control_spelling) < 0.1


def test_variant_spellings_are_no_homophone_pairs() -> None:
    words = ("color", "colour", "boys", "boy's", "gray", "grey", "center", "centre", "traveled", "travelled", "x", "y")
    vectors = Vectors(words, np.random.default_rng(0).normal(size=(len(words), 4)).astype(np.float32))
    assert inspect(vectors).homophones is None


def test_same_seed_same_report_and_json(sound: Vectors, by_sound: Inspection) -> None:
    again = inspect(sound, other=from_meaning())
    assert again == by_sound
    assert inspect(sound, other=from_meaning(), seed=1).distance != by_sound.distance
    record = json.loads(json.dumps(by_sound.to_json(), allow_nan=False))
    assert record["verdict"] == "sound"
    assert record["homophones"]["pairs"] == by_sound.homophones.pairs  # type: ignore[union-attr]
    assert (record["words"], record["dimension"], record["pronounced"]) == (len(WORDS), 80, len(WORDS))


def test_neighbours_of_given_words(sound: Vectors) -> None:
    report = inspect(sound, words=["sea"])
    assert list(report.neighbours) == ["sea"]
    assert report.neighbours["sea"][0][0] == "see"
    assert len(report.neighbours["sea"]) == 10
    assert report.map[0][0] == "sea"
    with pytest.raises(ModelError, match="'qqq' has no vector"):
        inspect(sound, words=["qqq"])
    with pytest.raises(ConfigurationError, match="a list of words, not the text 'sea'"):
        inspect(sound, words="sea")


def test_the_map_is_a_principal_component_analysis() -> None:
    """Unit vectors on a circle in two of five dimensions: the plane is found, whole, with distances kept."""
    turned = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    matrix = np.zeros((24, 5), np.float32)
    matrix[:, 1], matrix[:, 3] = np.cos(turned), np.sin(turned)
    report = inspect(Vectors(tuple(f"q{i}" for i in range(24)), matrix))
    assert sum(report.map_variance) == pytest.approx(1)
    points = np.array([(x, y) for _, x, y in report.map])
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1, atol=1e-6)  # float32 input
    np.testing.assert_allclose(np.linalg.norm(points[0] - points[12]), 2, atol=1e-6)


@pytest.mark.parametrize("words", [("sea",), ("qzx",), ("sea", "see")])
def test_too_few_words_are_undecided(words: tuple[str, ...]) -> None:
    vectors = Vectors(words, np.eye(len(words), 3, dtype=np.float32))
    report = inspect(vectors, other=vectors)
    assert report.verdict == "undecided"
    assert "too few words" in report.reasons[1]
    json.dumps(report.to_json(), allow_nan=False)


def test_constant_vectors_are_undecided() -> None:
    report = inspect(Vectors(WORDS[:300], np.ones((300, 4), np.float32)))
    assert report.distance is None
    assert report.verdict == "undecided"
    assert sum(report.map_variance) == pytest.approx(0, abs=1e-6)

"""Tokens, ids and coverage: values worked by hand, and properties over any text."""

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duetto.data.text import SPOKEN_SPELLINGS, normalise
from duetto.embeddings.vocabulary import PADDING_ID, UNKNOWN_ID, Vocabulary, count, coverage
from duetto.errors import ConfigurationError, ModelError


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Okay, it’s good!", "okay it's good"),
        ("‘Hello,’ she said — “don’t”", "hello she said don't"),
        ("I don\x92t \x93know\x94\x85", "i don't know"),
        ("well-known", "well known"),
        ("get 'em, 'cause 'tis", "get 'em 'cause 'tis"),
        ("the boys' café naïve", "the boys cafe naive"),
        ("[LAUGHTER] so <sil> ++NOISE++ really(2)", "so really"),
        ("I have 7 and 1,200", "i have seven and one thousand two hundred"),
        ("0 10 19 20 21 100 110 999999", "zero ten nineteen twenty twenty one one hundred one hundred ten "
         "nine hundred ninety nine thousand nine hundred ninety nine"),
        ("1234567 007", "one two three four five six seven zero zero seven"),
        ("1st 2nd 3rd 5th 12th 20th 21st 100th",
         "first second third fifth twelfth twentieth twenty first one hundredth"),
        ("2.5% & more", "two point five percent and more"),
        ("12, 345", "twelve three hundred forty five"),
        ("R2D2 4th", "r two d two fourth"),
        ("", ""),
        (" \t\n … '' ' ", ""),
        ("日本語", ""),
    ],
)  # fmt: skip
def test_normalise(text: str, tokens: str) -> None:
    assert normalise(text) == tokens.split()


@settings(deadline=None)
@given(st.text())
def test_tokens_are_letters_and_apostrophes_and_stable(text: str) -> None:
    tokens = normalise(text)
    assert all(re.fullmatch(r"'?[a-z]+('+[a-z]+)*", token) for token in tokens)
    assert normalise(" ".join(tokens)) == tokens


def test_spellings_are_replaced_only_on_request() -> None:
    assert normalise("Okay, I'm gonna go") == ["okay", "i'm", "gonna", "go"]
    expected = ["all", "right", "i'm", "going", "to", "go"]
    assert normalise("Okay, I'm gonna go", spellings=SPOKEN_SPELLINGS) == expected


def test_build_orders_by_frequency_then_alphabet() -> None:
    vocabulary = Vocabulary.build([["b", "c", "a"], ["c", "b"], ["z"]])
    assert vocabulary.words == ("b", "c", "a", "z")
    assert Vocabulary.build([["b", "c", "a"], ["c", "b"]], min_count=2).words == ("b", "c")
    assert len(vocabulary) == 6
    assert "z" in vocabulary and "q" not in vocabulary


def test_encode() -> None:
    ids = Vocabulary(("so", "good")).encode(["good", "bad", "so"])
    assert ids.dtype == np.int64
    assert ids.tolist() == [3, UNKNOWN_ID, 2]
    assert Vocabulary(()).encode([]).shape == (0,)
    assert PADDING_ID not in Vocabulary(("so",)).encode(["so", "", "x"])


@settings(deadline=None)
@given(st.lists(st.lists(st.text(min_size=1, max_size=3))))
def test_every_word_of_the_texts_has_its_own_id(token_lists: list[list[str]]) -> None:
    vocabulary = Vocabulary.build(token_lists)
    assert vocabulary.encode(vocabulary.words).tolist() == list(range(2, len(vocabulary)))
    assert Vocabulary.from_json(json.loads(json.dumps(vocabulary.to_json()))) == vocabulary
    assert coverage(count(token_lists), vocabulary).token_rate == 1.0


def test_the_error_of_a_bad_vocabulary_names_the_problem() -> None:
    with pytest.raises(ModelError, match="'a' stands in the vocabulary more than once"):
        Vocabulary(("a", "b", "a"))
    with pytest.raises(ModelError, match="'' is no word"):
        Vocabulary(("a", ""))
    with pytest.raises(ModelError, match="3 is no word"):
        Vocabulary.from_json(["a", 3])
    with pytest.raises(ModelError, match="JSON list of words, not dict"):
        Vocabulary.from_json({"a": 1})
    with pytest.raises(ConfigurationError, match="min_count is 0"):
        Vocabulary.build([["a"]], min_count=0)
    with pytest.raises(ConfigurationError, match="not the text 'so good': normalise"):
        Vocabulary.build(["so good"])
    with pytest.raises(ConfigurationError, match="not the text 'so': normalise"):
        Vocabulary(("so",)).encode("so")


def test_coverage_by_hand() -> None:
    report = coverage({"the": 10, "okay": 4, "gonna": 4, "guys": 2}, {"the"})
    assert (report.types, report.known_types, report.tokens, report.known_tokens) == (4, 1, 20, 10)
    assert (report.type_rate, report.token_rate) == (0.25, 0.5)
    assert report.unknown == (("gonna", 4), ("okay", 4), ("guys", 2))
    assert json.loads(json.dumps(report.to_json()))["unknown"][0] == ["gonna", 4]
    assert coverage(Vocabulary(("the", "okay")), {"the"}).unknown == (("okay", 1),)
    empty = coverage({}, {"the"})
    assert (empty.type_rate, empty.token_rate, empty.unknown) == (1.0, 1.0, ())

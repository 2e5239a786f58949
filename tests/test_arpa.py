"""Language models from a file: what pocksphinx would die of is refused before it loads anything."""

import json
import random
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from duetto.asr import arpa
from duetto.asr.finder import LANGUAGE_MODEL_FILE, load_language_model, save_language_model
from duetto.asr.language_model import LONGEST_WORD, LanguageModel
from duetto.errors import ModelError

MODEL = LanguageModel.from_corpus(["we won the game", "we lost the game", "oh that is lovely"])


@pytest.mark.parametrize("order", range(1, 6))
@pytest.mark.parametrize("corpus", [["yes"], ["a", "a a", "a a a b"], ["we won the game", "we lost the game"]])
def test_what_duetto_writes_passes(corpus: list[str], order: int) -> None:
    model = LanguageModel.from_corpus(corpus, order)
    arpa.check(model.arpa, model.words)
    loop = LanguageModel.word_loop(corpus)
    arpa.check(loop.arpa, loop.words)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\\data\\", "\\date\\", r"line 1 of it has not '\\\\data\\\\'"),
        ("ngram 1=11", "ngram 1=10", "line 16 of it has unigrams above"),
        ("ngram 1=11", "ngram 1=-294967296", "line 2 of it has not"),
        ("ngram 1=11", "ngram 1=999999999", "has no n-gram"),
        ("ngram 2=", "ngram 3=", "an order that is not next"),
        ("-99.000000\t<s>", "0.100000\t<s>", "outside of 0 to 1"),
        ("-99.000000\t<s>", "nan\t<s>", "no n-gram"),
        ("-99.000000\t<s>", "-1e99\t<s>", "no n-gram"),
        ("\tgame\t", "\tgames\t", "unigrams above"),
        ("\tgame\t", "\tis\t", "listed twice"),
        ("\tthe game\t", "\tthe <s>\t", "across the end of a sentence"),
        ("\tthe game\t", "\tthe gamer\t", "shorter n-grams are not listed"),
        ("\tthe game\t", "\tthe won game\t", "another order"),
        ("\\end\\\n", "\\end\\\nmore", "has not ''|text after the end"),
        ("\\end\\\n", "", "ends too early|has not"),
        ("\\end\\\n", "\\end\\", "ends too early"),
    ],
)
def test_what_does_not_hold_together_is_refused(old: str, new: str, message: str) -> None:
    assert old in MODEL.arpa
    with pytest.raises(ValueError, match=message):
        arpa.check(MODEL.arpa.replace(old, new, 1), MODEL.words)


def written(folder: Path, **changes: object) -> Path:
    (folder / LANGUAGE_MODEL_FILE).write_text(json.dumps(asdict(MODEL) | changes))
    return folder


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "grammar"}, "'kind' must be one of general, ngram, loop, not 'grammar'"),
        ({"kind": "general"}, "none of a general model"),
        ({"words": []}, "must be different words"),
        ({"words": [*MODEL.words, "the"]}, "must be different words"),
        ({"words": ["\x1b[31m"]}, r"not '\\x1b\[31m'"),
        ({"words": ["</s>"]}, "not '</s>'"),
        ({"words": ["a" * (LONGEST_WORD + 1)]}, "up to 100 letters"),
        ({"words": ["a\nb"]}, "must be different words"),
        ({"words": "game"}, "'words' must be a list of strings"),
        ({"words": MODEL.words[1:]}, "'arpa' is no ARPA language model: .* unigrams above"),
        ({"arpa": ""}, "'arpa' is no ARPA language model"),
        ({"arpa": 10**400}, "'arpa' must be a string"),
    ],
)
def test_a_file_of_another_kind_is_an_error(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=rf"language\.json: .*{message}.*; train or export again"):
        load_language_model(written(tmp_path, **changes))


def test_a_model_is_unchanged_after_saving_and_loading_and_a_cut_file_is_refused(tmp_path: Path) -> None:
    save_language_model(MODEL, tmp_path)
    assert load_language_model(tmp_path) == MODEL
    for length in range(0, len(MODEL.arpa), 50):
        with pytest.raises(ModelError, match="no ARPA language model"):
            load_language_model(written(tmp_path, arpa=MODEL.arpa[:length]))


def test_words_too_long_to_be_one_are_no_part_of_a_model() -> None:
    assert LanguageModel.from_corpus(["oh " + "a" * (LONGEST_WORD + 1)]).words == ("oh",)


_LOADS = """
import sys
from pathlib import Path
from duetto.asr.finder import load_language_model
for folder in sorted(Path(sys.argv[1]).iterdir()):
    load_language_model(folder).decoder()
    print(folder.name)
"""


def test_what_passes_after_mutation_can_be_loaded(tmp_path: Path) -> None:
    """In a process of its own, which pocketsphinx would take with it."""
    chance, passed, refused = random.Random(0), 0, 0
    while passed < 8:
        text = list(MODEL.arpa)
        for _ in range(chance.randint(1, 8)):
            text[chance.randrange(len(text))] = chance.choice("0123456789.- \t\nabw\\<>/")
        folder = tmp_path / str(passed)
        folder.mkdir(exist_ok=True)
        try:
            load_language_model(written(folder, arpa="".join(text)))
        except ModelError:
            refused += 1
        else:
            passed += 1
    done = subprocess.run([sys.executable, "-c", _LOADS, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (0, [str(n) for n in range(passed)]), done.stderr
    assert refused

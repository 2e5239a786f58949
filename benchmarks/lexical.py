"""Emotion from the words alone, on MELD's own split: TF-IDF and sentence embeddings, each with logistic regression.

    python benchmarks/lexical.py --data $DUETTO_DATA --sentences all-MiniLM-L6-v2 --write

MELD (Poria et al. 2019): utterances of the series Friends with transcripts and emotions, no audio used here. Four
classes: anger, joy, neutral, sadness. The regression is trained on the training part with balanced class weights; C is
chosen on the development part by UA, the smaller of equals; the test part is scored once. Intervals resample whole
dialogues. Each representation is made of the words as a recogniser of speech would give them (normalised, without
punctuation) and of the text as written: `?` and `!` say much here, and nobody speaks them.

`--sentences` is a local folder of a sentence encoder (`duetto.embeddings.sentences`).
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from harness import parser, publish, table
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from duetto import metrics
from duetto.data.text import normalise
from duetto.embeddings.sentences import SentenceEncoder
from duetto.evaluation import bootstrap
from duetto.preprocessing import Normaliser
from duetto.utils.progress import bar

CLASSES = {"anger": "angry", "joy": "happy", "neutral": "neutral", "sadness": "sad"}
PARTS = ("train", "dev", "test")
CHOICES = tuple(float(c) for c in 10.0 ** np.arange(-4, 1.5, 0.5))
"""Values of C, the inverse strength of the penalty."""


class Part(NamedTuple):
    """One part of MELD: texts, class of each (n,), and number of its dialogue (n,)."""

    texts: list[str]
    target: np.ndarray
    dialogue: np.ndarray


def read(folder: Path, part: str) -> Part:
    """The utterances of a part that have one of the four classes."""
    with (folder / f"{part}_sent_emo.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["Emotion"] in CLASSES]
    target = np.array([list(CLASSES).index(row["Emotion"]) for row in rows])
    _, dialogue = np.unique([row["Dialogue_ID"] for row in rows], return_inverse=True)
    return Part([row["Utterance"] for row in rows], target, dialogue)


def spoken(part: Part) -> Part:
    """The part without what is not spoken: the words as `data.text.normalise` writes them."""
    return part._replace(texts=[" ".join(normalise(text)) for text in part.texts])


def tfidf(parts: Sequence[Part]) -> list[Any]:
    """TF-IDF of words, marks, and pairs of them, of each part; vocabulary and weights are those of the first part."""
    vectoriser = TfidfVectorizer(token_pattern=r"[\w']+|[?!.,…]", ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    return [vectoriser.fit_transform(parts[0].texts), *(vectoriser.transform(part.texts) for part in parts[1:])]


def sentences(parts: Sequence[Part], encoder: SentenceEncoder, title: str) -> list[Any]:
    """Sentence embeddings of each part, centred and scaled by the first part."""
    embedded = []
    for name, part in zip(PARTS, parts, strict=True):
        with bar(f"{title}, {name}") as progress:
            embedded.append(encoder(part.texts, progress=progress))
    normaliser = Normaliser.fit(embedded[:1], encoder.dim)  # some values of MiniLM are 0 for any text
    return [normaliser(x) for x in embedded]


def both(words: Sequence[Any], embedded: Sequence[Any]) -> list[Any]:
    """TF-IDF beside the embeddings, which are scaled so that a sentence has a length of about 1 in either."""
    return [hstack([a, csr_matrix(b / np.sqrt(b.shape[1]))]).tocsr() for a, b in zip(words, embedded, strict=True)]


def row(name: str, form: str, features: Sequence[Any], parts: Sequence[Part]) -> list[object]:
    """A row of the table: C, UA on development and test with its interval, and the recall of each class."""
    scored = []
    for c in CHOICES:
        model = LogisticRegression(C=c, class_weight="balanced", max_iter=2000).fit(features[0], parts[0].target)
        predicted = [model.predict(x) for x in features[1:]]
        scored.append((metrics.unweighted_accuracy(parts[1].target, predicted[0], len(CLASSES)), -c, predicted[1]))
    development, negative_c, predicted = max(scored, key=lambda one: one[:2])
    test = parts[2]
    counts, times = bootstrap.tally(test.target, predicted[None], test.dialogue, len(CLASSES))
    resampled = bootstrap.draws(counts, times, bootstrap.RESAMPLES, 0)[:, 0]
    low, high = bootstrap.interval(_ua(resampled))
    ua = metrics.unweighted_accuracy(test.target, predicted, len(CLASSES))
    recalls = metrics.recalls(test.target, predicted, len(CLASSES))
    return [name, form, f"{-negative_c:g}", development, ua, f"{low:.3f}–{high:.3f}", *map(float, recalls)]


def _ua(confusions: np.ndarray) -> np.ndarray:
    """(resamples, classes, classes) counts → (resamples,): the mean recall."""
    return (np.diagonal(confusions, axis1=1, axis2=2) / np.maximum(confusions.sum(-1), 1)).mean(-1)


def main() -> None:
    """Parse the command line and print the table."""
    made = parser(__doc__, data="with meld/, its three CSV files of sentences")
    made.add_argument("--sentences", type=Path, help="folder of a sentence encoder, such as all-MiniLM-L6-v2")
    options = made.parse_args()
    if options.data is None:
        made.error("--data is needed")
    written = [read(options.data / "meld", part) for part in PARTS]
    encoder = None if options.sentences is None else SentenceEncoder(options.sentences)
    rows = []
    for form, parts in (("as spoken", [spoken(part) for part in written]), ("as written", written)):
        words = tfidf(parts)
        rows.append(row("TF-IDF, 1–2-grams", form, words, parts))
        if encoder is not None:
            embedded = sentences(parts, encoder, form)
            rows.append(row("sentence embeddings", form, embedded, parts))
            rows.append(row("both", form, both(words, embedded), parts))
    sizes = ", ".join(f"{name} {len(part.texts)}" for name, part in zip(PARTS, written, strict=True))
    header = ["features", "text", "C", "UA, development", "UA, test", "95 % interval", *CLASSES.values()]
    publish(
        "Emotion from words: MELD",
        [f"Utterances: {sizes}. Recalls of the classes on test.", table(header, rows)],
        packages=("scikit-learn", "numpy"),
        into=options.write,
    )


if __name__ == "__main__":
    main()

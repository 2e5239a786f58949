"""Label sets of any classes: named ones, labels as they are, files, and the labels of several annotators."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import duetto
from corpus_trees import wav
from duetto import runs
from duetto.audit import audit_folds
from duetto.cli import app
from duetto.config.experiment import load, teacher_of, with_overrides
from duetto.corpora import CORPORA
from duetto.corpora.agreement import annotators, manifest_annotators
from duetto.corpora.labelling import read_labels
from duetto.corpora.relabelling import relabel
from duetto.corpora.validate import check
from duetto.data.labels import LABEL_SETS, check_labels, classes, spelled
from duetto.data.manifest import read_manifest, write_manifest
from duetto.data.utterance import Utterance
from duetto.data.votes import majority, soft_label, vote_weights
from duetto.errors import ConfigurationError, CorpusError
from duetto.metrics import agreement
from duetto.report import run_summary
from duetto.splits import Fold
from duetto.training.emotion_task import soft_cross_entropy

EIGHT = ("angry", "calm", "disgusted", "fearful", "happy", "neutral", "sad", "surprised")
RUN = CliRunner()


def utterance(name: str, **values: object) -> Utterance:
    return replace(Utterance(name, Path(f"{name}.wav")), **values)


def labels_of(found: list[Utterance]) -> list[str | None]:
    return [u.label for u in found]


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


# label sets


def test_a_label_set_is_a_name_or_a_list_of_classes() -> None:
    assert classes("four") == ("angry", "happy", "neutral", "sad")
    assert classes("tense, at ease,bored") == ("tense", "at ease", "bored")
    for members in (*LABEL_SETS.values(), EIGHT, ("zornig", "müde")):
        assert classes(spelled(members)) == members
    assert spelled(LABEL_SETS["seven"]) == "seven"
    # The order counts: the same classes in another order are another list.
    assert spelled(("sad", "neutral", "happy", "angry")) == "sad,neutral,happy,angry"


@pytest.mark.parametrize("bad", ["five", "a,", "a,a", "a,b\x1b", ",a,b"])
def test_a_label_set_that_is_neither_is_refused(bad: str) -> None:
    with pytest.raises(ConfigurationError):
        classes(bad)


@pytest.mark.parametrize("bad", [(), ("a",), ("a", "b,c"), ("a", "a"), ("a", "")])
def test_classes_that_cannot_be_spelled_are_refused(bad: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError):
        spelled(bad)


def test_maps_of_ravdess_and_emodb() -> None:
    ravdess, emodb = CORPORA["ravdess"], CORPORA["emodb"]
    assert ravdess.label_map("as-is").classes == EIGHT
    assert [ravdess.label_map("seven").get(code) for code in ("01", "02", "07", "08")] == [
        "neutral", "neutral", "disgusted", "surprised",
    ]  # fmt: skip
    assert ravdess.label_map("six").get("08") is None
    assert len(emodb.label_map("as-is").classes) == 7 and emodb.label_map("as-is").get("L") == "bored"
    assert emodb.label_map("seven").get("L") is None and emodb.label_map("seven").get("A") == "fearful"


def test_iemocap_as_is_keeps_excitement_apart_and_leaves_out_what_is_no_emotion() -> None:
    own = CORPORA["iemocap"].label_map("as-is")
    assert [own.get(raw) for raw in ("exc", "hap", "fru", "xxx", "oth")] == [
        "excited", "happy", "frustrated", None, None,
    ]  # fmt: skip
    assert CORPORA["iemocap"].label_map("seven").get("exc") == "happy"


def test_corpus_names_map_the_emotions_of_its_release() -> None:
    for corpus in CORPORA.values():
        for raw, label in corpus.label_maps.get("four", {}).items():
            if corpus.emotions and label != "neutral" and raw != "exc":
                assert corpus.emotions[raw] == label


@pytest.mark.parametrize(
    ("kind", "label_set", "raw"),
    [
        ("crema-d", "six", "ANG DIS FEA HAP NEU SAD"),
        ("tess", "seven", "angry disgust fear happy neutral sad ps"),
        ("savee", "seven", "a d f h n sa su"),
        ("meld", "seven", "anger disgust fear joy neutral sadness surprise"),
        ("emovo", "seven", "rab dis pau gio neu tri sor"),
    ],
)
def test_corpora_of_six_and_seven_classes_fill_these_sets(kind: str, label_set: str, raw: str) -> None:
    own = CORPORA[kind].label_map(label_set)
    assert [own.get(name) for name in raw.split()] == list(LABEL_SETS[label_set])


def test_as_is_corpora_keep_what_no_set_holds() -> None:
    own = CORPORA["msp-podcast"].label_map("as-is")
    assert own.get("C") == "contemptuous" and own.get("X") is None and own.get("U") == "surprised"
    assert CORPORA["esd"].label_map("as-is").classes == ("angry", "happy", "neutral", "sad", "surprised")


# files of labels


FILE = """
classes = ["tense", "calm"]
leave_out = ["xxx"]
[labels]
anger = "tense"
neutral = "calm"
[labels.ravdess]
"02" = "calm"
"05" = "tense"
"""


def test_a_file_maps_by_corpus_and_by_name(tmp_path: Path) -> None:
    path = write(tmp_path / "two.toml", FILE)
    given = [
        utterance("a", raw_label="05", corpus="ravdess"),
        utterance("b", raw_label="Anger "),
        utterance("c", label="neutral", raw_label="neu"),
        utterance("d", raw_label="xxx"),
    ]
    found = relabel(given, path)
    assert found.classes == ("tense", "calm") and found.label_set == "tense,calm"
    assert labels_of(found.utterances) == ["tense", "tense", "calm", None]
    assert [u.raw_label for u in found.utterances] == ["05", "Anger ", "neu", "xxx"]


def test_an_unknown_label_is_an_error_that_says_how_to_map_it(tmp_path: Path) -> None:
    path = write(tmp_path / "two.toml", FILE)
    given = [utterance("a", raw_label="05"), utterance("b", raw_label="rage"), utterance("c", raw_label="rage")]
    with pytest.raises(CorpusError) as error:
        relabel(given, path)
    text = str(error.value)
    assert "'05' (1), 'rage' (2)" in text and '"rage" = "…"' in text and "leave_out" in text and path in text


def test_a_named_set_does_not_guess(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"labels 'seven' say nothing about 'W' \(1\).*--labels FILE"):
        relabel([utterance("a", raw_label="W")], "seven")
    assert labels_of(relabel([utterance("a", raw_label="W", corpus="emodb")], "seven").utterances) == ["angry"]
    assert labels_of(relabel([utterance("a", raw_label="boredom")], "seven").utterances) == [None]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n[labels]\na = 'b'", "unknown key 'x'"),
        ("classes = ['b', 'c']\n[labels]\na = 'd'", "class 'd' is not among its classes b, c"),
        ("[labels]\na = 'b'", "two are needed"),
        ("[labels]\na = 1\nb = 'c'", "give a class in quotes"),
        ("classes = ['a', 'b']", "'labels'"),
        ("[labels]\na = 'b,c'\nd = 'e'", "no comma"),
    ],
)
def test_a_file_that_is_not_valid(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read_labels(Path(write(tmp_path / "bad.toml", text)))


def test_labels_as_they_are(tmp_path: Path) -> None:
    given = [utterance("a", label="wütend"), utterance("b", raw_label="05", corpus="ravdess"), utterance("c")]
    found = relabel(given, "as-is")
    assert labels_of(found.utterances) == ["wütend", "angry", None] and found.classes == ("angry", "wütend")
    with pytest.raises(ConfigurationError, match="two are needed"):
        relabel(given[:1], "as-is")


def test_a_table_with_any_labels(tmp_path: Path) -> None:
    table = Path(write(tmp_path / "t.csv", "id,audio,label\na,a.wav,rage\nb,b.wav,bliss\n"))
    assert labels_of(CORPORA["manifest"](table, "as-is")) == ["rage", "bliss"]
    path = write(tmp_path / "l.toml", '[labels]\nrage = "hot"\nbliss = "cold"')
    found = CORPORA["manifest"](table, path)
    assert [(u.label, u.raw_label) for u in found] == [("hot", "rage"), ("cold", "bliss")]
    with pytest.raises(CorpusError, match="say nothing about 'bliss'"):
        CORPORA["manifest"](table, write(tmp_path / "m.toml", '[labels]\nrage = "hot"\ncalm = "cold"'))
    assert check("manifest", table, labels="as-is").by_label == {"bliss": 1, "rage": 1}


def test_a_label_outside_the_classes_of_a_system_says_how_to_train_on_it() -> None:
    with pytest.raises(ConfigurationError, match="--labels as-is"):
        check_labels([utterance("a", label="bored")], "four")


def test_experiment_and_teacher_have_the_same_classes() -> None:
    student = load("acoustic-distilled", label_set="a,b,c")
    teacher = teacher_of(student)
    assert teacher is not None and teacher.label_set == "a,b,c"


# annotators


def test_majority_and_shares_by_hand() -> None:
    votes = {"1": ("sad",), "2": ("sad", "angry"), "3": ("angry",), "4": ("sad",)}
    assert majority(votes) == "sad"
    assert majority({"1": ("sad",), "2": ("angry",)}) is None and majority({}) is None
    np.testing.assert_array_equal(
        vote_weights(votes, ("angry", "happy", "sad")), [[0, 0, 1], [0.5, 0, 0.5], [1, 0, 0], [0, 0, 1]]
    )
    rated = utterance("a", label="sad", votes={**votes, "5": ("bored",)})
    np.testing.assert_allclose(soft_label(rated, ("angry", "happy", "sad")), [0.375, 0, 0.625])
    np.testing.assert_array_equal(soft_label(utterance("a", label="sad"), ("angry", "sad")), [0, 1])


def test_votes_of_iemocap_become_classes() -> None:
    votes = {"E1": ("Excited", "Other"), "E2": ("Neutral state",), "E3": ("Frustration",)}
    (found,) = relabel([utterance("a", raw_label="exc", votes=votes, corpus="iemocap")], "four").utterances
    assert found.label == "happy" and found.votes == {"E1": ("happy",), "E2": ("neutral",)}
    # Without any label, the class of most annotators.
    (found,) = relabel([utterance("a", votes={"1": ("fear",), "2": ("Fear",), "3": ("joy",)})], "seven").utterances
    assert found.label == "fearful"


FLEISS = [
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
]  # fmt: skip
"""The usual worked example: 10 items, 14 raters, 5 classes, kappa 0.210 (P mean 0.378, P_e 0.213)."""


def one_hot(counts: list[int]) -> np.ndarray:
    return np.eye(len(counts))[np.repeat(np.arange(len(counts)), counts)]


def test_agreement_is_that_of_the_worked_example() -> None:
    found = agreement([one_hot(counts) for counts in FLEISS])
    assert found is not None and found.items == 10
    assert found.kappa == pytest.approx(0.210, abs=5e-4) and found.pairwise == pytest.approx(0.378, abs=5e-4)


def test_agreement_is_the_mean_over_pairs_of_annotators() -> None:
    rng = np.random.default_rng(0)
    items = [rng.dirichlet(np.ones(4), size=rng.integers(1, 6)) for _ in range(30)]
    rated = [w for w in items if len(w) > 1]
    pairs = [np.mean([w[a] @ w[b] for a in range(len(w)) for b in range(len(w)) if a != b]) for w in rated]
    found = agreement(items)
    assert found is not None and found.items == len(rated) and found.pairwise == pytest.approx(np.mean(pairs))
    assert agreement([np.eye(3)[:1]]) is None
    same = agreement([np.eye(3)[[1, 1]]])
    assert same is not None and same.pairwise == 1 and same.kappa is None


def test_agreement_of_a_corpus_counts_votes_as_classes() -> None:
    given = [
        utterance("a", votes={"1": ("anger",), "2": ("angry",)}),
        utterance("b", votes={"1": ("anger",), "2": ("sad",)}),
        utterance("c", votes={"1": ("anger",)}),
    ]
    found = annotators(given, ("angry", "sad"))
    # Pairs: 1 and 0. Shares 3/4 and 1/4, so chance is 10/16.
    assert found is not None and found.items == 2 and found.pairwise == 0.5
    assert found.kappa == pytest.approx((0.5 - 0.625) / 0.375)


def test_agreement_of_a_manifest_reads_votes_as_each_corpus_writes_them() -> None:
    """IEMOCAP's excited is happy in four classes, and its `Neutral state` neutral; another corpus has its own names."""
    given = [
        utterance("a", label="happy", corpus="iemocap", votes={"1": ("Excited",), "2": ("Happiness",)}),
        utterance("b", label="neutral", corpus="iemocap", votes={"1": ("Neutral state",), "2": ("Sadness",)}),
        utterance("c", label="sad", votes={"1": ("sad",), "2": ("sadness",), "3": ("boredom",)}),
        utterance("d", label="angry", corpus="iemocap"),
    ]
    found = manifest_annotators(given)
    # Pairs: 1, 0, 1. Two votes for happy, one for neutral, three for sad of six: chance is 14/36.
    assert found is not None and found.items == 3 and found.pairwise == pytest.approx(2 / 3)
    assert found.kappa == pytest.approx((2 / 3 - 14 / 36) / (22 / 36))
    assert str(found) == "pairwise agreement 0.67, Fleiss' kappa 0.45, over 3 utterances"
    assert manifest_annotators(given[:1]) is None and manifest_annotators(given[3:]) is None
    fold = Fold("f", tuple(given[:2]), (), tuple(given[2:]))
    (note,) = [f for f in audit_folds([fold], sound=False).findings if f.kind == "annotators"]
    assert (note.severity, note.evidence) == ("note", {"utterances": 3, "pairwise": 0.6667, "kappa": 0.4545})
    assert run_summary.annotators(given) == str(found) and run_summary.annotators(given[3:]) == ""


def test_soft_cross_entropy_is_pytorchs_on_labels_and_the_sum_by_hand_on_shares() -> None:
    rng = torch.Generator().manual_seed(0)
    logits, target = torch.randn(6, 3, generator=rng), torch.tensor([0, 1, 2, 2, 1, 0])
    weights = torch.tensor([0.5, 1.0, 2.0])
    hard = torch.nn.functional.cross_entropy
    one = torch.nn.functional.one_hot(target, 3).float()
    torch.testing.assert_close(soft_cross_entropy(logits, one), hard(logits, target))
    torch.testing.assert_close(soft_cross_entropy(logits, one, weights), hard(logits, target, weight=weights))
    shares = torch.softmax(torch.randn(6, 3, generator=rng), 1)
    by_hand = -np.mean(
        [(p * np.log(np.exp(x) / np.exp(x).sum())).sum() for p, x in zip(shares.numpy(), logits.numpy(), strict=True)]
    )
    assert float(soft_cross_entropy(logits, shares)) == pytest.approx(float(by_hand), rel=1e-5)


def test_soft_labels_need_a_network() -> None:
    with pytest.raises(ConfigurationError, match="soft_labels = True changes the loss of a network"):
        with_overrides(load("functionals"), ["soft_labels=true", "classifier=svm"])


# from the manifest to the answer


def corpus(folder: Path, names: tuple[str, ...], votes: bool = False) -> Path:
    """Sines, each class with its own pitch: 6 speakers, 2 utterances of each class; every word belongs to a class."""
    found = []
    for speaker in range(6):
        for at, label in enumerate(names * 2):
            name = f"{speaker}-{at}"
            wav(folder / f"{name}.wav", 0.5 + 0.05 * speaker, frequency=180 * (1 + at % len(names)) + speaker)
            rated = {"x": (label,), "y": (names[0],)} if votes else None
            text = f"word{at % len(names)} said"
            audio = folder / f"{name}.wav"
            found.append(Utterance(name, audio, label=label, speaker=f"s{speaker}", text=text, votes=rated))
    write_manifest(folder / "manifest.jsonl", found)
    return folder / "manifest.jsonl"


def call(*arguments: object) -> str:
    done = RUN.invoke(app, list(map(str, arguments)))
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


SMALL = [word for change in ("hidden=8", "dense=8", "epochs=2", "word_dim=4") for word in ("--set", change)]
FIVE = ("bored", "calm", "gereizt", "happy", "very sad")


@pytest.mark.parametrize(("system", "names"), [("acoustic", FIVE), ("functionals", EIGHT), ("svm", EIGHT)])
def test_any_classes_survive_from_the_manifest_to_the_report(
    system: str, names: tuple[str, ...], tmp_path: Path
) -> None:
    manifest, run = corpus(tmp_path, names), tmp_path / "run"
    small = SMALL if system == "acoustic" else []
    train = ["train", system, "--manifest", manifest, "--protocol", "speaker", "-o", run, *small]
    refused = RUN.invoke(app, list(map(str, train)))
    assert refused.exit_code == 1 and "--labels as-is" in str(refused.exception)
    call(*train, "--labels", "as-is")
    result = runs.result_of(run)
    assert result.classes == names and result.logits.shape[-1] == len(names)
    page = tmp_path / "report.html"
    call("evaluate", run, "-o", page)
    assert all(name in page.read_text(encoding="utf-8") for name in names)
    call("audit", run, "--manifest", manifest, "--labels", "as-is")
    if system == "svm":
        return
    exported = tmp_path / "model"
    call("export", run, "-o", exported)
    recogniser = duetto.load(exported, require_speech=False)
    assert recogniser.labels == names
    said = json.loads(call("predict", tmp_path / "0-0.wav", "--model", exported, "--any-sound", "--json"))
    assert tuple(said["probabilities"]) == names and said["label"] in names
    # The run folder predicts by the model of its first fold, whose test utterances come first in the result.
    name = str(result.ids[0])
    predicted = duetto.load(run, require_speech=False)(tmp_path / f"{name}.wav").probabilities
    np.testing.assert_allclose(list(predicted.values()), result.calibrated[0][0], atol=1e-5)


def test_a_fusion_of_any_classes(tmp_path: Path) -> None:
    manifest, run = corpus(tmp_path, FIVE), tmp_path / "run"
    fusion = ["--set", "branches=functionals,embedding-random", "--set", "inner_folds=2"]
    small = [word for word in SMALL if word not in ("--set",)]
    changes = [word for change in small for word in ("--set", change)]
    options = ["--manifest", manifest, "--labels", "as-is", "--protocol", "speaker", "-o", run]
    call("train", "fusion-calibrated", *fusion, *changes, *options)
    assert runs.result_of(run).classes == FIVE
    exported = tmp_path / "model"
    call("export", run, "-o", exported)
    assert duetto.load(exported, require_speech=False).labels == FIVE


def test_soft_labels_train_on_the_votes(tmp_path: Path) -> None:
    manifest = corpus(tmp_path, FIVE, votes=True)
    # Half of every vote is for the first class, so that its mean probability is far above that of hard labels.
    shares = {}
    for soft in ("false", "true"):
        run = tmp_path / soft
        options = ["--manifest", manifest, "--labels", "as-is", "--protocol", "speaker", "-o", run]
        more = ("epochs=30", "learning_rate=0.02", "epoch_choice=last", f"soft_labels={soft}")
        call("train", "acoustic", *SMALL, *(word for change in more for word in ("--set", change)), *options)
        logits = runs.result_of(run).logits
        p = np.exp(logits - logits.max(-1, keepdims=True))
        shares[soft] = (p / p.sum(-1, keepdims=True))[..., 0].mean()
    assert shares["true"] > shares["false"] + 0.15
    assert read_manifest(manifest)[0].votes == {"x": ("bored",), "y": ("bored",)}

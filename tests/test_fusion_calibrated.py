"""A fusion from training to prediction: what is trained on whom, equal answers everywhere, branches that drop out."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import duetto
from corpus_trees import wav
from duetto import inference, metrics
from duetto import runs as run_folder
from duetto.audit.run import audit_run
from duetto.cli import app
from duetto.config.fusion import FUSIONS, Fusion, branch_experiments, fusion_with_overrides, load_fusion
from duetto.data.manifest import read_manifest
from duetto.data.utterance import Utterance, Word
from duetto.errors import ConfigurationError, ModelError
from duetto.evaluation.product_fit import fit_fusion
from duetto.experiments import trainings
from duetto.experiments.fusion_runner import run_fusion
from duetto.experiments.inner_folds import inner_folds
from duetto.experiments.workspace import Workspace
from duetto.inference.fusion_folder import FUSION, read_fusion
from duetto.splits import Fold, folds
from duetto.training.word_embeddings import EmbeddingConfig

RUN = CliRunner()
SMALL = ("hidden=8", "dense=8", "word_dim=4", "epochs=2")
SMALLEST = Fusion("small", "Small fusion", ("acoustic", "embedding-word2vec"), inner_folds=2, settings=SMALL)


def workspace(manifest: Path) -> Workspace:
    return Workspace(manifest.parent / "cache", EmbeddingConfig(epochs=1))


@pytest.fixture(scope="module")
def run(manifest: Path) -> Path:
    folder = manifest.parent / "calibrated"
    run_fusion(SMALLEST, read_manifest(manifest), "session5", folder, workspace(manifest))
    return folder


@pytest.fixture(scope="module")
def tested(run: Path, manifest: Path) -> list[Utterance]:
    """Its test utterances, in the order of the result."""
    by_id = {u.id: u for u in read_manifest(manifest)}
    return [by_id[str(i)] for i in run_folder.result_of(run).ids]


# configuration


@pytest.mark.parametrize("name", FUSIONS)
def test_every_fusion_loads_and_has_the_name_of_its_file(name: str) -> None:
    fusion = load_fusion(name)
    assert fusion.name == name and len(branch_experiments(fusion)) == len(fusion.branches) >= 2


def test_settings_reach_the_fusion_or_its_branches() -> None:
    changed = fusion_with_overrides(load_fusion("fusion-calibrated"), ["branches=acoustic, mcnn", "epochs=3"])
    assert changed.branches == ("acoustic", "mcnn") and changed.settings == ("epochs=3",)
    assert [(e.name, e.epochs) for e in branch_experiments(changed)] == [("acoustic", 3), ("mcnn", 3)]
    assert changed.name == "fusion-calibrated (branches=acoustic, mcnn, epochs=3)"
    assert fusion_with_overrides(changed, ['branches=["mcnn", "acoustic"]']).branches == ("mcnn", "acoustic")


@pytest.mark.parametrize(
    ("branches", "message"),
    [
        (("acoustic",), "give 2 to 8"),
        (("acoustic", "evector"), "'evector'.*is a baseline"),
        (("acoustic", "fusion-calibrated"), "is a fusion itself"),
        (("acoustic", "acoustic"), "two branches"),
        (("acoustic", "nothing"), "neither a system nor a file"),
    ],
)
def test_branches_that_cannot_be(branches: tuple[str, ...], message: str) -> None:
    from duetto.baselines import BASELINES

    with pytest.raises(ConfigurationError, match=message):
        branch_experiments(Fusion("x", "X", branches), BASELINES)


def test_a_branch_may_not_choose_its_epoch_on_test_data() -> None:
    with pytest.raises(ConfigurationError, match="selects its epoch on test data"):
        branch_experiments(replace(SMALLEST, settings=("epoch_choice=best-on-test",)))


# inner folds


def fold_of(speakers: list[str | None], labels: str = "ab") -> Fold:
    train = tuple(Utterance(f"u{i:02}", Path("x"), label=labels[i % len(labels)], speaker=s)
                  for i, s in enumerate(speakers))  # fmt: skip
    return Fold("f", train, (Utterance("d", Path("x"), label="a", speaker="dev"),), (Utterance("t", Path("x")),))


def test_inner_folds_share_no_speaker_and_cover_the_training_part() -> None:
    fold = fold_of([*"aaaaaabbbbccd"])
    found = inner_folds(fold, 3)
    assert [sorted({str(u.speaker) for u in each.test}) for each in found.folds] == [["a"], ["b"], ["c", "d"]]
    for each in found.folds:
        assert not {u.speaker for u in each.train} & {u.speaker for u in each.test}
        assert {u.id for u in (*each.train, *each.test)} == {u.id for u in fold.train}
        assert each.development == fold.development
    assert not found.note and len(inner_folds(fold, 9).folds) == 4
    turned = replace(fold, train=fold.train[::-1])
    assert inner_folds(turned, 3) == found


@pytest.mark.parametrize("speakers", [[*"aaaabbbb"], [None, *"aaabbbc"]])
def test_few_or_unknown_speakers_are_divided_by_utterance_with_a_note(speakers: list[str | None]) -> None:
    found = inner_folds(fold_of(speakers), 2)
    assert "divided by utterance" in found.note and len(found.folds) == 2
    for each in found.folds:  # neighbours together, every class in each
        assert {u.label for u in each.train} == {u.label for u in each.test} == {"a", "b"}
    assert {u.id for u in found.folds[0].test} == {"u00", "u01", "u02", "u03"}


# training


def test_posteriors_are_of_speakers_never_heard_and_nothing_sees_test_data(run: Path, manifest: Path) -> None:
    fold = folds("session5", read_manifest(manifest))[0]
    part = run / "fold0-seed0"
    about = json.loads((part / FUSION).read_text())["fitted"]
    assert (about["utterances"], about["groups"], about["inner_folds"]) == (
        len(fold.train), len({u.speaker for u in fold.train}), 2,
    )  # fmt: skip
    seen = []
    for number, inner in enumerate(inner_folds(fold, 2).folds):
        trained, _ = inference.settings(part / "inner" / str(number) / "embedding-word2vec")
        from duetto.data.text import tokens

        assert set(trained.vocabulary.words) == {w for u in inner.train for w in tokens(u)}
        seen += [u.id for u in inner.test]
    assert sorted(seen) == sorted(u.id for u in fold.train) and not {*seen} & {u.id for u in fold.test}
    assert {
        f.kind for f in audit_run(run, read_manifest(manifest), features=manifest.parent / "cache/features").leaks
    } == set()


def test_the_result_is_the_product_of_its_branches(run: Path) -> None:
    part, result = run / "fold0-seed0", run_folder.result_of(run)
    fusion, classes = read_fusion(part)
    assert classes == result.classes and fusion.names == SMALLEST.branches
    branches = run_folder.branch_results(run)
    assert [b.system for b in branches] == list(SMALLEST.branches)
    weights, prior = np.array(fusion.weights[frozenset(fusion.names)]), np.array(fusion.prior)
    logs = [np.log(metrics.softmax(b.logits[0] / t)) for b, t in zip(branches, fusion.temperatures, strict=True)]
    joined = prior * np.exp(sum(w * (log - np.log(prior)) for w, log in zip(weights, logs, strict=True)))
    np.testing.assert_allclose(result.calibrated[0], joined / joined.sum(1, keepdims=True), atol=1e-5)


def test_a_finished_training_is_not_repeated(run: Path, manifest: Path, tmp_path: Path, monkeypatch) -> None:
    folder = tmp_path / "again"
    shutil.copytree(run, folder)
    before = run_folder.result_of(folder).logits
    trained: list[Path] = []
    train = trainings._train
    monkeypatch.setattr(trainings, "_train", lambda job, **more: (trained.append(job.folder), train(job, **more))[1])
    lost = folder / "fold0-seed0/inner/1/acoustic"
    shutil.rmtree(lost)
    result = run_fusion(SMALLEST, read_manifest(manifest), "session5", folder, workspace(manifest))
    assert trained == [lost]
    np.testing.assert_array_equal(result.logits, before)


def test_another_list_of_branches_is_another_run(run: Path, manifest: Path) -> None:
    with pytest.raises(ModelError, match="differs in fusion"):
        other = replace(SMALLEST, branches=("acoustic", "embedding-random"))
        run_fusion(other, read_manifest(manifest), "session5", run, workspace(manifest))


# prediction


def test_prediction_gives_the_posteriors_of_training(run: Path, tested: list[Utterance]) -> None:
    recogniser, expected = duetto.load(run), run_folder.result_of(run).calibrated[0]
    assert recogniser.uses_words and recogniser.labels == run_folder.result_of(run).classes
    for utterance, row in list(zip(tested, expected, strict=True))[:6]:
        prediction = recogniser(utterance.audio, words=utterance.words)
        np.testing.assert_allclose(list(prediction.probabilities.values()), row, atol=2e-5)
        assert prediction.label == recogniser.labels[int(np.argmax(row))]
        assert [b.name for b in prediction.branches] == list(SMALLEST.branches)


def test_features_that_branches_share_are_extracted_once(
    manifest: Path, tested: list[Utterance], tmp_path: Path, monkeypatch
) -> None:
    from duetto.features.short_term import ShortTermConfig

    pair = replace(SMALLEST, branches=("acoustic", "acoustic-attention"))
    run_fusion(pair, read_manifest(manifest), "session5", tmp_path / "pair", workspace(manifest))
    recogniser, calls = duetto.load(tmp_path / "pair"), []
    extract = ShortTermConfig.extract
    monkeypatch.setattr(ShortTermConfig, "extract", lambda self, *a: (calls.append(1), extract(self, *a))[1])
    answer = recogniser(tested[0].audio)
    assert len(calls) == 1 and not recogniser.uses_words and all(b.probabilities for b in answer.branches)


def test_a_branch_without_a_known_word_is_left_out_and_the_answer_says_so(run: Path, tested: list[Utterance]) -> None:
    recogniser, audio = duetto.load(run), tested[0].audio
    fusion, _ = read_fusion(run / "fold0-seed0")
    alone = fusion.weights[frozenset({"acoustic"})]
    for words in ((), (Word("xyzzy", 0.1, 0.2),)):
        prediction = recogniser(audio, words=words)
        voice, text = prediction.branches
        assert (voice.weight, text.weight, text.probabilities) == (alone[0], 0.0, None)
        assert any(w.startswith("left out of the fusion") and "embedding-word2vec" in w for w in prediction.warnings)
        assert not any("as if nothing had been said" in w for w in prediction.warnings)
        record = prediction.to_json("x")
        assert [b["name"] for b in record["branches"]] == list(SMALLEST.branches)
        assert voice.probabilities is not None
        np.testing.assert_allclose(
            list(prediction.probabilities.values()), list(voice.probabilities.values()), atol=1e-9
        )
    said = recogniser(audio, words=tested[0].words)
    assert all(b.probabilities for b in said.branches) and not any("left out" in w for w in said.warnings)


def test_with_no_branch_left_the_answer_is_the_prior() -> None:
    from duetto.evaluation.product import PosteriorFusion
    from duetto.inference.fusion_folder import fuse

    fusion = PosteriorFusion(("a", "b"), (1.0, 1.0), {frozenset("ab"): (1.0, 1.0)}, (0.7, 0.3))
    answer = fuse(fusion, ("x", "y"), [np.array([9.0, 0.0])] * 2, ["no known word"] * 2)
    np.testing.assert_allclose(np.exp(answer.log_posteriors), [0.7, 0.3])
    assert "no branch has a word" in answer.warnings[0] and all(b.probabilities is None for b in answer.branches)


@pytest.fixture
def silence(tmp_path: Path) -> Path:
    path = tmp_path / "silence.wav"
    wav(path, 2.0, amplitude=0.0)
    return path


def test_without_speech_known_words_are_answered_by_the_branch_that_reads_them(
    run: Path, tested: list[Utterance], silence: Path
) -> None:
    """The branch by itself, at the temperature of the fusion, is the oracle; the voice is not computed."""
    recogniser, fusion = duetto.load(run), read_fusion(run / "fold0-seed0")[0]
    branch = run / "fold0-seed0/branches/embedding-word2vec"
    words = tuple(replace(word, start=None, end=None) for word in tested[0].words or ())
    answer = recogniser(silence, words=words)
    assert fusion.weights[frozenset({"embedding-word2vec"})] == (0.0, 1.0)
    (own,) = [b for b in answer.branches if b.probabilities is not None]
    assert (own.name, answer.speech_seconds, answer.branches[0].weight) == ("embedding-word2vec", 0.0, 0.0)
    np.testing.assert_allclose(list(answer.probabilities.values()), list(own.probabilities.values()), atol=1e-9)
    alone = np.log(list(duetto.load(branch)(silence, words=words).probabilities.values()))
    expected = metrics.softmax(alone * inference.Session(branch).temperature / fusion.temperatures[1])
    np.testing.assert_allclose(list(own.probabilities.values()), expected, atol=1e-5)
    assert answer.label == max(answer.probabilities, key=answer.probabilities.__getitem__)
    (warning,) = [w for w in answer.warnings if "left out" in w]
    assert warning.startswith("no speech was found; left out of the fusion: acoustic; the others are weighted")
    given = recogniser(silence, transcript=" ".join(word.word for word in words))
    assert given.label == answer.label and any("no speech was found" in w for w in given.warnings)


def test_without_speech_and_known_words_there_is_no_label(run: Path, tested: list[Utterance], silence: Path) -> None:
    recogniser = duetto.load(run)
    for given in ({}, {"words": ()}, {"transcript": "xyzzy"}):
        answer = recogniser(silence, **given)
        assert (answer.label, answer.probabilities, answer.branches) == (None, {}, ())
        assert answer.warnings[-1] == "no speech was found, so there is no emotion to recognise"
    any_sound = duetto.load(run, require_speech=False)(silence, words=tested[0].words)
    assert all(b.probabilities for b in any_sound.branches)


def test_a_network_that_reads_both_has_no_label_without_speech(runs: Path, silence: Path) -> None:
    assert duetto.load(runs / "acoustic")(silence, transcript="okay").label is None


def test_words_unheard_in_test_utterances_are_left_out_of_the_score(run: Path, manifest: Path) -> None:
    """The score treats a test utterance without known words as prediction does."""
    from duetto.experiments.fusion_runner import _logits, _Plan

    fold = folds("session5", read_manifest(manifest))[0]
    dumb = replace(fold, test=tuple(replace(u, words=None, text="xyzzy") for u in fold.test))
    plan = _Plan(SMALLEST, branch_experiments(SMALLEST), run, (inner_folds(fold, 2),))
    _, present = _logits(plan, [(dumb, None)], run / "fold0-seed0")
    assert present[0].all() and not present[1].any()


def test_weights_are_fitted_on_what_was_left_out(run: Path, manifest: Path) -> None:
    """The fit, made again from the files of the run."""
    fold = folds("session5", read_manifest(manifest))[0]
    part, inner = run / "fold0-seed0", inner_folds(fold, 2)
    logits = np.stack([
        np.concatenate([run_folder.load_outcome(part / f"inner/{j}/{name}/outcome.npz")[0] for j in range(2)])
        for name in SMALLEST.branches
    ])  # fmt: skip
    utterances = [u for each in inner.folds for u in each.test]
    classes = run_folder.result_of(run).classes
    target = np.array([classes.index(str(u.label)) for u in utterances])
    again = fit_fusion(logits, target, [str(u.speaker) for u in utterances], names=SMALLEST.branches,
                       optional=("embedding-word2vec",), together=("acoustic",))  # fmt: skip
    assert again.fusion == read_fusion(part)[0]


def test_damaged_folders_are_refused(run: Path, tmp_path: Path) -> None:
    part = run / "fold0-seed0"
    shutil.copytree(part, tmp_path / "x", ignore=shutil.ignore_patterns("inner"))
    value = json.loads((part / FUSION).read_text())
    escaping = [{**value["branches"][0], "name": "../x"}, value["branches"][1]]
    for change in ({"format": "other"}, {"classes": ["a"]}, {"classes": [*"abcd"]}, {"branches": escaping}):
        (tmp_path / "x" / FUSION).write_text(json.dumps({**value, **change}))
        with pytest.raises(ModelError):
            duetto.load(tmp_path / "x")
    (tmp_path / "x" / FUSION).write_text(json.dumps(value))
    assert duetto.load(tmp_path / "x").labels == tuple(value["classes"])
    shutil.rmtree(tmp_path / "x/branches/acoustic")
    with pytest.raises(ModelError, match="acoustic"):
        duetto.load(tmp_path / "x")


def test_the_command_trains_and_predicts_a_fusion(manifest: Path, tested: list[Utterance], tmp_path: Path) -> None:
    options = [
        o for s in (*SMALL, "inner_folds=2", "epochs=1", "branches=acoustic,embedding-random") for o in ("--set", s)
    ]
    done = RUN.invoke(
        app, ["train", "fusion-calibrated", "--manifest", str(manifest), "-o", str(tmp_path / "run"), *options]
    )
    assert done.exit_code == 0, done.output
    assert "joined by" in done.output
    done = RUN.invoke(
        app, ["predict", str(tested[0].audio), "--model", str(tmp_path / "run"), "--json", "--transcript", "okay"]
    )
    record = json.loads(done.stdout)
    assert done.exit_code == 0 and [b["name"] for b in record["branches"]] == ["acoustic", "embedding-random"]
    text = RUN.invoke(app, ["predict", str(tested[0].audio), "--model", str(tmp_path / "run"), "--transcript", "xyzzy"])
    assert "embedding-random (left out)" in text.output and "acoustic (" in text.output
    done = RUN.invoke(app, ["train", "fusion-calibrated", "--set", "branches=acoustic,svm", "--manifest", str(manifest),
                            "-o", str(tmp_path / "other")])  # fmt: skip
    assert done.exit_code == 2 and "baseline" in done.output

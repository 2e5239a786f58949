"""Adaptation to a speaker: the shrunken statistics against their formula, the guard against planted sessions."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import duetto
import quick_training
from duetto import audio, evaluation, inference, metrics, report, runs, training
from duetto.config import experiment
from duetto.data.labels import LABEL_SETS
from duetto.data.manifest import read_manifest
from duetto.data.utterance import Utterance
from duetto.errors import ConfigurationError, ModelError
from duetto.inference.model_folder import find
from duetto.inference.recogniser import Recogniser
from duetto.inference.session import Session
from duetto.preprocessing import Preprocessor
from duetto.preprocessing.normalisation import Adaptation, Guard, Normaliser, SpeakerSums, fit_guard
from duetto.splits import Fold
from duetto.training import FoldInputs, adapted
from duetto.utils.reading import Record

CLASSES, DIMENSIONS = LABEL_SETS["four"], 12


def recordings(n: int, dim: int = 5, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(3.0, 2.0, (int(rng.integers(2, 9)), dim)).astype(np.float32) for _ in range(n)]


def summed(adaptation: Adaptation, training_: Normaliser, of: list[np.ndarray]) -> SpeakerSums:
    return sum((adaptation.sums(x, training_) for x in of), start=adaptation.empty(training_))


@pytest.mark.parametrize("shrinkage", [0.5, 5.0])
@pytest.mark.parametrize("n", [1, 3, 20])
def test_statistics_are_those_of_the_formula(shrinkage: float, n: int) -> None:
    """Each moment by hand: n₀ recordings of the training moments, and one mean of each recording."""
    training_ = Normaliser.fit(recordings(30, seed=1), 5)
    own = recordings(n, seed=2)
    found = (adaptation := Adaptation(shrinkage)).normaliser(summed(adaptation, training_, own), training_)
    for d in range(5):
        m0, s0 = float(training_.mean[d]), float(training_.deviation[d])
        first = (shrinkage * m0 + sum(float(np.mean(x[:, d])) for x in own)) / (shrinkage + n)
        second = (shrinkage * (s0**2 + m0**2) + sum(float(np.mean(x[:, d].astype(float) ** 2)) for x in own)) / (
            shrinkage + n
        )
        assert found.mean[d] == pytest.approx(first, rel=1e-5)
        assert found.deviation[d] == pytest.approx((second - first**2) ** 0.5, rel=1e-4)


def test_without_recordings_they_are_those_of_training_to_the_bit() -> None:
    training_ = Normaliser.fit(recordings(10), 5)
    adaptation = Adaptation(5.0)
    assert adaptation.normaliser(adaptation.empty(training_), training_) is training_


def test_with_many_recordings_they_are_those_of_the_speaker() -> None:
    """Vectors of whole recordings, for which `normalisation = "speaker"` is the same sum."""
    rng = np.random.default_rng(3)
    own = [x[None] for x in rng.normal(-4.0, 0.5, (4000, 5)).astype(np.float32)]
    training_, adaptation = Normaliser.fit(recordings(10), 5), Adaptation(0.01)
    found, speaker = adaptation.normaliser(summed(adaptation, training_, own), training_), Normaliser.fit(own, 5)
    np.testing.assert_allclose(found.mean, speaker.mean, rtol=1e-4)
    np.testing.assert_allclose(found.deviation, speaker.deviation, rtol=1e-3)


def test_long_recordings_do_not_dominate() -> None:
    training_, adaptation = Normaliser.identity(1), Adaptation(1e-6)
    own = [np.full((1000, 1), 2.0, np.float32), np.full((1, 1), 4.0, np.float32)]
    assert adaptation.normaliser(summed(adaptation, training_, own), training_).mean[0] == pytest.approx(3.0, rel=1e-5)


def test_the_order_of_recordings_changes_nothing_beyond_rounding() -> None:
    corpus = planted(6, 0)
    guard = guard_of(corpus)
    training_, adaptation = Normaliser.identity(DIMENSIONS), Adaptation(5.0, guard)
    own = [x[None] for x in corpus[0][:20]]
    results = [adaptation.normaliser(summed(adaptation, training_, each), training_) for each in (own, own[::-1])]
    np.testing.assert_allclose(results[0].mean, results[1].mean, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(results[0].deviation, results[1].deviation, rtol=1e-6)


def planted(
    speakers: int, seed: int, *, shift: float = 0.3, each: int = 10, only: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vectors whose first three values are the emotion, beside a shift of the speaker in all: x, class, speaker."""
    rng = np.random.default_rng(seed)
    means = np.zeros((4, DIMENSIONS))
    means[:, :3] = 2.0 * np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    x, target, names = [], [], []
    for speaker in range(speakers):
        voice = shift * rng.normal(size=DIMENSIONS)
        for i in range(4 * each):
            label = speaker % 4 if only else i % 4
            x.append(means[label] + voice + rng.normal(size=DIMENSIONS))
            target.append(label)
            names.append(f"s{speaker}")
    return np.array(x, np.float32), np.array(target), np.array(names)


def guard_of(corpus: tuple[np.ndarray, np.ndarray, np.ndarray]) -> Guard:
    guard = fit_guard(*corpus)
    assert guard is not None
    return guard


def test_the_guards_variances_are_those_planted() -> None:
    """Along directions of unit variance within an emotion: 1 there. Over all, 1 + the variance of the class means
    along them: 3 directions share 12 = 3 · 2², over three degrees of freedom of four classes, so 1 + 4 · 4/3 each."""
    guard = guard_of(planted(40, 1))
    assert guard.single == pytest.approx(1.0, rel=0.1)
    # Class means of finite classes: a balanced variance over 40 recordings divides by 1 − 1/40.
    assert guard.mixed == pytest.approx(1.0 + 4.0 / (1 - 1 / 40), rel=0.1)


def test_the_guard_recognises_one_sided_sessions() -> None:
    guard = guard_of(planted(20, 2))
    training_, adaptation = Normaliser.identity(DIMENSIONS), Adaptation(5.0, guard)
    share = {}
    for only in (False, True):
        x, _, speakers = planted(20, 3, only=only)
        sums = [summed(adaptation, training_, [v[None] for v in x[speakers == name][:12]]) for name in set(speakers)]
        share[only] = np.array([adaptation.trusted(each, training_) / each.count for each in sums])
    assert share[False].min() > 0.95 and share[True].max() < 0.05


def test_a_first_recording_is_trusted_by_half() -> None:
    guard = guard_of(planted(20, 2))
    training_, adaptation = Normaliser.identity(DIMENSIONS), Adaptation(5.0, guard)
    for value in (0.0, 6.0):
        first = np.full((1, DIMENSIONS), value, np.float32)
        assert adaptation.trusted(adaptation.sums(first, training_), training_) == pytest.approx(0.5)


def test_the_guard_judges_speakers_far_from_those_of_training_alike() -> None:
    """Another microphone shifts all values of all recordings, and says nothing of how many emotions there are."""
    guard = guard_of(planted(20, 2))
    training_, adaptation = Normaliser.identity(DIMENSIONS), Adaptation(5.0, guard)
    for only in (False, True):
        x, _, speakers = planted(20, 3, only=only)
        for moved in (x, x + 6):
            own = [summed(adaptation, training_, [v[None] for v in moved[speakers == s][:12]]) for s in set(speakers)]
            share = np.array([adaptation.trusted(each, training_) / each.count for each in own])
            assert share.max() < 0.05 if only else share.min() > 0.95


def test_the_guards_log_odds_by_hand() -> None:
    """Three recordings, one direction, v₁ = 1, v₂ = 4, S = 8: ½·(8 − 2 − 2·ln 4)."""
    guard = Guard(np.ones((1, 1), np.float32), 1.0, 4.0)
    assert guard.weight(3, 8.0) == pytest.approx(1 / (1 + np.exp(-(3 - np.log(4)))), rel=1e-12)


def test_no_guard_without_what_it_would_recognise() -> None:
    x, target, speakers = planted(20, 4, only=True)
    assert fit_guard(x, target, speakers) is None  # nobody shows two emotions
    noise = np.random.default_rng(0).normal(size=x.shape).astype(np.float32)
    x, target, speakers = planted(3, 4)
    assert fit_guard(x, target, speakers) is None  # too few speakers
    shuffled = np.random.default_rng(0).permutation(np.arange(800) % 4)
    assert (found := fit_guard(noise, shuffled, np.repeat(np.arange(20).astype(str), 40))) is None or (
        found.mixed < 1.2 * found.single
    )


def vectors_fold(
    train: tuple[np.ndarray, ...], test: tuple[np.ndarray, ...], development: tuple[np.ndarray, ...]
) -> FoldInputs:
    """A fold of planted vectors, as short-term features of one frame."""
    parts, frames = [], {}
    for name, (x, target, speakers) in zip(("train", "dev", "test"), (train, development, test), strict=True):
        utterances = []
        for i, (row, label, speaker) in enumerate(zip(x, target, speakers, strict=True)):
            frames[f"{name}{i:04d}"] = np.pad(row, (0, 34 - DIMENSIONS))[None].astype(np.float32)
            u = Utterance(f"{name}{i:04d}", Path(f"{i}.wav"), label=CLASSES[label], speaker=f"{name}-{speaker}")
            utterances.append(u)
        parts.append(tuple(utterances))
    return FoldInputs(Fold("planted", *parts), frames=frames)


ADAPTIVE = {"normalisation": "shrinkage", "acoustic_encoder": "statistics", "dense": 32, "epochs": 15, "dropout": 0.1}


def accuracy(logits: np.ndarray, fold: Fold) -> float:
    target = np.array([CLASSES.index(str(u.label)) for u in fold.test])
    return metrics.unweighted_accuracy(target, metrics.predicted_classes(logits), 4)


def test_a_speakers_shift_is_learnt_from_unlabelled_utterances(tmp_path: Path) -> None:
    """Voices shifted farther than emotions differ: alone a classifier errs, after 20 utterances it hardly does.

    Statistics of 20 recordings leave 1/5 of the shift (n₀ = 5) and a sampling error of variance 1/20 of what a feature
    has, so the emotions, 2 deviations from the axes, are told apart nearly as well as without any shift.
    """
    e = experiment.load("acoustic", learning_rate=1e-2, **ADAPTIVE)
    inputs = vectors_fold(planted(16, 5, shift=2.0), planted(8, 6, shift=2.0), planted(4, 7, shift=2.0))
    outcome = training.train(e, inputs, tmp_path, seed=0)
    assert outcome.adapted is not None and outcome.adapted.shape == (3, adapted.ORDERS, 320, 4)
    alone = accuracy(outcome.test_logits, inputs.fold)
    after = [np.mean([accuracy(x, inputs.fold) for x in orders]) for orders in outcome.adapted]
    assert alone < 0.85 and after[2] > 0.93 and after[2] > after[0] and after[2] > alone + 0.1


def test_speakers_of_one_emotion_lose_little_and_would_lose_much_unguarded(tmp_path: Path) -> None:
    e = experiment.load("acoustic", learning_rate=1e-2, **ADAPTIVE)
    inputs = vectors_fold(planted(16, 8), planted(8, 9, only=True), planted(4, 10))
    outcome = training.train(e, inputs, tmp_path, seed=0)
    assert outcome.adapted is not None
    alone = accuracy(outcome.test_logits, inputs.fold)
    guarded = np.mean([accuracy(x, inputs.fold) for x in outcome.adapted[2]])
    assert guarded > alone - 0.03
    session = inference.Session(tmp_path)
    preprocessor = session.preprocessor
    assert preprocessor.adaptation is not None and preprocessor.adaptation.guard is not None
    bare = replace(preprocessor, adaptation=replace(preprocessor.adaptation, guard=None))
    prepared = training.prepare(inputs.fold.test, bare, inputs.frames)
    unguarded = adapted.adapted(bare, inputs.fold.test, prepared, inputs.frames or {}, 20, 0)
    assert accuracy(session.logits_of(unguarded.frames, None), inputs.fold) < alone - 0.3


def test_training_draws_are_seeded_and_never_mix_speakers(tmp_path: Path) -> None:
    corpus = planted(6, 11, each=4)
    inputs = vectors_fold(corpus, corpus, corpus)
    preprocessor = training.fit_preprocessor(experiment.load("acoustic", **ADAPTIVE), inputs)
    prepared = training.prepare(inputs.fold.train, preprocessor, inputs.frames)
    draws = adapted.SpeakerDraws(preprocessor, inputs.fold.train, prepared, [inputs.frames or {}])
    first, again, other = (draws(np.random.default_rng(seed)).frames for seed in (0, 0, 1))
    assert first and again and other and prepared.frames
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))
    unadapted = np.mean([np.array_equal(a, b) for a, b in zip(first, prepared.frames, strict=True)])
    assert 0.1 < unadapted < 0.45  # a quarter, of 96
    altered = {i: x + 100 * (i < "train0016") for i, x in (inputs.frames or {}).items()}  # the first speaker's
    draws = adapted.SpeakerDraws(preprocessor, inputs.fold.train, prepared, [altered])
    frames = draws(np.random.default_rng(0)).frames
    assert frames and all(np.array_equal(a, b) for a, b in zip(first[16:], frames[16:], strict=True))


def test_the_shrinkage_can_be_left_to_development_speakers(tmp_path: Path) -> None:
    """With shifts as large as here every candidate but the smallest keeps too much of the training statistics."""
    e = experiment.load("acoustic", learning_rate=1e-2, shrinkage=0, **ADAPTIVE)
    inputs = vectors_fold(planted(16, 5, shift=4.0), planted(4, 6, shift=4.0), planted(6, 7, shift=4.0))
    training.train(e, inputs, tmp_path, seed=0)
    chosen = inference.settings(tmp_path)[0].adaptation
    assert chosen is not None and chosen.shrinkage == min(adapted.SHRINKAGES)


def test_systems_that_cannot_adapt_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no acoustic encoder"):
        experiment.load("embedding-random", normalisation="shrinkage")
    with pytest.raises(ConfigurationError, match='set it to "shrinkage"'):
        experiment.load("acoustic", shrinkage=3.0)
    corpus = planted(6, 0, only=True)
    with pytest.raises(ConfigurationError, match="no training speaker is known to show several emotions"):
        training.fit_preprocessor(experiment.load("acoustic", **ADAPTIVE), vectors_fold(corpus, corpus, corpus))
    with pytest.raises(ConfigurationError, match="was not trained to adapt to a speaker"):
        duetto.load(quick_training.train("functionals", tmp_path)).session()


def test_an_adaptation_is_unchanged_after_saving_and_damage_is_named() -> None:
    before = Adaptation(5.0, guard_of(planted(6, 0)))
    value = json.loads(json.dumps(before.to_json()))
    after = Adaptation.from_json(Record(value, "here", ModelError), DIMENSIONS)
    assert after.guard is not None and before.guard is not None
    np.testing.assert_array_equal(after.guard.directions, before.guard.directions)
    assert replace(after, guard=None) == replace(before, guard=None) and after.guard.mixed == before.guard.mixed
    for key, damage in (("directions", [[1.0]]), ("mixed", 0.0), ("single", "x")):
        damaged = {**value, "guard": {**value["guard"], key: damage}}
        with pytest.raises(ModelError, match="here"):
            Adaptation.from_json(Record(damaged, "here", ModelError), DIMENSIONS)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adaptive")
    system = folder / "small.toml"
    system.write_text(
        'name = "small"\ntitle = "Small"\nencoders = ["acoustic"]\nfeatures = "voice"\n'
        'acoustic_encoder = "statistics"\nnormalisation = "shrinkage"\nhead_layers = 0\n'
    )
    return quick_training.train(system, folder)


def test_a_session_answers_as_training_scored(run: Path) -> None:
    result, recogniser = runs.result_of(run), duetto.load(run, require_speech=False)
    utterances = {u.id: u for u in read_manifest(run.parent / "manifest.jsonl")}
    tested = [utterances[str(i)] for i in result.ids]
    assert result.after == adapted.AFTER and result.adapted.shape == (1, 3, adapted.ORDERS, len(tested), 4)
    for at in (0, 5):
        others = [u for u in sorted(tested, key=lambda u: u.id) if u.speaker == tested[at].speaker and u != tested[at]]
        order = np.random.default_rng(training.loop.derive("session", 1, tested[at].id)).permutation(np.arange(7))
        session = recogniser.session()
        session.enrol([others[int(order[0])].audio])
        for drawn in order[1:5]:
            session(others[int(drawn)].audio)
        answer = session(tested[at].audio)
        expected = metrics.softmax(result.adapted[0, 1, 1, at] / result.temperature[0, 0])
        np.testing.assert_allclose(list(answer.probabilities.values()), expected, atol=1e-5)
        assert answer.session_utterances == 5 and session.utterances == 6


def test_the_first_answer_of_a_session_is_that_without_one(run: Path) -> None:
    recogniser = duetto.load(run, require_speech=False)
    files = sorted(run.parent.glob("*.wav"))[:2]
    session = recogniser.session()
    first, second, alone = session(files[0]), session(files[1]), recogniser(files[0])
    assert first.probabilities == alone.probabilities
    assert (first.session_utterances, second.session_utterances, alone.session_utterances) == (0, 1, None)
    assert second.probabilities != recogniser(files[1]).probabilities
    assert recogniser.session()(files[0]).probabilities == alone.probabilities  # sessions are apart


def test_what_a_fork_of_a_session_is_given_counts_for_the_fork_alone(run: Path) -> None:
    recogniser = duetto.load(run, require_speech=False)
    files = sorted(run.parent.glob("*.wav"))[:3]
    session = recogniser.session()
    session(files[0])
    fork = session.fork()
    expected = fork(files[1])
    assert (fork.utterances, session.utterances) == (2, 1)
    assert fork(files[2]).probabilities != session.fork()(files[2]).probabilities
    assert session(files[1]) == expected


def test_an_explained_recording_counts_once_and_by_the_same_statistics(run: Path) -> None:
    recogniser = duetto.load(run, require_speech=False)
    files = sorted(run.parent.glob("*.wav"))[:3]
    plain, explained = recogniser.session(), recogniser.session()
    plain(files[0]), explained(files[0])
    expected, found = plain(files[1]), explained.explain(files[1])
    assert found.prediction == expected and explained.utterances == 2
    alone = recogniser.explain(files[1])
    assert found.prediction.probabilities != alone.prediction.probabilities and len(found.moments) == len(alone.moments)
    assert explained(files[2]) == plain(files[2])


def test_a_recording_that_fails_leaves_the_session_as_it_was(run: Path, tmp_path: Path) -> None:
    session = duetto.load(run, require_speech=False).session()
    (tmp_path / "broken.wav").write_bytes(b"no audio")
    assert isinstance(session.attempt(tmp_path / "broken.wav"), duetto.DuettoError)
    with pytest.raises(duetto.DuettoError):
        session.enrol([tmp_path / "broken.wav"])
    assert session.utterances == 0


def test_the_command_treats_its_files_as_one_speaker(run: Path) -> None:
    from typer.testing import CliRunner

    from duetto.cli import app

    files = [str(path) for path in sorted(run.parent.glob("*.wav"))[:3]]
    done = CliRunner().invoke(
        app, ["predict", *files[1:], "--enrol", files[0], "-m", str(run), "--json", "--any-sound"]
    )
    assert done.exit_code == 0, done.output
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [record["session_utterances"] for record in records] == [1, 2]
    session = duetto.load(run, require_speech=False).session()
    session.enrol([files[0]])
    expected = [session(file).to_json(file)["probabilities"] for file in files[1:]]
    assert [record["probabilities"] for record in records] == expected
    options = ["--enrol", files[0], "-m", str(run), "--json", "--any-sound", "--explain"]
    explained = [
        json.loads(line) for line in CliRunner().invoke(app, ["predict", *files[1:], *options]).stdout.splitlines()
    ]
    assert all(record.pop("explanation")["evaluations"] >= 1 for record in explained) and explained == records
    refused = CliRunner().invoke(app, ["predict", *files, "--session", "--workers", "2", "-m", str(run)])
    assert refused.exit_code == 2 and "--session answers" in refused.output


def test_reports_show_single_recordings_and_sessions(run: Path, tmp_path: Path) -> None:
    scored = report.score([runs.result_of(run)])
    text, record = report.markdown(scored), report.record(next(iter(scored)))
    assert "after 20 utterances of the speaker" in text and set(record["after_utterances"]) == {"1", "5", "20"}
    five = scored.systems[0].result.after_utterances(5)
    assert record["after_utterances"]["5"]["ua"]["mean"] == pytest.approx(evaluation.mean_ua(five))
    report.write(tmp_path / "r.html", scored, title="t", protocol={}, corpus={"counts": {}, "synthetic": True})
    assert "Sessions of one speaker" in (tmp_path / "r.html").read_text(encoding="utf-8")
    with pytest.raises(ConfigurationError, match="known: 1, 5, 20"):
        scored.systems[0].result.after_utterances(7)


def test_results_of_systems_that_do_not_adapt_have_no_further_arrays(tmp_path: Path) -> None:
    result = evaluation.SystemResult("a", ("x", "y"), np.array(["u"]), np.array([0]), np.zeros((1, 1, 2)), (0,))
    result.save(tmp_path / "r.npz")
    with np.load(tmp_path / "r.npz") as arrays:
        assert "adapted" not in arrays.files
    assert evaluation.SystemResult.load(tmp_path / "r.npz").after == ()
    assert "after_utterances" not in report.record(report.score([result]).systems[0])


def test_the_audit_names_what_the_sessions_use(run: Path) -> None:
    found = json.loads((run / "audit.json").read_text())["findings"]
    noted = [finding for finding in found if finding["kind"] == "session-statistics"]
    assert len(noted) == 1 and "transductive, causal" in noted[0]["detail"] and noted[0]["severity"] == "note"


def test_a_preprocessor_of_another_normalisation_has_no_adaptation(run: Path) -> None:
    preprocessor = Session(find(run)).preprocessor
    value = preprocessor.to_json()
    assert Preprocessor.from_json(value, "here").adaptation is not None
    with pytest.raises(ModelError):
        Preprocessor.from_json({key: v for key, v in value.items() if key != "adaptation"}, "here")


def test_recordings_of_a_session_are_decoded_as_single_ones_are(run: Path) -> None:
    """The waveform's own features, whatever the source is given as."""
    recogniser, path = Recogniser(run, require_speech=False), sorted(run.parent.glob("*.wav"))[0]
    wave = audio.load(path)
    given = {"waveform": wave.samples, "sample_rate": wave.sample_rate}
    (one,), (other,) = recogniser.speaker_sums(given), recogniser.speaker_sums(path)
    assert one is not None and other is not None
    np.testing.assert_allclose(one.mean, other.mean, rtol=1e-5)

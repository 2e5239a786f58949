"""Sessions of a fusion: branches that adapt keep statistics of their own, the others answer as ever."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import duetto
import quick_training
from duetto import evaluation, metrics, report, runs
from duetto.cli import app
from duetto.data.manifest import read_manifest
from duetto.errors import ConfigurationError
from duetto.evaluation.product import PosteriorFusion
from duetto.experiments.export_fusion import export_fusion
from duetto.inference.fusion_folder import read_fusion, write_fusion
from duetto.training import adapted, loop

RUN = CliRunner()
COMMON = 'encoders = ["acoustic"]\nacoustic_encoder = "statistics"\nhead_layers = 0\n'
BRANCHES = {
    "of-voice": 'features = "voice"\nnormalisation = "shrinkage"\n',
    "of-spectra": 'features = "corrected"\nnormalisation = "shrinkage"\nshrinkage = 2.0\n',
    "steady": 'features = "voice"\n',
}


def fusion_file(folder: Path, names: tuple[str, ...]) -> Path:
    """A TOML file of a fusion of some of the branches."""
    for name in names:
        (folder / f"{name}.toml").write_text(f'name = "{name}"\ntitle = "{name}"\n{COMMON}{BRANCHES[name]}')
    path = folder / "voices.toml"
    listed = ", ".join(f'"{(folder / name).as_posix()}.toml"' for name in names)
    path.write_text(f'name = "voices"\ntitle = "Voices"\nbranches = [{listed}]\ninner_folds = 2\n')
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("voices")
    return quick_training.train(fusion_file(folder, tuple(BRANCHES)), folder)


@pytest.fixture(scope="module")
def files(run: Path) -> list[Path]:
    return sorted(run.parent.glob("4-*.wav"))


def test_every_branch_answers_by_its_own_statistics(run: Path, files: list[Path]) -> None:
    """Each branch by itself, in a session of its own over the same recordings, is the oracle."""
    part = run / "fold0-seed0"
    fusion, classes = read_fusion(part)
    sessions = [
        duetto.load(part / "branches" / name, require_speech=False).session() for name in ("of-voice", "of-spectra")
    ]
    steady = duetto.load(part / "branches" / "steady", require_speech=False)
    together = duetto.load(run, require_speech=False).session()
    for each in (*sessions, together):
        each.enrol([files[0]])
    for file in files[1:5]:
        answer = together(file)
        own = [*(session(file) for session in sessions), steady(file)]
        # a posterior raised to T_own / T_fusion is that of the logits at the temperature of the fusion
        for branch, alone, temperature, name in zip(
            answer.branches, own, fusion.temperatures, fusion.names, strict=True
        ):
            assert branch.probabilities is not None and branch.name == name
            calibrated = duetto.inference.Session(part / "branches" / name).temperature
            logs = np.log(list(alone.probabilities.values())) * calibrated / temperature
            np.testing.assert_allclose(list(branch.probabilities.values()), metrics.softmax(logs), atol=1e-6)
        assert answer.session_utterances == own[0].session_utterances
    assert together.utterances == 5 and classes == tuple(together(files[0]).probabilities)


def test_a_session_answers_as_training_scored(run: Path) -> None:
    result, recogniser = runs.result_of(run), duetto.load(run, require_speech=False)
    utterances = {u.id: u for u in read_manifest(run.parent / "manifest.jsonl")}
    tested = [utterances[str(i)] for i in result.ids]
    assert result.after == adapted.AFTER and result.adapted.shape == (1, 3, adapted.ORDERS, len(tested), 4)
    for at in (0, 9):
        others = [u for u in sorted(tested, key=lambda u: u.id) if u.speaker == tested[at].speaker and u != tested[at]]
        order = np.random.default_rng(loop.derive("session", 1, tested[at].id)).permutation(np.arange(7))
        session = recogniser.session()
        session.enrol([others[int(i)].audio for i in order[:5]])
        answer = session(tested[at].audio)
        np.testing.assert_allclose(
            list(answer.probabilities.values()), metrics.softmax(result.adapted[0, 1, 1, at]), atol=1e-5
        )
        single = recogniser(tested[at].audio)
        np.testing.assert_allclose(list(single.probabilities.values()), result.calibrated[0, at], atol=1e-5)
        assert single.session_utterances is None and answer.probabilities != single.probabilities


def test_the_score_in_sessions_is_the_fusion_of_its_branches(run: Path) -> None:
    fusion, _ = read_fusion(run / "fold0-seed0")
    result, branches = runs.result_of(run), runs.branch_results(run)
    assert [b.after for b in branches] == [adapted.AFTER, adapted.AFTER, ()]
    for setting, order in ((0, 0), (2, 1)):
        logits = [b.adapted[0, setting, order] if b.after else b.logits[0] for b in branches]
        expected = fusion.log_posteriors(np.stack(logits))
        np.testing.assert_allclose(result.adapted[0, setting, order], expected, atol=1e-5)


def test_reports_show_the_fusion_in_sessions(run: Path, tmp_path: Path) -> None:
    scored = report.score([runs.result_of(run)])
    assert "after 20 utterances of the speaker" in report.markdown(scored)
    done = RUN.invoke(app, ["evaluate", str(run), "--json", "-o", str(tmp_path / "page.html")])
    assert done.exit_code == 0, done.output
    records = {r["system"]: r for r in map(json.loads, done.stdout.splitlines())}
    result = runs.result_of(run)
    five, name = result.after_utterances(5), result.system
    assert records[name]["after_utterances"]["5"]["ua"]["mean"] == pytest.approx(evaluation.mean_ua(five))
    assert "after_utterances" in records[f"{name}: of-voice"]
    assert "after_utterances" not in records[f"{name}: steady"]
    assert "Sessions of one speaker" in (tmp_path / "page.html").read_text(encoding="utf-8")
    found = json.loads((run / "audit.json").read_text())["findings"]
    assert "session-statistics" in {finding["kind"] for finding in found}


def test_the_exported_folder_answers_alike_from_the_command_line(run: Path, files: list[Path], tmp_path: Path) -> None:
    export_fusion([run], tmp_path / "out")
    options = ["--enrol", str(files[0]), "--json", "--any-sound", "-m", str(tmp_path / "out")]
    done = RUN.invoke(app, ["predict", *map(str, files[1:4]), *options])
    assert done.exit_code == 0, done.output
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [record["session_utterances"] for record in records] == [1, 2, 3]
    session = duetto.load(run, require_speech=False).session()
    session.enrol(files[:1])
    for file, record in zip(files[1:4], records, strict=True):
        expected = session(file).to_json(str(file))
        np.testing.assert_allclose(
            list(record["probabilities"].values()), list(expected["probabilities"].values()), atol=2e-6
        )


def test_features_that_branches_share_are_extracted_once(run: Path, files: list[Path], monkeypatch) -> None:
    from duetto.features.voice import VoiceConfig

    recogniser, calls = duetto.load(run, require_speech=False), []
    extract = VoiceConfig.extract
    monkeypatch.setattr(VoiceConfig, "extract", lambda self, *a: (calls.append(1), extract(self, *a))[1])
    session = recogniser.session()
    session.enrol(files[:1])
    assert len(calls) == 1
    session(files[1])
    assert len(calls) == 2


def test_the_guard_names_the_branches_that_it_holds_back(run: Path, files: list[Path], monkeypatch) -> None:
    from duetto.preprocessing.normalisation import Adaptation

    session = duetto.load(run, require_speech=False).session()
    session.enrol(files[:4])
    monkeypatch.setattr(Adaptation, "trusted", lambda self, sums, _: sums.count * (0.1 if self.shrinkage == 2 else 0.9))
    (warning,) = [w for w in session(files[4]).warnings if "single emotion" in w]
    assert "the 4 recordings" in warning and warning.endswith("count as 0.4 recordings in of-spectra")


def test_a_fusion_without_a_branch_that_adapts_refuses_a_session(run: Path, files: list[Path], tmp_path: Path) -> None:
    names = ("steady", "again")
    for name in names:
        shutil.copytree(run / "fold0-seed0/branches/steady", tmp_path / "branches" / name)
    plain = PosteriorFusion.plain(names, (1.0, 1.0), 4)
    classes = read_fusion(run / "fold0-seed0")[1]
    write_fusion(tmp_path, plain, classes, {"name": "two", "title": "Two", "fitted": None})
    recogniser = duetto.load(tmp_path, require_speech=False)
    with pytest.raises(ConfigurationError, match="none of the branches steady, steady was trained to adapt"):
        recogniser.session()
    with pytest.raises(ConfigurationError, match="does not adapt"):
        recogniser.speaker_sums(files[0])


def test_the_fusion_of_voice_systems_adapts(tmp_path: Path) -> None:
    """fusion-voice as it comes, from training to a session."""
    run = quick_training.train("fusion-voice", tmp_path)
    quick_training.check_predictions(run)
    files = sorted(tmp_path.glob("5-*.wav"))[:3]
    session = duetto.load(run, require_speech=False).session()
    answers = [session(file) for file in files]
    assert [answer.session_utterances for answer in answers] == [0, 1, 2]
    assert [branch.name for branch in answers[2].branches] == ["whisper-adaptive", "functionals-adaptive"]
    assert answers[2].probabilities != duetto.load(run, require_speech=False)(files[2]).probabilities

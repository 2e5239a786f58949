"""Models on the Hugging Face Hub: up and down again through huggingface_hub itself, against a stand-in of its API."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import duetto
from duetto import audio
from duetto.data.manifest import read_manifest
from duetto.errors import ConfigurationError, MissingExtraError, ModelError
from duetto.inference import pretrained
from duetto.inference.confidence import Confidence
from duetto.inference.publishing import Publication, card_text, stage
from duetto.utils import hub
from hub_server import HubServer, Repository
from sounds import voice

pytest.importorskip("huggingface_hub")
TOKEN = "hf_secretsecretsecret"
MAIN = "import sys; from duetto.cli import main; main()"
LOAD = """
import json, sys, duetto
for name in sys.argv[2:]:
    try:
        found = duetto.load(name, require_speech=False)
        print(json.dumps({"terms": found.terms, "probabilities": found(sys.argv[1]).probabilities}))
    except duetto.DuettoError as error:
        print(json.dumps([type(error).__name__, str(error)]))
"""


@pytest.fixture
def server() -> Iterator[HubServer]:
    with HubServer(TOKEN) as running:
        yield running


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("hub") / "voice.wav"
    audio.write(path, voice(), 16_000)
    return str(path)


def process(code: str, *arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """A process of its own, since huggingface_hub reads its variables when it is imported."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, env={**inherited, **variables}, capture_output=True, text=True, check=False)
    assert TOKEN not in done.stdout + done.stderr
    return done


def loaded(recording: str, *names: str, **variables: str) -> list:
    done = process(LOAD, recording, *names, **variables)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def shipped() -> dict[str, bytes]:
    """The files of a model that comes with duetto."""
    return {path.name: path.read_bytes() for path in pretrained.folder("emodb").iterdir() if path.is_file()}


def front_matter(card: bytes) -> dict:
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load(card.decode().split("---\n")[1])


def test_a_run_goes_up_and_comes_down_as_it_was(server: HubServer, runs: Path, manifest: Path, tmp_path: Path) -> None:
    """Weights of PyTorch, graph, description, card; then predictions through the Hub equal those of the run."""
    from duetto.training import checkpoint

    run = runs / "fusion-speech2vec"
    here = server.environment(tmp_path / "home", TOKEN)
    options = ("--private", "--license", "cc-by-4.0", "--language", "en", "-m", "The first")
    done = process(MAIN, "push", run, "me/voices", *options, **here)
    assert done.returncode == 0, done.stderr
    repository = server.repositories["me/voices"]
    assert repository.private and repository.messages == ["The first"]
    assert done.stdout.strip() == f"{server.address}/me/voices/commit/{repository.commits[-1][0]}"
    names = {"model.onnx", "model.json", "model.safetensors", "language.json", "README.md"}
    assert names <= set(repository.files) and all(f"{name}: " in done.stderr for name in names)

    member = run / "fold0-seed0"
    (tmp_path / "down.safetensors").write_bytes(repository.files["model.safetensors"])
    trained, found = checkpoint.load(member / "model.safetensors")[0], checkpoint.load(tmp_path / "down.safetensors")[0]
    assert trained.keys() == found.keys() and all((trained[name] == found[name]).all() for name in trained)

    card = front_matter(repository.files["README.md"])
    assert (card["license"], card["language"], card["pipeline_tag"]) == ("cc-by-4.0", ["en"], "audio-classification")
    (result,) = card["model-index"][0]["results"]
    assert card["metrics"] == ["recall", "accuracy"] == [each["type"] for each in result["metrics"]]
    assert result["dataset"]["name"] == "synthetic corpus, protocol session5"
    assert b"duetto predict FILE --model hub:me/voices" in repository.files["README.md"]

    utterance = read_manifest(manifest)[0]
    arguments = ("predict", utterance.audio, "--json", "--any-sound", "--asr", "corpus", "--model")
    done = process(MAIN, *arguments, "hub:me/voices", **server.environment(tmp_path / "other", TOKEN))
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    expected = duetto.load(run, asr="corpus", require_speech=False)(utterance.audio)
    assert record["model"] == "hub:me/voices"
    assert list(record["probabilities"].values()) == pytest.approx(list(expected.probabilities.values()), abs=1e-5)
    assert re.search(rf"hub:me/voices: \d+ files \(\d+\.\d MB\) are downloaded from {server.address}", done.stderr)
    assert not any("safetensors" in request for request in server.requests if "resolve" in request)


def test_recall_and_accuracy_on_the_card_are_those_of_the_run(runs: Path, tmp_path: Path) -> None:
    """By hand from the predictions, over seeds and folds."""
    from duetto import runs as run_folder
    from duetto.experiments.publishing import stage_run

    (tmp_path / "out").mkdir()
    stage_run(runs / "acoustic", tmp_path / "out", Publication("me/voices"))
    scores = front_matter((tmp_path / "out/README.md").read_bytes())["model-index"][0]["results"][0]["metrics"]
    result = run_folder.result_of(runs / "acoustic")
    right = result.predicted == result.target
    recalls = [right[:, result.target == number].mean() for number in np.unique(result.target)]
    assert [each["value"] for each in scores] == pytest.approx([np.mean(recalls), right.mean()], abs=1e-4)


def test_a_shipped_model_keeps_its_card(server: HubServer, recording: str, tmp_path: Path) -> None:
    done = process(MAIN, "push", "emodb", "me/emodb", **server.environment(tmp_path / "home", TOKEN))
    assert done.returncode == 0, done.stderr
    repository, own = server.repositories["me/emodb"], shipped()
    assert not repository.private and set(repository.files) - {".gitattributes"} == set(own)
    assert {name: repository.files[name] for name in own if name != "README.md"} == {
        name: content for name, content in own.items() if name != "README.md"
    }
    before, after = front_matter(own["README.md"]), front_matter(repository.files["README.md"])
    assert {key: after[key] for key in before} == before and after["library_name"] == "duetto"
    ((down,), expected) = (
        loaded(recording, "hub:me/emodb", **server.environment(tmp_path / "other")),
        duetto.load("emodb", require_speech=False),
    )
    assert down["probabilities"] == pytest.approx(expected(recording).probabilities, abs=1e-9)
    assert down["terms"] == expected.terms  # and its confidence, which are links in the cache


def test_what_is_in_the_cache_is_not_downloaded_again(server: HubServer, recording: str, tmp_path: Path) -> None:
    repository = server.repositories["me/voices"] = Repository()
    first = repository.commit(shipped())
    home = server.environment(tmp_path / "home")
    (expected,) = loaded(recording, "hub:me/voices", **home)
    second = repository.commit({"terms.txt": b"new terms"})
    server.requests.clear()
    (old,) = loaded(recording, f"hub:me/voices@{first}", **home)
    assert server.requests == [] and old == expected  # a commit is what it is
    (offline,) = loaded(recording, "hub:me/voices", **home, HF_HUB_OFFLINE="1")
    assert server.requests == [] and offline == expected
    (new,) = loaded(recording, "hub:me/voices", **home)
    assert new["terms"] == "new terms" and new["probabilities"] == expected["probabilities"]
    fetched = [request for request in server.requests if request.startswith("GET") and "resolve" in request]
    assert fetched == [f"GET /me/voices/resolve/{second}/terms.txt"]
    server.requests.clear()
    assert loaded(recording, "hub:me/voices", **home) == [new]
    assert not any("resolve" in request for request in server.requests)
    gone = {**home, "HF_ENDPOINT": "http://127.0.0.1:9"}
    done = process(LOAD, recording, "hub:me/voices", **gone)
    assert json.loads(done.stdout) == new and "the Hub cannot be reached; looking for it in the cache" in done.stderr


def test_what_comes_from_the_hub_is_checked_like_any_folder(server: HubServer, recording: str, tmp_path: Path) -> None:
    good = shipped()
    for name, files in {
        "graph": {**good, "model.onnx": good["model.onnx"][:5000]},
        "description": {**good, "model.json": b'{"format": "duetto-model-1"}'},
        "another": {"config.json": b"{}", "pytorch_model.bin": b"\x80\x04."},
        "private": good,
        "many": {**good, **{f"encoder/{number}": b"x" for number in range(hub.MOST_FILES)}},
    }.items():
        server.repositories[f"me/{name}"] = Repository(private=name == "private")
        server.repositories[f"me/{name}"].commit(files)
    home = server.environment(tmp_path / "home")
    wrong = ("graph", "description", "another", "private", "many", "absent", "graph@nowhere")
    answers = dict(zip(wrong, loaded(recording, *(f"hub:me/{name}" for name in wrong), **home), strict=True))
    assert {answer[0] for answer in answers.values()} == {"ModelError"}
    for name, message in {
        "graph": "model.onnx: ",
        "description": "model.json",
        "another": "hub:me/another: no model.json or fusion.json in it, so it is no model of duetto",
        "private": "there is no such repository on the Hub, or your token may not use it",
        "many": "files of 0 MB; 200 of 2,147 MB are the limit",
        "absent": "model hub:me/absent: there is no such repository",
        "graph@nowhere": "model hub:me/graph@nowhere: ",
    }.items():
        assert message in answers[name][1], answers[name]
    assert not any("pytorch_model.bin" in request for request in server.requests)
    (private,) = loaded(recording, "hub:me/private", **server.environment(tmp_path / "home", TOKEN))
    assert "probabilities" in private
    ((_, offline),) = loaded(recording, "hub:me/new", **home, HF_HUB_OFFLINE="1")
    assert offline == "model hub:me/new: it is not on this computer, and HF_HUB_OFFLINE forbids to download it"


def test_pushes_that_fail(server: HubServer, tmp_path: Path) -> None:
    home = tmp_path / "home"
    for variables, message in (
        (server.environment(home), "an upload needs a token of the Hub: run `hf auth login`, or set HF_TOKEN"),
        (server.environment(home, "hf_other"), "me/x: nothing was uploaded: "),
        ({**server.environment(home, TOKEN), "HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE forbids to use the network"),
    ):
        done = process(MAIN, "push", "emodb", "me/x", **variables)
        assert done.returncode == 1 and message in done.stderr, done.stderr
        assert "Traceback" not in done.stderr and server.repositories == {}


def test_names_of_models_on_the_hub() -> None:
    assert hub.parse("hub:me/my-voices_2.0") == ("me/my-voices_2.0", None)
    assert hub.parse("me/voices@refs/pr/1") == ("me/voices", "refs/pr/1")
    for wrong in ("hub:voices", "hub:a/b/c", "hub:me/", "hub:me/x@", "hub:me/..", "hub:me/x y", "hub:me/x@a b", "hub:"):
        with pytest.raises(ConfigurationError, match="names no model on the Hub; give OWNER/NAME"):
            duetto.load(wrong)


def test_wrong_usage_of_push(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from duetto.cli import app

    for arguments, message in (
        (["emodb", "voices"], "names no model on the Hub"),
        (["emodb", "hub:me/voices"], "give OWNER/NAME"),
        (["emodb", "me/voices@v1"], "give OWNER/NAME"),
        (["emodb", "me/voices", "--language", "German"], "is no language code"),
        (["emodb", "me/voices", "--seed", "1"], "belong to a run folder"),
    ):
        done = CliRunner().invoke(app, ["push", *arguments])
        text = " ".join(re.sub("[│╭╮╰╯─]", " ", done.output).split())
        assert done.exit_code == 2 and message in text, text
    done = CliRunner().invoke(app, ["push", str(tmp_path), "me/voices"])
    assert done.exit_code == 1 and "no model in it" in str(done.exception)


def test_only_files_of_a_model_are_staged(tmp_path: Path) -> None:
    shutil.copytree(pretrained.folder("emodb"), tmp_path / "mine")
    (tmp_path / "mine/secret.env").write_text("token")
    (tmp_path / "mine/README.md").unlink()
    (tmp_path / "out").mkdir()
    stage(tmp_path / "mine", tmp_path / "out", Publication("me/voices", languages=["de"]))
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(shipped())
    card = (tmp_path / "out/README.md").read_bytes()
    assert front_matter(card)["license"] == "unknown" and front_matter(card)["language"] == ["de"]
    assert b"# me/voices" in card and b"--model hub:me/voices" in card
    (tmp_path / "mine/terms.txt").unlink()
    (tmp_path / "mine/terms.txt").symlink_to("/etc/hostname")
    (tmp_path / "again").mkdir()
    with pytest.raises(ModelError, match=r"terms\.txt: is a link to a file elsewhere"):
        stage(tmp_path / "mine", tmp_path / "again", Publication("me/voices"))


def test_a_licence_is_not_changed_in_passing() -> None:
    folder = pretrained.folder("emodb-ravdess")
    card = (folder / "README.md").read_text(encoding="utf-8")
    same = card_text(card, Publication("me/x", license="cc-by-nc-sa-4.0"), folder)
    assert front_matter(same.encode())["license"] == "cc-by-nc-sa-4.0" and same.count("license:") == 1
    with pytest.raises(ConfigurationError, match=r"license mit: the card of the model states cc-by-nc-sa-4\.0"):
        card_text(card, Publication("me/x", license="mit"), folder)


def test_links_of_a_snapshot_are_followed_and_others_are_not(tmp_path: Path) -> None:
    """As the cache of the Hub lays them out: snapshots/COMMIT/FILE → blobs/DIGEST."""
    snapshot, blobs = tmp_path / "models--me--x/snapshots/abc", tmp_path / "models--me--x/blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for name, content in shipped().items():
        (blobs / name.upper()).write_bytes(content)
        (snapshot / name).symlink_to(f"../../blobs/{name.upper()}")
    assert Confidence.load(snapshot) is not None and "EmoDB" in pretrained.terms(snapshot)
    assert duetto.load(snapshot, reject="auto").labels == duetto.load("emodb").labels
    outside = tmp_path / "secret"
    outside.write_text("secret")
    (blobs / "TERMS.TXT").unlink()
    (blobs / "TERMS.TXT").symlink_to(outside)  # a link to a link
    assert "secret" not in pretrained.terms(snapshot)
    (snapshot / "terms.txt").unlink()
    (snapshot / "terms.txt").symlink_to(outside)
    assert "is a link" in pretrained.terms(snapshot)


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'duetto\[hub\]'"):
        duetto.load("hub:me/voices")


def test_a_token_in_a_message_is_left_out() -> None:
    assert hub._one_line(f"bad\n token {TOKEN}\x1b[1m", TOKEN) == "bad token …\\x1b[1m"

"""What a command reports as done is on the disk; what was interrupted, or is damaged by a power cut, recovers."""

import json
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from duetto import runs
from duetto.cli import app
from duetto.errors import ConfigurationError, DuettoError, ModelError
from duetto.experiments import export

_TRACED = """
import json, os, re, sys
from pathlib import Path

synced, changed, wrong, renamed = {}, set(), [], []
fsync = os.fsync

def of(path):
    status = os.stat(path)
    return status.st_ino, status.st_mtime_ns, status.st_size

def traced(descriptor):
    fsync(descriptor)
    inode, time, size = of(descriptor)
    synced[inode] = (time, size)
    changed.discard(inode)

def on_disk(path):
    inode, time, size = of(path)
    return synced.get(inode) == (time, size)

def watch(event, arguments):
    if event != "os.rename":
        return
    source, target = map(os.path.realpath, arguments[:2])
    if re.search(r"/\\.[^/]+\\.[0-9a-f]{16}\\.tmp/", target):
        return  # in a folder that is being filled
    found = [source, *(os.path.join(at, name) for at, _, names in os.walk(source) for name in names)]
    wrong.extend(f"{path} is not synced" for path in found if os.path.isfile(path) and not on_disk(path))
    renamed.append(os.path.basename(target))
    changed.add(os.stat(os.path.dirname(target)).st_ino)

os.fsync = traced
sys.addaudithook(watch)
out = Path(sys.argv.pop(1))
try:
    from duetto.cli import main
    main()
except SystemExit as status:
    assert not status.code, status.code
wrong += ["a folder is not synced after a rename in it"] if changed else []
for path in out.rglob("*"):
    if path.is_file() and "tensorboard" not in path.parts and path.name != "lock" and not on_disk(path):
        wrong.append(f"{path} is not synced")
print(json.dumps([wrong, renamed]), file=sys.__stderr__)
"""


def duetto(*arguments: object, code: str = "from duetto.cli import main; main()", **how: object):
    """A command in a process of its own."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **how)  # type: ignore[call-overload]


SMALL = ("--set", "hidden=8", "--set", "dense=8", "--set", "epochs=1")


def training(manifest: Path, out: Path) -> Sequence[object]:
    cache = manifest.parent / "cache"
    return ("train", "acoustic", *SMALL, "--manifest", manifest, "--protocol", "session5", "--cache", cache, "-o", out)


@pytest.fixture(scope="module")
def run(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained run, and with it the features in the shared cache."""
    out = tmp_path_factory.mktemp("durability") / "run"
    trained(manifest, out)
    return out


def traced(out: Path, *arguments: object) -> list[str]:
    """Names of the files that a command renamed into place; fails where one of its files was not synced."""
    done = duetto(out, *arguments, code=_TRACED)
    assert done.returncode == 0, done.stderr
    wrong, renamed = json.loads(done.stderr.splitlines()[-1])
    assert wrong == []
    return renamed


def test_training_export_and_alignment_sync_all_that_they_leave(manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = list(training(manifest, out))
    command[command.index("--cache") + 1] = tmp_path / "run" / ".." / "cache"  # new, so that its files are checked too
    expected = {"run.json", "last.safetensors", "model.safetensors", "model.onnx", "model.json", "outcome.npz"}
    expected |= {"result.npz", "audit.json", "control-majority.npz", "config.json"}
    assert expected <= set(traced(tmp_path, *command))
    assert traced(tmp_path / "model", "export", out, "-o", tmp_path / "model") == ["model"]
    few = manifest.with_name("few.jsonl")
    few.write_text("".join(manifest.read_text().splitlines(keepends=True)[:2]))
    aligned = tmp_path / "aligned"
    found = traced(aligned, "align", few, "-o", aligned / "out.jsonl", "--by", "segment")
    assert found == ["words.jsonl", "out.jsonl"]


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="needs limits of processes")
@pytest.mark.parametrize("name", ["run.json", "fold0-seed0/last.safetensors"])
def test_a_disk_that_is_full_while_training_is_one_line(manifest: Path, run: Path, tmp_path: Path, name: str) -> None:
    """The kernel refuses what is beyond a limit in the same way."""
    limit = (run / name).stat().st_size - 1
    done = duetto(
        *training(manifest, tmp_path / "run"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"error: {tmp_path}/run/{name}: File too large"
    assert "Traceback" not in done.stderr
    left = [path for path in (tmp_path / "run").rglob("*") if path.name.endswith((".tmp", ".partial"))]
    assert left == []


def trained(manifest: Path, out: Path) -> str:
    """The same training again, in this process; returns what it prints on standard error."""
    done = CliRunner().invoke(app, [str(argument) for argument in training(manifest, out)])
    if isinstance(done.exception, DuettoError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stderr


@pytest.mark.parametrize(
    "torn",
    [
        ["fold0-seed0/outcome.npz"],
        ["fold0-seed0/model.onnx"],
        ["fold0-seed0/model.json", "result.npz", "audit.json"],
        ["fold0-seed0/model.safetensors"],
        ["fold0-seed0/last.safetensors", "fold0-seed0/outcome.npz"],
        None,
    ],
)
def test_the_same_training_recovers_from_a_power_cut(
    manifest: Path, run: Path, tmp_path: Path, torn: list[str] | None
) -> None:
    """Files that were never brought to the disk are empty; None: all of them."""
    out = tmp_path / "run"
    shutil.copytree(run, out)
    everything = [
        str(p.relative_to(out))
        for p in out.rglob("*")
        if p.suffix in (".json", ".jsonl", ".npz", ".onnx", ".safetensors")
    ]
    for name in torn or everything:
        (out / name).write_bytes(b"")
    trained(manifest, out)
    for name in everything:
        assert (out / name).stat().st_size, name
    assert np.array_equal(runs.result_of(out).logits, runs.result_of(run).logits)


def test_a_run_whose_description_is_lost_is_not_taken_for_another(manifest: Path, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(run, out)
    (out / "run.json").write_bytes(b"")
    with pytest.raises(ModelError, match="holds no run; choose another folder, or delete this one"):
        trained(manifest, out)


def test_what_killed_trainings_left_is_cleared(manifest: Path, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(run, out)
    left = ("fold0-seed0/.model.onnx.0123456789abcdef.tmp", "fold0-seed0/last.safetensors.partial", ".tmpAbCdEf")
    for name in left:
        (out / name).write_text("half")
    trained(manifest, out)
    assert not [name for name in left if (out / name).exists()]


@pytest.mark.parametrize("seed", range(3))
def test_a_killed_export_blocks_nothing_and_leaves_nothing(runs: Path, tmp_path: Path, seed: int) -> None:
    """Killed when a drawn number of files was put in place; the last, at the rename of the whole."""
    code = """if True:
        import os, signal, sys
        left = int(sys.argv.pop(1))
        def count(event, arguments):
            global left
            left -= event == "os.rename"
            if event == "os.rename" and left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(count)
        from duetto.cli import main
        main()
    """
    count = [0, int(np.random.default_rng(0).integers(1, 6)), 6][seed]
    killed = duetto(count, "export", runs / "fusion-spoken", "-o", tmp_path / "model", code=code)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (tmp_path / "model").exists()
    export.export(runs / "fusion-spoken", tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert {path.name for path in (tmp_path / "model").iterdir()} == EXPORTED


EXPORTED = {"README.md", "language.json", "model.json", "model.onnx", "spoken.json", "spoken.onnx"}


def test_two_exports_into_one_folder_end_with_one_that_is_whole(runs: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from duetto.cli import main; main()", "export", str(runs / "fusion-spoken")]
    command += ["-o", str(tmp_path / "model")]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    printed = [process.communicate() for process in both]
    assert sorted(process.returncode for process in both) == [0, 1], printed
    (out, error) = printed[both.index(next(process for process in both if process.returncode))]
    assert "verified" not in out
    assert "exists already" in error or "is there and not empty" in error
    assert {path.name for path in (tmp_path / "model").iterdir()} == EXPORTED
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_an_export_leaves_a_users_folder_alone_and_takes_no_other_file(runs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs / "fusion-spoken", run)
    part = run / "fold0-seed0"
    (part / "notes.txt").write_text("a user's own")
    (part / "secret").symlink_to("/etc/passwd")
    (tmp_path / "model.partial").mkdir()
    (tmp_path / "model.partial" / "mine").write_text("mine")
    export.export(run, tmp_path / "model")
    assert {path.name for path in (tmp_path / "model").iterdir()} == EXPORTED
    assert (tmp_path / "model.partial" / "mine").read_text() == "mine"


def test_an_export_follows_no_link_out_of_a_run(runs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs / "fusion-spoken", run)
    language = run / "fold0-seed0" / "language.json"
    language.rename(tmp_path / "elsewhere.json")
    language.symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(Exception, match=r"language\.json: is a link"):
        export.export(run, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_an_export_lacks_nothing(runs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs / "fusion-spoken", run)
    (run / "fold0-seed0" / "spoken.onnx").unlink()
    with pytest.raises(Exception, match=r"spoken\.onnx"):
        export.export(run, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_folder_in_use_is_refused(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(ConfigurationError, match="not empty"):
        export.export(runs / "fusion-spoken", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]

"""Atomic writing, locks, and what killed processes leave behind."""

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from duetto.errors import ConfigurationError
from duetto.utils import files


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_file_is_replaced_whole_with_the_umask_permissions(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        files.write_text(tmp_path / "below" / "a.txt", "ä\n")
    finally:
        os.umask(before)
    assert (tmp_path / "below" / "a.txt").read_bytes() == "ä\n".encode()
    assert stat.S_IMODE((tmp_path / "below" / "a.txt").stat().st_mode) == 0o640
    assert listing(tmp_path / "below") == ["a.txt"]


def test_an_error_leaves_the_old_content_and_nothing_else(tmp_path: Path) -> None:
    files.write_text(tmp_path / "a", "old")
    with pytest.raises(ZeroDivisionError), files.replacing(tmp_path / "a") as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert (tmp_path / "a").read_text() == "old"
    assert listing(tmp_path) == ["a"]


def test_two_writers_of_one_file_never_write_into_the_same_one(tmp_path: Path) -> None:
    with files.replacing(tmp_path / "a") as first:
        first.write_text("first")
        with files.replacing(tmp_path / "a") as second:
            second.write_text("second")
        assert (tmp_path / "a").read_text() == "second"
    assert (tmp_path / "a").read_text() == "first"
    assert listing(tmp_path) == ["a"]


def test_a_copy_is_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"\x00x")
    (tmp_path / "link").symlink_to("real")
    files.copy(tmp_path / "link", tmp_path / "copy")
    assert not (tmp_path / "copy").is_symlink()
    assert (tmp_path / "copy").read_bytes() == b"\x00x"


def test_permissions_of_a_replaced_file_stay(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("private")
    (tmp_path / "a").chmod(0o600)
    files.write_text(tmp_path / "a", "still private")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600


def test_a_symbolic_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "target")
    files.write_text(tmp_path / "link", "x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there" / "target").read_text() == "x"


def test_a_users_own_partial_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.partial").write_text("mine")
    files.write_text(tmp_path / "a", "x")
    assert (tmp_path / "a.partial").read_text() == "mine"


def test_the_longest_name_can_be_written(tmp_path: Path) -> None:
    name = "ä" * 127
    files.write_text(tmp_path / name, "x")
    assert listing(tmp_path) == [name]


def test_a_fifo_is_written_to_and_stays(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    received: list[str] = []
    reader = threading.Thread(target=lambda: received.append(fifo.read_text()))
    reader.start()
    files.write_text(fifo, "through")
    reader.join(10)
    assert received == ["through"]
    assert stat.S_ISFIFO(fifo.stat().st_mode)


def test_a_device_is_no_file_to_replace() -> None:
    files.write_text("/dev/null", "gone")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
@pytest.mark.parametrize("appended", [False, True])
def test_standard_output_is_written_where_the_shell_redirected_it(tmp_path: Path, name: str, appended: bool) -> None:
    out = tmp_path / "out"
    out.write_text("before\n")
    code = f"print('first'); from duetto.utils import files; files.write_text({name!r}, 'second')"
    with out.open("a" if appended else "w") as file:
        subprocess.run([sys.executable, "-c", code], stdout=file, check=True)
    assert out.read_text() == ("before\n" if appended else "") + "first\nsecond"


_HANGING = """
import sys, time
from pathlib import Path
from duetto.utils import files
with files.{kind}(Path(sys.argv[1])) as temporary:
    print("writing", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("kind", ["replacing", "new_folder"])
def test_what_a_killed_writer_left_is_cleared_and_a_living_ones_is_not(tmp_path: Path, kind: str) -> None:
    command = [sys.executable, "-c", _HANGING.format(kind=kind), str(tmp_path / "target")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout
    process.stdout.readline()
    files.clear_abandoned(tmp_path)
    assert len(listing(tmp_path)) == 1
    process.send_signal(signal.SIGKILL)
    process.wait()
    files.write_text(tmp_path / "other", "x")  # of another name, so nothing is cleared
    assert len(listing(tmp_path)) == 2
    if kind == "replacing":
        files.write_text(tmp_path / "target", "x")
    else:
        with files.new_folder(tmp_path / "target") as folder:
            (folder / "x").write_text("x")
    assert listing(tmp_path) == ["other", "target"]


def test_abandoned_files_deep_below_are_cleared(tmp_path: Path) -> None:
    (tmp_path / "a" / ".b.0123456789abcdef.tmp").mkdir(parents=True)
    (tmp_path / "a" / ".b.0123456789abcdef.tmp" / "x").write_text("x")
    (tmp_path / "a" / ".c.0123456789abcdee.tmp").write_text("x")
    (tmp_path / "a" / ".hidden.tmp").write_text("a user's own")
    files.clear_abandoned(tmp_path)
    assert listing(tmp_path / "a") == [".hidden.tmp"]


def test_what_earlier_versions_and_power_cuts_left_is_cleared(tmp_path: Path) -> None:
    left = ["run.json.partial", "part/.tmpAb3dE9", "vectors/123-types.vec"]
    torn = ["outcome.npz", "part/model.onnx", "part/model.json"]
    kept = {"part/x.txt": b"", "a.partial": b"mine", "50-mine.vec": b"mine", "whole.json": b"{}", "lock": b""}
    for name, content in {
        **dict.fromkeys(left, b"x"),
        **dict.fromkeys(torn, b""),
        **kept,
        "zeros.npz": bytes(999),
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    assert {path.relative_to(tmp_path).as_posix() for path in files.recover(tmp_path)} == {*torn, "zeros.npz"}
    assert {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()} == set(kept)


def test_a_new_folder_appears_whole(tmp_path: Path) -> None:
    with files.new_folder(tmp_path / "model") as folder:
        (folder / "below").mkdir()
        (folder / "below" / "x").write_text("x")
        assert not (tmp_path / "model").exists()
    assert (tmp_path / "model" / "below" / "x").read_text() == "x"
    assert listing(tmp_path) == ["model"]


def test_a_folder_that_holds_something_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine").write_text("x")
    with pytest.raises(FileExistsError), files.new_folder(tmp_path / "model"):
        pass
    with pytest.raises(FileExistsError), files.new_folder(tmp_path / "new"):
        (tmp_path / "new").mkdir()
        (tmp_path / "new" / "of another process").write_text("x")
    assert listing(tmp_path) == ["model", "new"]


def test_an_error_names_the_file_of_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(files, "sync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        files.write_text(tmp_path / "a", "x")
    assert caught.value.filename == str(tmp_path / "a")
    assert listing(tmp_path) == []


def test_a_full_disk_names_the_file(tmp_path: Path) -> None:
    """It is found by writing, whose error names no file."""
    with pytest.raises(OSError, match="No space left") as caught, files.replacing(tmp_path / "a"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.filename == str(tmp_path / "a")


def test_a_new_folder_is_synced_as_a_whole_before_its_name_appears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    target, sync = tmp_path / "model", files.sync
    monkeypatch.setattr(files, "sync", lambda path: (synced.append(f"{path.name} {target.exists()}"), sync(path)))
    with files.new_folder(target) as folder:
        files.write_text(folder / "a", "x")
        (folder / "below").mkdir()
        (folder / "below" / "b").write_text("x")
        assert synced == []
    *before, after = synced
    assert {"a False", "b False", "below False"} < set(before)
    assert len(before) == 4
    assert after == f"{tmp_path.name} True"


def test_everything_is_synced_before_its_name_appears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[tuple[str, bool]] = []
    target, replace = tmp_path / "a", os.replace
    monkeypatch.setattr(files, "sync", lambda path: events.append((path.name, target.exists())))
    monkeypatch.setattr(os, "replace", lambda a, b: (events.append(("rename", target.exists())), replace(a, b)))
    files.write_text(target, "x")
    (temporary, there), rename, folder = events
    assert temporary.endswith(".tmp")
    assert not there
    assert rename == ("rename", False)
    assert folder == (tmp_path.name, True)


_LOCKED = """
import sys, time
from pathlib import Path
from duetto.utils import files
with files.lock(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_a_lock_blocks_another_process_until_its_holder_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _LOCKED, str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE)
    assert process.stdout
    process.stdout.readline()
    with pytest.raises(ConfigurationError, match="another process"), files.lock(tmp_path):
        pass
    with files.lock(tmp_path, wait=process.kill):
        assert process.wait(10) == -signal.SIGKILL


def test_a_file_system_without_locks_can_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr("fcntl.flock", refused)
    (tmp_path / ".a.0123456789abcdef.tmp").write_text("perhaps another's")
    with files.lock(tmp_path):
        files.write_text(tmp_path / "a", "x")
    assert listing(tmp_path) == [".a.0123456789abcdef.tmp", "a", "lock"]


def test_the_digest_is_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    assert files.digest(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_link_has_the_content_of_its_source_and_replaces_what_was_there(tmp_path: Path, monkeypatch) -> None:
    source, path = tmp_path / "a", tmp_path / "deep" / "b"
    source.write_bytes(b"weights")
    for _ in range(2):  # the second time it is a link to the same file already
        files.copy(source, path, link=True)
        assert path.read_bytes() == b"weights" and path.stat().st_ino == source.stat().st_ino
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError("no links here")))
    other = path.with_name("c")
    other.write_bytes(b"before")
    files.copy(source, other, link=True)
    assert other.read_bytes() == b"weights" and other.stat().st_ino != source.stat().st_ino
    files.copy(source, source, link=True)
    assert source.read_bytes() == b"weights" and listing(path.parent) == ["b", "c"]

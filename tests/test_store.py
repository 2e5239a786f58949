"""The feature store: what is stored is what was computed, once, whatever happens in between."""

import errno
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from duetto import audio
from duetto.data.utterance import Utterance
from duetto.errors import ConfigurationError, CorpusError
from duetto.features import _extraction, store
from duetto.features.content import Contents
from duetto.features.short_term import ShortTermConfig
from duetto.features.store import FeatureStore, extract_corpus
from duetto.utils.files import lock

CONFIG = ShortTermConfig()


@dataclass(frozen=True)
class Counting:
    """An extractor that leaves a line in a file for every recording it is given."""

    log: Path
    dim: int = 3
    pause: float = 0.0

    def key(self) -> str:
        return f"counting {self.dim}"

    def extract(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        assert sample_rate == 16_000
        time.sleep(self.pause)
        with self.log.open("a") as file:
            file.write(f"{os.getpid()} {os.environ.get('OMP_NUM_THREADS')}\n")
        return np.tile(samples[::1_600, None], self.dim)

    def calls(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


def corpus(folder: Path, n: int) -> list[Utterance]:
    folder.mkdir(exist_ok=True)
    for i in range(n):
        samples = np.random.default_rng(i).standard_normal(1_600 * (1 + i % 5)) * 0.1
        audio.write(folder / f"{i}.wav", samples, 16_000)
    return [Utterance(f"u{i}", folder / f"{i}.wav") for i in range(n)]


def test_what_is_stored_is_what_was_computed(tmp_path: Path) -> None:
    utterances = corpus(tmp_path / "a", 7)
    utterances.append(Utterance("cut", tmp_path / "a" / "4.wav", 0.1, 0.35))
    seen: list[tuple[int, int]] = []
    made = extract_corpus(utterances, tmp_path / "s", CONFIG, workers=1, progress=lambda *a: seen.append(a))
    for opened in (made, FeatureStore.open(tmp_path / "s"), FeatureStore.open(tmp_path / "s", CONFIG)):
        assert len(opened) == 8 and set(opened) == {u.id for u in utterances} and opened.skipped == {}
        assert opened.dim == 34 and opened.key == CONFIG.key()
        for u in utterances:
            waveform = audio.load(u.audio, start=u.start, end=u.end)
            np.testing.assert_array_equal(opened[u.id], CONFIG.extract(waveform.samples, 16_000))
            assert opened[u.id].dtype == np.float32 and opened.frames(u.id) == len(opened[u.id])
    assert made["cut"].shape == (3, 34)
    assert seen[0] == (0, 8) and seen[-1] == (8, 8) and seen == sorted(seen)
    assert sorted(p.name for p in made.home.iterdir()) == ["config.json", "features.f32", "index.jsonl", "lock"]


def test_views_are_read_only_and_share_the_file(tmp_path: Path) -> None:
    made = extract_corpus(corpus(tmp_path / "a", 2), tmp_path / "s", CONFIG)
    view = made["u0"]
    assert not view.flags.writeable and not view.flags.owndata and type(view) is np.ndarray
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 0
    again = pickle.loads(pickle.dumps(made))  # the way to a data loader's process
    np.testing.assert_array_equal(again["u1"], made["u1"])
    assert len(pickle.dumps(made)) < 500  # the path and the ids, not the data


def test_nothing_is_computed_twice(tmp_path: Path) -> None:
    config = Counting(tmp_path / "log")
    utterances = corpus(tmp_path / "a", 6)
    first = extract_corpus(utterances[:4], tmp_path / "s", config)
    assert len(config.calls()) == 4
    extract_corpus(utterances, tmp_path / "s", config)
    assert len(config.calls()) == 6
    size = (first.home / "index.jsonl").stat().st_size
    extract_corpus(utterances, tmp_path / "s", config)
    assert len(config.calls()) == 6 and (first.home / "index.jsonl").stat().st_size == size
    # Another name, another folder, another time: the same sound.
    (tmp_path / "a").rename(tmp_path / "b")
    moved = [Utterance(f"new{i}", tmp_path / "b" / f"{i}.wav") for i in range(6)]
    os.utime(moved[0].audio)
    again = extract_corpus(moved, tmp_path / "s", config)
    assert len(config.calls()) == 6
    np.testing.assert_array_equal(again["new3"], first["u3"])


def test_two_copies_of_a_file_are_stored_once(tmp_path: Path) -> None:
    utterances = corpus(tmp_path / "a", 1)
    (tmp_path / "copy.wav").write_bytes(utterances[0].audio.read_bytes())
    made = extract_corpus([*utterances, Utterance("copy", tmp_path / "copy.wav")], tmp_path / "s", CONFIG)
    assert (made.home / "features.f32").stat().st_size == made["u0"].nbytes
    np.testing.assert_array_equal(made["copy"], made["u0"])


def test_another_sound_or_configuration_is_computed_anew(tmp_path: Path) -> None:
    utterances = corpus(tmp_path / "a", 2)
    before = extract_corpus(utterances, tmp_path / "s", CONFIG)["u0"].copy()
    audio.write(utterances[0].audio, np.random.default_rng(9).standard_normal(1_600) * 0.2, 16_000)
    os.utime(utterances[0].audio, ns=(1, 1))
    assert not np.array_equal(extract_corpus(utterances, tmp_path / "s", CONFIG)["u0"], before)
    other = ShortTermConfig("pyaudioanalysis", max_frames=1)
    assert extract_corpus(utterances, tmp_path / "s", other)["u1"].shape == (1, 34)
    assert FeatureStore.open(tmp_path / "s", CONFIG)["u1"].shape == (2, 34)
    with pytest.raises(ConfigurationError, match=r"holds 2 configurations; choose one of: .*pyaudioanalysis"):
        FeatureStore.open(tmp_path / "s")


def test_bad_files_are_skipped_with_their_reason_and_tried_again(tmp_path: Path) -> None:
    utterances = corpus(tmp_path / "a", 3)
    (tmp_path / "text.wav").write_text("no sound")
    missing = Utterance("missing", tmp_path / "none.wav")
    bad = [Utterance("text", tmp_path / "text.wav"), missing, Utterance("cut", utterances[0].audio, 5.0, 6.0)]
    made = extract_corpus([bad[0], *utterances, *bad[1:]], tmp_path / "s", CONFIG)
    assert len(made) == 3 and set(made.skipped) == {"text", "missing", "cut"}
    assert "text.wav: is text, not audio" in made.skipped["text"]
    assert made.skipped["missing"] == f"{tmp_path / 'none.wav'}: no such file"
    assert "lies beyond the file" in made.skipped["cut"]
    assert "missing" not in made and "u0" in made
    with pytest.raises(CorpusError, match=r"'missing' was skipped: .*none\.wav: no such file"):
        made["missing"]
    with pytest.raises(CorpusError, match="'who' is not among its 3 utterances"):
        made["who"]
    audio.write(missing.audio, np.random.default_rng(0).standard_normal(1_600) * 0.1, 16_000)
    made = extract_corpus([missing], tmp_path / "s", CONFIG)
    assert "missing" in made and set(made.skipped) == {"text", "cut"}
    utterances[1].audio.unlink()  # gone since: the old features are not given out as if they were of today
    made = extract_corpus(utterances, tmp_path / "s", CONFIG)
    assert "u1" not in made and "no such file" in made.skipped["u1"]


def test_a_name_of_bytes_that_are_no_text_is_skipped_and_the_others_go_on(tmp_path: Path) -> None:
    """File names on Linux are bytes; `os.fsdecode` makes lone surrogates of those that are not UTF-8."""
    name = os.fsdecode(b"caf\xe9.wav")
    utterances = [*corpus(tmp_path, 1), Utterance(name, tmp_path / name)]
    made = extract_corpus(utterances, tmp_path / "s", CONFIG, workers=1)
    assert "u0" in made and list(made.skipped) == [name]


def test_a_defect_of_an_extractor_does_not_end_the_run(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Broken:
        def key(self) -> str:
            return "broken"

        def extract(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
            return {1_600: np.zeros((0, 2)), 3_200: np.full((1, 2), np.nan), 4_800: np.ones((1, 2))}[len(samples)]

    made = extract_corpus(corpus(tmp_path / "a", 4), tmp_path / "s", Broken())
    assert list(made) == ["u2"]
    assert "the extractor returned features of shape (0, 2)" in made.skipped["u0"]
    assert "not finite" in made.skipped["u1"]
    assert made.skipped["u3"].endswith("3.wav: KeyError: 6400")


def test_warnings_of_recordings_are_kept(tmp_path: Path) -> None:
    audio.write(tmp_path / "silent.wav", np.zeros(16_000), 16_000)
    made = extract_corpus([*corpus(tmp_path / "a", 1), Utterance("s", tmp_path / "silent.wav")], tmp_path / "s", CONFIG)
    assert made.warnings == {"s": ("silent: no sample above −80 dB of full scale",)}


def test_many_processes_write_the_same_store_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_extraction, "_SERIAL_SECONDS", 0)
    utterances = corpus(tmp_path / "a", 40)
    before = dict(os.environ)
    many = extract_corpus(utterances, tmp_path / "many", CONFIG, workers=2)
    assert dict(os.environ) == before
    one = extract_corpus(utterances, tmp_path / "one", CONFIG, workers=1)
    assert (many.home / "features.f32").read_bytes() == (one.home / "features.f32").read_bytes()
    assert list(many) == list(one) and many.skipped == {}


def test_worker_processes_use_one_thread_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_extraction, "_SERIAL_SECONDS", 0)
    config = Counting(tmp_path / "log")
    extract_corpus(corpus(tmp_path / "a", 40), tmp_path / "s", config, workers=2)
    pids = {line.split()[0] for line in config.calls()}
    assert str(os.getpid()) not in pids and {line.split()[1] for line in config.calls()} == {"1"}


def test_processes_are_started_only_for_what_takes_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    utterances, own = corpus(tmp_path / "a", 20), str(os.getpid())
    for seconds, all_here in ((1e9, True), (0.2, False)):
        monkeypatch.setattr(_extraction, "_SERIAL_SECONDS", seconds)
        config = Counting(tmp_path / f"log{seconds}", pause=0.05)
        made = extract_corpus(utterances, tmp_path / f"s{seconds}", config, workers=2)
        pids = [line.split()[0] for line in config.calls()]
        assert pids[0] == own and (set(pids) == {own}) is all_here
        assert list(made) == [u.id for u in utterances] and len(pids) == 20


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_store import Counting, corpus
from duetto.features import _store_files, store
from duetto.data.utterance import Utterance
_store_files._SYNC_SECONDS = 0.05
folder = Path({folder!r})
utterances = [Utterance(f"u{{i}}", folder / "a" / f"{{i}}.wav") for i in range(30)]
store.extract_corpus(utterances, folder / "s", Counting(folder / "log", pause=0.05), workers=1)
"""


def test_a_killed_run_is_taken_up_where_it_was(tmp_path: Path) -> None:
    utterances = corpus(tmp_path / "a", 30)
    config = Counting(tmp_path / "log")
    code = KILLED.format(tests=str(Path(__file__).parent), folder=str(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 60
    while len(config.calls()) < 12 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    home = next((tmp_path / "s").iterdir())
    kept = len(FeatureStore(home))  # what there is can be read at once
    assert 5 <= kept < 30
    started = len(config.calls())
    made = extract_corpus(utterances, tmp_path / "s", config, workers=1)
    assert len(config.calls()) - started == 30 - kept
    for u in utterances:
        np.testing.assert_array_equal(made[u.id][:, 0], audio.load(u.audio).samples[::1_600])


@pytest.mark.parametrize("cut", [1, 10, 200])
@pytest.mark.parametrize("name", ["index.jsonl", "features.f32"])
def test_a_file_that_breaks_off_costs_only_what_is_lost(tmp_path: Path, name: str, cut: int) -> None:
    config = Counting(tmp_path / "log")
    utterances = corpus(tmp_path / "a", 20)
    home = extract_corpus(utterances, tmp_path / "s", config).home
    (home / name).write_bytes((home / name).read_bytes()[:-cut])
    if name == "features.f32":
        with pytest.raises(CorpusError, match=r"features\.f32: holds \d+ values, the index names .*extraction again"):
            FeatureStore.open(tmp_path / "s")
    made = extract_corpus(utterances, tmp_path / "s", config)
    assert 20 <= len(config.calls()) <= 30 and len(made) == 20
    for u in utterances:
        np.testing.assert_array_equal(made[u.id][:, 0], audio.load(u.audio).samples[::1_600])
    assert len(FeatureStore.open(tmp_path / "s")) == 20


def test_lost_arrays_of_other_utterances_are_not_given_out(tmp_path: Path) -> None:
    config = Counting(tmp_path / "log")
    utterances = corpus(tmp_path / "a", 4)
    home = extract_corpus(utterances, tmp_path / "s", config).home
    with (home / "features.f32").open("r+b") as file:
        file.truncate(4)  # all but nothing is gone
    made = extract_corpus(utterances[3:], tmp_path / "s", config)
    assert list(made) == ["u3"] and "u0" not in made
    np.testing.assert_array_equal(made["u3"][:, 0], audio.load(utterances[3].audio).samples[::1_600])


def test_a_damaged_index_names_its_line(tmp_path: Path) -> None:
    home = extract_corpus(corpus(tmp_path / "a", 2), tmp_path / "s", CONFIG).home
    lines = (home / "index.jsonl").read_text().splitlines(keepends=True)
    (home / "index.jsonl").write_text(lines[0] + "{half\n" + "".join(lines[1:]))
    with pytest.raises(CorpusError, match=r"index\.jsonl:2: not valid JSON .*; damaged: delete .* and extract again"):
        FeatureStore.open(tmp_path / "s")
    (home / "config.json").write_text(json.dumps({"format": 99, "extractor": "x"}))
    with pytest.raises(CorpusError, match="store format 99; this duetto reads 1"):
        FeatureStore.open(tmp_path / "s")
    (home / "config.json").write_text("[]")
    with pytest.raises(CorpusError, match="not the configuration of a feature store"):
        FeatureStore.open(tmp_path / "s")


def test_a_second_writer_waits_and_then_computes_nothing_twice(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    utterances, config = corpus(tmp_path / "a", 30), Counting(tmp_path / "log")
    code = KILLED.format(tests=str(Path(__file__).parent), folder=str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        wait_until(lambda: len(config.calls()) > 3)
        made = extract_corpus(utterances, tmp_path / "s", config)
        assert process.wait(60) == 0
    assert "another process is computing features; waiting for it" in caplog.text
    assert len(made) == 30 and len(config.calls()) == 30


def test_a_complete_store_is_read_while_another_process_writes_and_where_nobody_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    utterances = corpus(tmp_path / "a", 3)
    home = extract_corpus(utterances[:2], tmp_path / "s", CONFIG).home
    with lock(home):
        assert len(extract_corpus(utterances[:2], tmp_path / "s", CONFIG)) == 2
    before = {path: path.read_bytes() for path in home.iterdir()}

    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(home / "lock"))

    monkeypatch.setattr(store, "lock", refused)
    renamed = [Utterance("other", utterances[1].audio)]
    made = extract_corpus(renamed, tmp_path / "s", CONFIG)
    again = pickle.loads(pickle.dumps(made))
    for opened in (made, again):
        np.testing.assert_array_equal(opened["other"], opened["u1"])
    lacking = r"lacks the features of 1 of 3 utterances, such as 'u2', and can't be written \(Read-only.*--cache"
    with pytest.raises(ConfigurationError, match=lacking):
        extract_corpus(utterances, tmp_path / "s", CONFIG)
    with pytest.raises(ConfigurationError, match="lacks the features of 2 of 2"):
        extract_corpus(utterances[:2], tmp_path / "s", Counting(tmp_path / "log"))
    assert {path: path.read_bytes() for path in home.iterdir()} == before


def test_another_sound_of_equal_size_and_time_is_another_sound(tmp_path: Path) -> None:
    """What `cp -p` and rsync leave."""
    (utterance,) = corpus(tmp_path / "a", 1)
    contents, status = Contents(), utterance.audio.stat()
    before = extract_corpus([utterance], tmp_path / "s", CONFIG, contents=contents)["u0"].copy()
    audio.write(utterance.audio, np.random.default_rng(9).standard_normal(1_600) * 0.1, 16_000)
    os.utime(utterance.audio, ns=(status.st_atime_ns, status.st_mtime_ns))
    now = utterance.audio.stat()
    assert (now.st_size, now.st_mtime_ns) == (status.st_size, status.st_mtime_ns)
    for read in (contents, None):
        after = extract_corpus([utterance], tmp_path / "s", CONFIG, contents=read)["u0"]
        np.testing.assert_array_equal(after, CONFIG.extract(audio.load(utterance.audio).samples, 16_000))
        assert not np.array_equal(after, before)


@dataclass(frozen=True)
class Overwriting:
    """An extractor during whose work the recording changes."""

    recording: Path

    def key(self) -> str:
        return "overwriting"

    def extract(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        audio.write(self.recording, samples[::-1] / 2, sample_rate)
        return samples[:, None]


def test_a_recording_that_changes_while_it_is_read_has_no_features(tmp_path: Path) -> None:
    utterances = corpus(tmp_path / "a", 1)
    made = extract_corpus(utterances, tmp_path / "s", Overwriting(utterances[0].audio))
    assert "0.wav: was changed while it was being read" in made.skipped["u0"]


def test_what_is_no_regular_file_has_no_features(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    made = extract_corpus([Utterance("p", tmp_path / "pipe.wav")], tmp_path / "s", CONFIG)
    assert "no regular file" in made.skipped["p"]


@pytest.mark.parametrize("reopened", [False, True])
def test_flipped_bits_are_found_and_computed_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, reopened: bool
) -> None:
    utterances, config = corpus(tmp_path / "a", 6), Counting(tmp_path / "log")
    made = extract_corpus(utterances, tmp_path / "s", config)
    content = bytearray((made.home / "features.f32").read_bytes())
    content[made["u0"].nbytes + 5] ^= 4
    (made.home / "features.f32").write_bytes(content)
    opened = FeatureStore.open(tmp_path / "s") if reopened else pickle.loads(pickle.dumps(made))
    assert opened["u0"].size
    with pytest.raises(CorpusError, match=r"features of 'u1' are damaged or .* run the same again"):
        opened["u1"]
    again = extract_corpus(utterances, tmp_path / "s", config)
    assert "1 damaged, such as 'u1'; computed again" in caplog.text and len(config.calls()) == 7
    for u in utterances:
        np.testing.assert_array_equal(again[u.id][:, 0], audio.load(u.audio).samples[::1_600])
    assert len(extract_corpus(utterances, tmp_path / "s", config)) == 6 and len(config.calls()) == 7


def test_a_file_cut_short_under_an_open_store_is_an_error_not_a_crash(tmp_path: Path) -> None:
    utterances = corpus(tmp_path / "a", 6)
    made = extract_corpus(utterances, tmp_path / "s", CONFIG)
    kept = made["u0"].copy()
    os.truncate(made.home / "features.f32", made["u0"].nbytes)
    np.testing.assert_array_equal(made["u0"], kept)
    with pytest.raises(CorpusError, match="'u5' are damaged or were cut off"):
        made["u5"]
    again = extract_corpus(utterances, tmp_path / "s", CONFIG)
    for u in utterances:
        np.testing.assert_array_equal(again[u.id], CONFIG.extract(audio.load(u.audio).samples, 16_000))


def test_a_store_of_an_earlier_version_is_read_and_goes_on(tmp_path: Path) -> None:
    """Without checksums, and with a line for each file's size and time stamp."""
    utterances, config = corpus(tmp_path / "a", 3), Counting(tmp_path / "log")
    home = extract_corpus(utterances[:2], tmp_path / "s", config).home
    lines = [json.loads(line) for line in (home / "index.jsonl").read_text().splitlines()]
    for line in lines:
        line.pop("crc", None)
    lines.insert(0, {"file": "/a/0.wav", "size": 3, "mtime": 5, "digest": "0"})
    (home / "index.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert len(FeatureStore.open(tmp_path / "s")) == 2
    assert len(extract_corpus(utterances, tmp_path / "s", config)) == 3 and len(config.calls()) == 3


VALUES = [None, True, -1, 10**400, 1.5, "x", [], [[1]], {}, "1" * 50]


@pytest.mark.parametrize("name", ["index.jsonl", "config.json"])
def test_no_damaged_line_is_a_traceback(tmp_path: Path, name: str) -> None:
    home = extract_corpus(corpus(tmp_path / "a", 2), tmp_path / "s", CONFIG).home
    whole = (home / name).read_text()
    lines = whole.splitlines() if name == "index.jsonl" else [whole.replace("\n", "")]
    refused = 0
    for number, line in enumerate(lines):
        value = json.loads(line)
        changed = [json.dumps({**value, key: other}) for key in value for other in VALUES]
        changed += [json.dumps({k: v for k, v in value.items() if k != key}) for key in value]
        for text in [*changed, "[" * 100_000, "9" * 5000, "null", "[]", '"x"', "\x00", "{"]:
            (home / name).write_text("".join(x + "\n" for x in [*lines[:number], text, *lines[number + 1 :]]))
            try:
                opened = FeatureStore.open(tmp_path / "s")
                for utterance in opened:
                    opened[utterance]
            except CorpusError as error:
                refused += str(home / name) in str(error)
    assert refused > len(lines) * 15


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_empty_and_wrong_requests(tmp_path: Path) -> None:
    made = extract_corpus([], tmp_path / "s", CONFIG)
    assert len(made) == 0 and made.dim == 0 and list(made) == []
    utterances = corpus(tmp_path / "a", 1)
    with pytest.raises(CorpusError, match="two utterances have the id 'u0'"):
        extract_corpus(utterances * 2, tmp_path / "s", CONFIG)
    with pytest.raises(ConfigurationError, match="workers is -1"):
        extract_corpus(utterances, tmp_path / "s", CONFIG, workers=-1)
    with pytest.raises(CorpusError, match=r"no feature store; make one: duetto features MANIFEST -o"):
        FeatureStore.open(tmp_path / "none")
    with pytest.raises(CorpusError, match=r"no features of .*pyaudioanalysis.* in it; extract them first"):
        FeatureStore.open(tmp_path / "s", ShortTermConfig("pyaudioanalysis"))


def test_a_script_without_a_main_guard_gets_a_clear_error(tmp_path: Path) -> None:
    corpus(tmp_path / "a", 40)
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\n"
        "from duetto.features.short_term import ShortTermConfig\n"
        "from duetto.features import _extraction\n"
        "from duetto.features.store import extract_corpus\n"
        "from duetto.data.utterance import Utterance\n"
        "_extraction._SERIAL_SECONDS = 0\n"
        f"a = Path({str(tmp_path / 'a')!r})\n"
        "utterances = [Utterance(str(i), a / f'{i}.wav') for i in range(40)]\n"
        "extract_corpus(utterances, a / 's', ShortTermConfig(), workers=2)\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and "ConfigurationError: the worker processes died" in done.stderr


def test_dimensions_may_not_change_within_a_store(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Changing:
        def key(self) -> str:
            return "changing"

        def extract(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
            return np.ones((1, len(samples) // 1_600))

    made = extract_corpus(corpus(tmp_path / "a", 2), tmp_path / "s", Changing())
    assert list(made) == ["u0"]
    assert "2 features per frame, but the store holds 1" in made.skipped["u1"]

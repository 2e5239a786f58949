"""Killed workers and drivers, full disks, failing stores: trials of benchmarks/scale_faults.py."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="needs the extra scale")
pytest.importorskip("fsspec", reason="needs the extra scale")
pytest.importorskip("aiohttp", reason="needs the extra scale")
if sys.platform != "linux":
    pytest.skip("reads /proc", allow_module_level=True)

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import scale_faults

from duetto.errors import ConfigurationError
from duetto.scale import plan
from duetto.scale.source import recordings, shards_of
from duetto.scale.tasks import Features


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    scale_faults.write_corpus(folder)
    return folder


@pytest.mark.parametrize("fault", ("worker killed", "driver killed", "half", "no space"))
def test_a_job_survives(corpus: Path, fault: str) -> None:
    done = scale_faults.trial(corpus, seed=scale_faults.FAULTS.index(fault), fault=fault)
    assert done.equal and done.once, done
    if fault in ("half", "no space"):  # a kill may come too early, or too late
        assert done.hits, done


def test_sources_on_the_web(corpus: Path) -> None:
    """A tar file, and a folder to write into, which the web is not."""
    with scale_faults.serving(corpus) as store:
        (shard,) = shards_of(f"{store.url}/0.tar")
        assert [item.id for item in recordings(shard)] == [f"{i}.wav" for i in range(8)]
        with pytest.raises(ConfigurationError, match=r"none.tar: no such file; give a manifest"):
            shards_of(f"{store.url}/none.tar")
        with pytest.raises(ConfigurationError, match="nothing can be written there; give a folder or an object store"):
            plan(f"{store.url}/m.jsonl", f"{store.url}/job", Features())


def test_the_store_fails_as_planned(corpus: Path) -> None:
    import urllib.error
    import urllib.request

    whole = (corpus / "m.jsonl").read_bytes()
    with scale_faults.serving(corpus, "503", 1, 1.0) as store:
        with pytest.raises(urllib.error.HTTPError, match="503"):
            urllib.request.urlopen(f"{store.url}/m.jsonl")
        assert urllib.request.urlopen(f"{store.url}/m.jsonl").read() == whole

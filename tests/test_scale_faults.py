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


def test_the_store_fails_as_planned(corpus: Path) -> None:
    import urllib.error
    import urllib.request

    whole = (corpus / "m.jsonl").read_bytes()
    with scale_faults.serving(corpus, "503", 1, 1.0) as store:
        with pytest.raises(urllib.error.HTTPError, match="503"):
            urllib.request.urlopen(f"{store.url}/m.jsonl")
        assert urllib.request.urlopen(f"{store.url}/m.jsonl").read() == whole

"""`duetto speech2vec …` from end to end on a small synthetic corpus."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from duetto import corpora, synthetic
from duetto.cli import app
from duetto.data.manifest import read_manifest, write_manifest
from duetto.data.utterance import Utterance
from duetto.embeddings import vectors as word_vectors
from duetto.embeddings.probing import inspect
from duetto.embeddings.vectors import Vectors
from duetto.errors import ConfigurationError, ModelError
from duetto.report.embeddings import inspection_page

TRAIN = ("--dim", "8", "--epochs", "2", "--batch-size", "32", "--workers", "1")


def duetto(*arguments: object) -> Result:
    """Run a command; an exception that is no exit is the test's to look at (`Result.exception`)."""
    return CliRunner().invoke(app, ["speech2vec", *map(str, arguments)], env={"COLUMNS": "200"})


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of a synthetic corpus of 12 utterances and a few without a class."""
    pytest.importorskip("espeakng_loader")
    folder = tmp_path_factory.mktemp("synthetic")
    synthetic.write(folder / "corpus", size=12, seed=1)
    write_manifest(folder / "manifest.jsonl", [u for u in corpora.load("synthetic", folder / "corpus") if u.words])
    return folder / "manifest.jsonl"


@pytest.fixture(scope="session")
def encoder(manifest: Path) -> Path:
    """The folder of a short training."""
    out = manifest.parent / "s2v"
    result = duetto("train", manifest, "-o", out, *TRAIN)
    assert result.exit_code == 0, result.output
    return out


@pytest.fixture(scope="session")
def vec(manifest: Path, encoder: Path) -> Path:
    """Vectors of that training."""
    out = manifest.parent / "speech.vec"
    assert duetto("vectors", encoder, manifest, "-o", out).exit_code == 0
    return out


def spoken(utterances: list[Utterance]) -> list[str]:
    return [w.word for u in utterances for w in u.words or ()]


def test_training_prints_its_data_and_progress(manifest: Path, tmp_path: Path) -> None:
    utterances = read_manifest(manifest)
    first = utterances[0]
    words = first.words
    assert words is not None
    odd = (replace(words[0], start=None, end=None), replace(words[1], start=900.0, end=901.0), *words[2:])
    utterances[0] = replace(first, words=odd)
    write_manifest(tmp_path / "odd.jsonl", utterances)
    cache = manifest.parent / "cache"
    result = duetto("train", tmp_path / "odd.jsonl", "-o", tmp_path / "s2v", "--cache", cache, *TRAIN)
    assert result.exit_code == 0 and not result.stdout
    used = re.search(r"s2v: (\d+) words of \d+ types; (\d+) for development", result.stderr)
    assert used is not None and 0 < int(used[2]) < int(used[1])
    assert int(used[1]) + int(used[2]) == len(spoken(utterances)) - 2
    assert "dropped: 1 outside the recording, 1 without times" in result.stderr
    kept = r"epoch \d of 2 kept: error \d\.\d{4}, on development words \d\.\d{4} \(\d\.\d{4} if the decoder always"
    assert re.search(kept, result.stderr)


def test_training_resumes_and_refuses_another_corpus(manifest: Path, encoder: Path, tmp_path: Path) -> None:
    graph = (encoder / "spoken.onnx").read_bytes()
    assert duetto("train", manifest, "-o", encoder, *TRAIN).exit_code == 0
    assert (encoder / "spoken.onnx").read_bytes() == graph
    write_manifest(tmp_path / "less.jsonl", read_manifest(manifest)[3:])
    cache = manifest.parent / "cache"
    other = duetto("train", tmp_path / "less.jsonl", "-o", encoder, "--cache", cache, *TRAIN)
    assert other.exit_code == 1 and isinstance(other.exception, ModelError)
    assert "was trained with other settings or on other words" in str(other.exception)


def test_published_recipe_and_all_options_are_taken(manifest: Path, tmp_path: Path) -> None:
    options = ("--optimiser", "sgd", "--learning-rate", "1e-3", "--objective", "cbow", "--window", "2")
    more = ("--teacher-forcing", "--development-share", "0", "--seed", "3", "--accelerator", "cpu", "--devices", "1")
    cache = manifest.parent / "cache"
    result = duetto("train", manifest, "-o", tmp_path / "s2v", "--cache", cache, *TRAIN, *options, *more)
    assert result.exit_code == 0, result.output
    about = json.loads((tmp_path / "s2v" / "spoken.json").read_text())["about"]
    assert about["config"] == {
        "dim": 8,
        "n_features": 13,
        "objective": "cbow",
        "decoder": 8,
        "teacher_forcing": True,
    }
    training = about["training"]
    assert (training["optimiser"], training["learning_rate"], training["seed"]) == ("sgd", 1e-3, 3)
    assert (about["window"], about["batch_size"], about["epochs"], about["epoch_kept"]) == (2, 32, 2, 2)
    assert about["development_words"] == 0 and "on development words" not in result.stderr
    assert about["words"] == len(spoken(read_manifest(manifest)))


@pytest.mark.parametrize("command", ["train", "vectors"])
def test_a_manifest_without_word_times_names_what_adds_them(
    manifest: Path, encoder: Path, tmp_path: Path, command: str
) -> None:
    utterances = [replace(u, words=None) for u in read_manifest(manifest)]
    write_manifest(tmp_path / "text.jsonl", utterances)
    first = () if command == "train" else (encoder,)
    result = duetto(command, *first, tmp_path / "text.jsonl", "-o", tmp_path / "out.vec")
    assert result.exit_code == 1 and isinstance(result.exception, ConfigurationError)
    assert "duetto align MANIFEST -o ALIGNED.jsonl" in str(result.exception)
    assert not (tmp_path / "cache").exists()  # reported before any work


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--dim", "7"), "dim = 7 is not valid; an even number"),
        (("--objective", "glove"), "choose skipgram or cbow"),
        (("--optimiser", "lion"), "choose adam or sgd"),
        (("--learning-rate", "-1"), "learning_rate = -1.0 is not valid"),
    ],
)
def test_the_error_of_a_wrong_option_lists_the_valid_values(
    manifest: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    cache = manifest.parent / "cache"
    result = duetto("train", manifest, "-o", tmp_path / "s2v", "--cache", cache, *options)
    assert result.exit_code == 2 and message in " ".join(result.output.replace("│", " ").split())
    assert not (tmp_path / "s2v").exists()  # which would refuse the right options afterwards


def test_unreadable_recordings_are_named_and_the_others_go_on(manifest: Path, encoder: Path, tmp_path: Path) -> None:
    utterances = read_manifest(manifest)
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    utterances[1] = replace(utterances[1], audio=tmp_path / "bad.wav")
    write_manifest(tmp_path / "bad.jsonl", utterances)
    result = duetto("vectors", encoder, tmp_path / "bad.jsonl", "-o", tmp_path / "out.vec", "--workers", 1)
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit)
    assert f"skipped {utterances[1].id}: " in result.stderr and "bad.wav" in result.stderr
    assert f"1 of {len(utterances)} recordings were skipped" in result.stderr
    expected = set(spoken(utterances[:1] + utterances[2:]))
    assert set(word_vectors.load(tmp_path / "out.vec").words) == expected
    write_manifest(tmp_path / "none.jsonl", utterances[1:2])
    nothing = duetto("train", tmp_path / "none.jsonl", "-o", tmp_path / "s2v")
    assert "none of 1 recordings can be read" in str(nothing.exception)


def test_vectors_and_instances_agree(manifest: Path, encoder: Path, vec: Path, tmp_path: Path) -> None:
    words = spoken(read_manifest(manifest))
    out, archive = tmp_path / "some.vec.gz", tmp_path / "instances.npz"
    result = duetto("vectors", encoder, manifest, "-o", out, "--min-count", 3, "--instances", archive)
    assert result.exit_code == 0 and f"from {len(words)} spoken words" in result.stderr
    some, all_ = word_vectors.load(out), word_vectors.load(vec)
    assert set(all_.words) == set(words) and set(some.words) == {w for w in words if words.count(w) >= 3}
    assert all_.dimension == 8
    with np.load(archive) as instances:
        assert instances["word"].tolist() == words and set(instances["utterance"]) == {
            u.id for u in read_manifest(manifest)
        }
        for word in some.words:
            mean = instances["vector"][instances["word"] == word].mean(axis=0)
            np.testing.assert_allclose(some.lookup(word), mean, atol=1e-6)  # float32 sums in another order
    missing = duetto("vectors", tmp_path, manifest, "-o", out)
    assert isinstance(missing.exception, ModelError) and "no spoken.json in it" in str(missing.exception)


def test_word2vec_is_the_counterpart_on_the_same_words(manifest: Path, vec: Path, tmp_path: Path) -> None:
    pytest.importorskip("gensim")
    out = tmp_path / "text.vec"
    result = duetto("word2vec", manifest, "-o", out, "--dim", 6, "--epochs", 2)
    assert result.exit_code == 0, result.output
    n = len(read_manifest(manifest))
    assert re.search(rf"text\.vec: \d+ word types, 6 values each, from {n} of {n} transcripts", result.stderr)
    text = word_vectors.load(out)
    assert set(text.words) == set(word_vectors.load(vec).words) and text.dimension == 6


@pytest.fixture
def benchmarks(tmp_path: Path) -> Path:
    """A folder with one benchmark whose order four vectors on a quarter circle fit exactly, but for one word."""
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    pairs = ["a b 9", "b c 8", "a c 5", "b d 4.5", "a d 1", "a x 3"]
    (folder / "EN-MC-30.txt").write_text("\n".join(pairs))
    angles = np.deg2rad([0, 20, 45, 90])
    word_vectors.save(
        Vectors(tuple("abcd"), np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)), folder / "arc.vec"
    )
    return folder


def test_evaluation_shows_coverage_intervals_and_what_was_published(benchmarks: Path) -> None:
    result = duetto("evaluate", benchmarks / "arc.vec", "--benchmarks", benchmarks)
    lines = {line.split()[0]: line.split() for line in result.stdout.splitlines() if line.strip()}
    assert lines["MC-30"] == ["MC-30", "5", "6", "1.000", "1.00", "to", "1.00", "0.846", "0.762"]
    assert lines["MEN"] == ["MEN", "0", "absent", "–", "–", "0.619", "0.642"]
    assert "5 of 6 pairs have both vectors (83.3%)" in result.stdout
    assert result.exit_code == 1 and "EN-MEN-TR-3k.txt" in result.stderr and "EN-MC-30.txt" not in result.stderr


def test_evaluation_as_json_is_one_object_a_line(benchmarks: Path) -> None:
    result = duetto("evaluate", benchmarks / "arc.vec", "--benchmarks", benchmarks, "--json")
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(records) == 13 and {r["vectors"] for r in records} == {str(benchmarks / "arc.vec")}
    (score,) = [r for r in records if r["missing"] is None]
    assert score["name"] == "MC-30" and score["rho"] == pytest.approx(1) and score["coverage"] == pytest.approx(5 / 6)
    assert score["published_speech2vec"] == {"50": 0.846, "100": 0.815, "200": 0.787}
    empty = duetto("evaluate", benchmarks / "arc.vec", "--benchmarks", benchmarks.parent)
    assert isinstance(empty.exception, ModelError) and "fetch them from wordvectors.org" in str(empty.exception)


def test_strict_refuses_vectors_with_a_bad_word(
    benchmarks: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = (benchmarks / "arc.vec").read_bytes().splitlines(keepends=True)
    path = tmp_path / "doubled.txt"
    path.write_bytes(b"".join((*lines[1:], lines[1])))
    for command in (["evaluate", path, "--benchmarks", benchmarks], ["inspect", path, "--other", path]):
        caplog.clear()
        duetto(*command)
        assert "doubled.txt: 1 words are left out (1 doubled): line 5: the word 'a' stands on line 1" in caplog.text
        refused = duetto(*command, "--strict")
        assert refused.exit_code == 1 and isinstance(refused.exception, ModelError)
        assert "stands on line 1 already" in str(refused.exception)


def test_inspection_of_a_trained_encoder(vec: Path, tmp_path: Path) -> None:
    page = tmp_path / "deep" / "map.html"
    result = duetto("inspect", vec, "--other", vec, "-o", page)
    assert result.exit_code == 0, result.output
    assert re.search(r"verdict: (sound|text|undecided)", result.stdout)
    assert "agreement with the text vectors: ρ 1.00" in result.stdout and "nearest words" in result.stdout
    assert "cosine and phone distance: ρ -" in result.stdout  # trained on sound: similar sound, similar vectors
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>") and "<script" not in text and "http" not in text
    n = len(word_vectors.load(vec))
    assert text.count("<circle") == n and text.count("<title>") == n + 1
    assert [path.name for path in page.parent.iterdir()] == ["map.html"]
    record = json.loads(duetto("inspect", vec, "--json").stdout)
    assert record["verdict"] in ("sound", "text", "undecided") and record["agreement"] is None
    assert len(record["map"]) == n and record["vectors"] == str(vec)


def test_map_places_words_by_their_components_and_writes_names_apart() -> None:
    """Two words far apart, and one beside the first: all three have dots, the third has no room for its name."""
    words = ("<b>", "far", "near")
    page = inspection_page("<i>", inspect(Vectors(words, np.array([[1, 0], [-1, 0.1], [1, 0.001]], np.float32))))
    assert "<b>" not in page and "<i>" not in page
    assert re.findall(r"<circle[^>]*><title>([^<]*)</title>", page) == ["&lt;b&gt;", "far", "near"]
    assert re.findall(r"<text[^>]*>([^<]*)</text>", page) == ["&lt;b&gt;", "far"]
    one = inspection_page("one", inspect(Vectors(("alone",), np.ones((1, 3), np.float32))))
    assert one.count("<circle") == 1 and "nan" not in one


def test_map_is_true_to_scale() -> None:
    """Distances between dots are those between points, times one factor; upwards is up."""
    found = inspect(Vectors(tuple("abcde"), np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)))
    dots = np.array(re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', inspection_page("abcde", found)), float)
    points = np.array([(x, y) for _, x, y in found.map])
    factor = np.ptp(dots[:, 0]) / np.ptp(points[:, 0])
    np.testing.assert_allclose(dots[:, 0] - dots[0, 0], factor * (points[:, 0] - points[0, 0]), atol=0.5)  # rounding
    np.testing.assert_allclose(dots[:, 1] - dots[0, 1], -factor * (points[:, 1] - points[0, 1]), atol=0.5)
    assert max(np.ptp(dots, axis=0)) == pytest.approx(1000, abs=0.2) and dots.min() == 0


@pytest.mark.parametrize("command", ["train", "vectors", "word2vec", "evaluate", "inspect"])
def test_help_teaches_by_example(command: str) -> None:
    result = duetto(command, "--help")
    assert (
        result.exit_code == 0 and f"duetto speech2vec {command} " in result.stdout.split("Usage")[1].split("\n", 1)[1]
    )


def test_inspecting_what_is_no_vector_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "bad.vec").write_text("word without numbers\n")
    result = duetto("inspect", tmp_path / "bad.vec")
    assert result.exit_code == 1 and isinstance(result.exception, ModelError)
    assert "bad.vec:1: no vector after the word" in str(result.exception)

"""Vector files: every format, everything that can be wrong with one, and the embedding table."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from damaged import damaged
from duetto.embeddings.table import random_table, table
from duetto.embeddings.vectors import Vectors, load, save
from duetto.embeddings.vocabulary import Vocabulary
from duetto.errors import ConfigurationError, ModelError

THREE = Vectors(("the", "don't", "cat"), np.array([[1, 0], [0.5, -2], [3e-8, 1e10]], dtype=np.float32))


def write(path: Path, text: str | bytes) -> Path:
    data = text.encode() if isinstance(text, str) else text
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    return path


def binary(rows: list[tuple[str, list[float]]], newline: bytes = b"\n") -> bytes:
    body = b"".join(word.encode() + b" " + struct.pack(f"<{len(v)}f", *v) + newline for word, v in rows)
    return f"{len(rows)} {len(rows[0][1])}\n".encode() + body


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("header.vec", "3 2\nthe 1 0\ndon't 0.5 -2\ncat 3e-8 1e10\n"),
        ("trailing_blanks.vec", "3 2 \nthe 1 0 \ndon't 0.5 -2 \ncat 3e-8 1e10 "),
        ("windows.txt", "\ufeff3 2\r\nthe 1 0\r\ndon't 0.5 -2\r\ncat 3e-8 1e10\r\n\r\n"),
        ("glove.txt", "the 1 0\ndon't 0.5 -2\ncat 3e-8 1e10\n"),
        ("tabs.txt", "the\t1\t0\ndon't  0.5  -2\ncat +3E-8 1e10\n"),
        ("glove.txt.gz", "the 1 0\ndon't 0.5 -2\ncat 3e-8 1e10\n"),
        ("named_otherwise_but_gzip.vec", gzip.compress(b"3 2\nthe 1 0\ndon't 0.5 -2\ncat 3e-8 1e10\n", mtime=0)),
        ("word2vec.bin", binary([("the", [1, 0]), ("don't", [0.5, -2]), ("cat", [3e-8, 1e10])])),
        ("no_newlines.bin", binary([("the", [1, 0]), ("don't", [0.5, -2]), ("cat", [3e-8, 1e10])], b"")),
        ("word2vec.bin.gz", binary([("the", [1, 0]), ("don't", [0.5, -2]), ("cat", [3e-8, 1e10])])),
    ],
)
def test_every_format_gives_the_same_vectors(tmp_path: Path, name: str, text: str | bytes) -> None:
    vectors = load(write(tmp_path / name, text))
    assert vectors.words == THREE.words
    assert vectors.matrix.dtype == np.float32
    np.testing.assert_array_equal(vectors.matrix, THREE.matrix)


def test_gensim_reads_what_is_written_and_the_other_way_round(tmp_path: Path) -> None:
    keyed_vectors = pytest.importorskip("gensim.models").KeyedVectors
    save(THREE, tmp_path / "ours.vec")
    theirs = keyed_vectors.load_word2vec_format(str(tmp_path / "ours.vec"))
    assert tuple(theirs.index_to_key) == THREE.words
    np.testing.assert_array_equal(theirs.vectors, THREE.matrix)
    theirs.save_word2vec_format(str(tmp_path / "theirs.bin"), binary=True)
    np.testing.assert_array_equal(load(tmp_path / "theirs.bin").matrix, THREE.matrix)
    theirs.save_word2vec_format(str(tmp_path / "theirs.vec"))
    np.testing.assert_array_equal(load(tmp_path / "theirs.vec").matrix, THREE.matrix)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no vectors in it"),
        ("\n \n", "no vectors in it"),
        ("2 2\n", "2 vectors announced, 0 found|no vectors in it"),
        ("3 2\na 1 2\nb 1 2\n", "3 vectors announced, 2 found"),
        ("1 2\na 1 2\nb 1 2\n", "1 vectors announced, 2 found"),
        ("2 2\na 1 2\nb 1\n", ":3: 1 values after the word, 2 are required"),
        ("a 1 2\nb 1 2 3\n", ":2: 3 values after the word, 2 are required"),
        ("a 1 2\n\nb 1 x\n", ":3: 'x' is no finite number"),
        ("a 1 2\nb 1.5.2 2\n", r":2: '1\.5\.2' is no finite number"),
        ("a 1 2\nb 1_0 2\n", ":2: '1_0' is no finite number"),
        ("a 1 2\nb nan 2\n", ":2: 'nan' is no finite number"),
        ("a 1 2\nb inf 2\n", ":2: 'inf' is no finite number"),
        ("a 1 2\nb 1e39 2\n", ":2: '1e39' is no finite number"),
        ("a 1 2\nb 1 2\na 1 2\n", ":3: the word 'a' stands on line 1 already"),
        ("a\nb 1 2\n", ":1: no vector after the word"),
        ("a 1 2\n 3 4\n", ":2: the word is empty"),
        ("a " + "1 " * 600_000 + "\n", ":1: a line of more than 1,048,576 bytes"),
        ("9" * 5000 + " 2\na 1 2\n", ":2: 2 values after the word, 1 are required"),
        (b"\xff 1 2\n", r":1: the word b'\\xff' is not UTF-8"),
    ],
)
def test_broken_text_names_file_and_line(tmp_path: Path, text: str | bytes, message: str) -> None:
    path = write(tmp_path / "broken.vec", text)
    with pytest.raises(ModelError, match=message) as caught:
        load(path, strict=True)
    assert str(path) in str(caught.value)


def test_a_glove_word_may_hold_blanks_but_not_numbers(tmp_path: Path) -> None:
    vectors = load(write(tmp_path / "glove.txt", "the 1 2\n. . 3 4\nat a@b.c 5 6\n"))
    assert vectors.words == ("the", ". .", "at a@b.c")
    assert vectors.lookup(". .").tolist() == [3, 4]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no line `count dimension`"),
        (b"the 1 0\n", "no line `count dimension`"),
        (binary([("a", [1, 2]), ("b", [3, 4])])[:-8], "too short"),
        (binary([("a", [1, 2]), ("b", [3, 4])])[:-3], "entry 2: the file ends within it"),
        (binary([("a", [1, 2]), ("a", [3, 4])]), "entry 2: the word 'a' stands on entry 1 already"),
        (binary([("a", [1, float("nan")])]), "entry 1: NaN"),
        (binary([("a", [1, 2])]) + b"more", "4 bytes follow"),
        (b"9999999999 300\na ", "too short"),
        (b"9" * 5000 + b" 300\na ", "no line `count dimension`"),
        (b"1 " + b"9" * 18 + b"\na ", "too short"),
        (binary([("a", [1, 2]), ("", [3, 4])]), "entry 2: the word is empty"),
        ((793712314).to_bytes(4, "little") + b"\x0c\0\0\0", "a fastText model"),
    ],
)
def test_broken_binary_names_file_and_entry(tmp_path: Path, data: bytes, message: str) -> None:
    for name in ("broken.bin", "broken.bin.gz"):
        with pytest.raises(ModelError, match=message) as caught:
            load(write(tmp_path / name, data), strict=True)
        assert name in str(caught.value)


BAD_WORDS = b"5 2\na 1 2\n\xff 3 4\na 5 6\n 7 8\nb 9 10\n"
"""A word that is no UTF-8, one that is there already, and an empty one."""


@pytest.mark.parametrize(
    ("name", "data", "unit", "first"),
    [
        ("header.vec", BAD_WORDS, "line", 3),
        ("glove.txt.gz", BAD_WORDS[4:], "line", 2),
        ("empty_first.txt", b" 7.5 8\na 1 2\nb 9 10\n\xff 3 4\na 5 6", "line", 1),
        ("word2vec.bin", binary([("a", [1, 2]), ("!", [3, 4]), ("a", [5, 6]), ("", [7, 8]), ("b", [9, 10])]).replace(
            b"! ", b"\xff "), "entry", 2),
    ],
)  # fmt: skip
def test_bad_words_are_left_out_counted_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, data: bytes, unit: str, first: int
) -> None:
    path = write(tmp_path / name, data)
    vectors = load(path)
    assert vectors.words == ("a", "b")
    assert vectors.matrix.tolist() == [[1, 2], [9, 10]]
    [record] = caplog.records
    assert f"{path}: 3 words are left out (" in record.message and f"): {unit} {first}: the word" in record.message
    assert all(kind in record.message for kind in ("1 not UTF-8", "1 doubled", "1 empty"))
    with pytest.raises(ModelError, match="; correct the file, or read it without strict"):
        load(path, strict=True)


def test_a_file_of_bad_words_alone_holds_no_vectors(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no vectors in it"):
        load(write(tmp_path / "a.vec", b"\xff 1 2\n"))


@pytest.mark.parametrize("name", ["a.vec.gz", "a.bin.gz"])
def test_a_file_that_unpacks_to_more_than_vectors_do_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Three megabytes of one repeated line unpack to three gigabytes; here with smaller limits."""
    monkeypatch.setattr("duetto.embeddings.vector_files._UNPACKED", 1 << 20)
    rows = [(f"w{number}", [0.0] * 8) for number in range(1 << 16)]
    data = binary(rows) if "bin" in name else b"".join(b"%s 0 0 0 0 0 0 0 0\n" % word.encode() for word, _ in rows)
    path = tmp_path / name
    path.write_bytes(gzip.compress(data[: 1 << 20], 9))
    with pytest.raises(ModelError) as caught:
        load(path)
    assert "unpacks to more" not in str(caught.value)  # allowed to unpack, but cut off
    path.write_bytes(gzip.compress(data + b"\n" * (16 << 20), 9))
    with pytest.raises(ModelError, match=r"unpacks to more than [0-9,]+ bytes, which no vectors do"):
        load(path)


@pytest.mark.parametrize("name", ["a.vec", "a.vec.gz", "a.bin"])
def test_memory_is_limited(tmp_path: Path, name: str) -> None:
    data = binary([("a", [1, 2]), ("b", [3, 4])]) if name.endswith("bin") else b"a 1 2\nb 3 4\n"
    path = write(tmp_path / name, data)
    assert len(load(path, limit=2 * (150 + 8))) == 2
    with pytest.raises(ModelError, match=r"2 words of 2 values take more than 315 bytes .* keep the most frequent"):
        load(path, limit=2 * (150 + 8) - 1)


@pytest.mark.parametrize("name", ["a.vec", "a.vec.gz", "a.bin", "a.bin.gz"])
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    whole = b"2 3\nthe 1 0 -2.5\nd\xc3\xa9j\xc3\xa0 0.5 -2 1e10\n"
    whole = binary([("the", [1, 0, -2.5]), ("cat", [0.5, -2, 1e10])]) if "bin" in name else whole
    packed = data.draw(st.booleans())
    content = data.draw(damaged(gzip.compress(whole, mtime=0) if packed else whole))
    path = tmp_path_factory.mktemp("fuzz") / name
    path.write_bytes(content)
    try:
        assert load(path).dimension
    except ModelError as error:
        assert str(error).startswith(str(path))


def test_missing_and_damaged_files(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such vector file"):
        load(tmp_path / "absent.vec")
    with pytest.raises(ModelError, match=r"cannot be read .*too long"):
        load(tmp_path / ("x" * 300))
    whole = gzip.compress(b"a 1 2\n", mtime=0)
    path = tmp_path / "cut.vec.gz"
    path.write_bytes(whole[:-6])
    with pytest.raises(ModelError, match=r"cut\.vec\.gz: cannot be read"):
        load(path)
    for place in (12, 14):  # a damaged deflate stream
        path.write_bytes(whole[:place] + b"\xff\xff" + whole[place + 2 :])
        with pytest.raises(ModelError):
            load(path)


@settings(deadline=None)
@given(
    arrays.arrays(
        np.float32, st.tuples(st.integers(1, 4), st.integers(1, 4)), elements=st.floats(width=32, allow_nan=False,
                                                                                   allow_infinity=False)
    )
)  # fmt: skip
def test_round_trip_is_exact(tmp_path_factory: pytest.TempPathFactory, matrix: np.ndarray) -> None:
    folder = tmp_path_factory.mktemp("vectors")
    vectors = Vectors(tuple(f"wört{i}" for i in range(len(matrix))), matrix)
    for name in ("a.vec", "a.vec.gz"):
        save(vectors, folder / name)
        again = load(folder / name)
        assert again.words == vectors.words
        assert again.matrix.tobytes() == vectors.matrix.tobytes()  # the sign of zero too


def test_save_is_atomic_and_reproducible(tmp_path: Path) -> None:
    save(THREE, tmp_path / "new" / "a.vec.gz")
    save(THREE, tmp_path / "new" / "b.vec.gz")
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["a.vec.gz", "b.vec.gz"]
    assert (tmp_path / "new" / "a.vec.gz").read_bytes() == (tmp_path / "new" / "b.vec.gz").read_bytes()
    with pytest.raises(ModelError, match="'two words' is empty or holds white space"):
        save(Vectors(("two words",), np.ones((1, 2), np.float32)), tmp_path / "new" / "a.vec.gz")
    assert len(load(tmp_path / "new" / "a.vec.gz")) == 3
    with pytest.raises(ModelError, match="written as text"):
        save(THREE, tmp_path / "a.bin")


@pytest.mark.parametrize(
    ("words", "matrix", "message"),
    [
        (("a",), np.ones((2, 2)), "1 words need a matrix"),
        (("a",), np.ones(1), "1 words need a matrix"),
        ((), np.ones((0, 3)), "0 words need a matrix"),
        (("a", "b"), [[1.0, 2.0], [np.nan, 1.0]], "the vector of 'b' holds NaN"),
        (("a", "a"), np.ones((2, 2)), "'a' has more than one vector"),
    ],
)
def test_vectors_are_validated(words: tuple[str, ...], matrix: np.ndarray, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        Vectors(words, matrix)


def test_lookup_cosine_nearest_by_hand() -> None:
    vectors = Vectors(("east", "north", "northeast", "west", "nowhere"),
                      np.array([[2, 0], [0, 3], [1, 1], [-1, 0], [0, 0]], np.float32))  # fmt: skip
    assert vectors.lookup("north").tolist() == [0, 3]
    assert vectors.cosine("east", "north") == 0
    assert vectors.cosine("east", "west") == -1
    # One float32 rounding in each of a few operations: 1e-6 is ten units in the last place.
    assert vectors.cosine("east", "northeast") == pytest.approx(0.5**0.5, abs=1e-6)
    assert vectors.cosine("east", "nowhere") == 0
    assert [word for word, _ in vectors.nearest("east", 2)] == ["northeast", "north"]
    assert [word for word, _ in vectors.nearest("east", 99)] == ["northeast", "north", "nowhere", "west"]
    assert vectors.nearest([0, 5], 1) == [("north", 1.0)]
    assert vectors.nearest("east", 0) == []
    # Equal vectors in the order of the vocabulary, whatever a row's product was rounded to.
    rows = np.tile(np.random.default_rng(0).standard_normal(50).astype(np.float32), (37, 1))
    rows[::3] = np.nextafter(rows[::3], np.float32(9))
    equal = Vectors(tuple(f"w{i}" for i in range(37)), rows)
    assert [word for word, _ in equal.nearest(rows[1], 37)] == list(equal.words)
    with pytest.raises(ModelError, match="'south' has no vector: it is not among the 5 words"):
        vectors.lookup("south")
    with pytest.raises(ModelError, match="finite vector of 2 values"):
        vectors.nearest([1, 2, 3])
    with pytest.raises(ValueError, match="read-only"):
        vectors.matrix[0, 0] = 1


@pytest.fixture
def found() -> Vectors:
    words = ("walk", "walking", "talk", "zebra")
    return Vectors(words, np.random.default_rng(0).normal(3, 2, (4, 8)).astype(np.float32))


@pytest.mark.parametrize("unknown", ["random", "zero", "subword", "mean"])
def test_table_keeps_known_vectors_and_reports_the_others(found: Vectors, unknown) -> None:
    vocabulary = Vocabulary(("talk", "talking", "walk", "qqq"))
    rows, report = table(vocabulary, found, unknown=unknown, seed=1)
    assert rows.shape == (6, 8) and rows.dtype == np.float32
    assert not rows[0].any()
    np.testing.assert_array_equal(rows[2], found.lookup("talk"))
    np.testing.assert_array_equal(rows[4], found.lookup("walk"))
    assert report.unknown == (("qqq", 1), ("talking", 1))
    assert report.type_rate == 0.5
    mean = (found.lookup("talk").astype(float) + found.lookup("walk")) / 2
    # The rows are float32 roundings of float64 means: 1e-6 relative covers one such rounding.
    if unknown == "zero":
        assert not rows[[1, 3, 5]].any()
    if unknown in ("mean", "subword"):
        np.testing.assert_allclose(rows[[1, 5]], [mean, mean], rtol=1e-6)
    if unknown == "random":
        assert rows[1].any() and rows[3].any() and not np.array_equal(rows[3], rows[5])


def test_subword_mean_by_hand(found: Vectors) -> None:
    """`<talking>` has 18 n-grams (7 + 6 + 5). It shares with `<walking>` (18 too) alk lki kin ing ng> alki lkin king
    ing> alkin lking king>, with `<talk>` (9) <ta tal alk <tal talk <talk, with `<walk>` (9) alk alone."""
    rows, _ = table(Vocabulary(("talking",)), found, unknown="subword")
    weights = {"walking": 12 / (18 + 18 - 12), "talk": 6 / (18 + 9 - 6), "walk": 1 / (18 + 9 - 1)}
    mean = sum(weight * found.lookup(word).astype(float) for word, weight in weights.items()) / sum(weights.values())
    np.testing.assert_allclose(rows[2], mean, rtol=1e-6)


def test_spoken_takes_the_vector_of_what_sounds_most_alike(found: Vectors) -> None:
    """`tok` sounds like `talk`; `hush` like `tok`, which has no vector, and next like `walk`; `mute` has no sound."""
    sounds = Vectors(("talk", "walk", "tok", "hush"), np.array([[1, 0], [0, 1], [0.9, 0.1], [0.8, 1]], np.float32))
    rows, _ = table(Vocabulary(("tok", "talk", "hush", "mute")), found, unknown="spoken", sounds=sounds)
    np.testing.assert_array_equal(rows[2:5], [found.lookup(word) for word in ("talk", "talk", "walk")])
    np.testing.assert_allclose(rows[[1, 5]], [found.lookup("talk")] * 2, rtol=1e-6)  # the mean of the one found
    with pytest.raises(ConfigurationError, match="needs the sounds"):
        table(Vocabulary(("tok",)), found, unknown="spoken")


def test_random_rows_have_the_scale_of_the_vectors_and_depend_on_the_word_alone(found: Vectors) -> None:
    words = tuple(f"new{i}" for i in range(2000))
    rows, _ = table(Vocabulary((*found.words, *words)), found, seed=3)
    # 2,000 draws: the standard error is .022 standard deviations for a mean, .016 for a deviation; 5 of each.
    mean, deviation = found.matrix.mean(0), found.matrix.std(0)
    assert (np.abs(rows[6:].mean(0) - mean) < 5 * 0.0224 * deviation).all()
    assert (np.abs(rows[6:].std(0) / deviation - 1) < 5 * 0.0158).all()
    alone, _ = table(Vocabulary((*found.words, "new7")), found, seed=3)
    np.testing.assert_array_equal(alone[-1], rows[6 + 7])
    other, _ = table(Vocabulary((*found.words, "new7")), found, seed=4)
    assert not np.array_equal(alone[-1], other[-1])


def test_table_without_any_known_word(found: Vectors) -> None:
    rows, report = table(Vocabulary(("xyzzy",)), found, unknown="mean")
    np.testing.assert_allclose(rows[2], found.matrix.mean(0), rtol=1e-6)
    assert report.type_rate == 0
    rows, report = table(Vocabulary(()), found, unknown="subword")
    assert rows.shape == (2, 8) and report.type_rate == 1
    with pytest.raises(ConfigurationError, match="'guess' is no policy; choose from random, zero, subword, mean"):
        table(Vocabulary(()), found, unknown="guess")  # type: ignore[arg-type]


def test_random_table() -> None:
    rows = random_table(Vocabulary(("a", "b")), 5, seed=1)
    assert rows.shape == (4, 5) and rows.dtype == np.float32
    assert not rows[0].any() and rows[1:].all()
    np.testing.assert_array_equal(rows[2:], random_table(Vocabulary(("b", "a")), 5, seed=1)[[3, 2]])
    with pytest.raises(ConfigurationError, match="dimension is 0"):
        random_table(Vocabulary(()), 0, seed=1)


def test_a_file_that_may_not_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    path = tmp_path / "a.vec"
    path.write_text("1 1\na 1\n")

    def forbidden(*_):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", forbidden)
    with pytest.raises(ModelError, match=r"permission denied: this user may not read it$"):
        load(path)

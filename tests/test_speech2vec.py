"""Speech2Vec against errors worked out pair by pair, against torch's own LSTM, and on planted words.

The planted corpus needs no audio: a word type is a trajectory of MFCC, an instance of it is that trajectory
stretched in time, with noise.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from duetto import inference
from duetto.data.utterance import Utterance, Word
from duetto.embeddings import spoken_words
from duetto.embeddings.spoken_words import Segments
from duetto.errors import ConfigurationError, ModelError
from duetto.inference import spoken as spoken_
from duetto.inference.spoken import embed, type_vectors
from duetto.models.speech2vec import Speech2Vec, Speech2VecConfig, SpokenBatch
from duetto.preprocessing import Normaliser
from duetto.training import speech2vec
from duetto.training.loop import TrainingConfig
from duetto.training.speech2vec import Speech2VecTask, hold_out, train

TYPES = ("ba", "do", "gu", "ki", "la", "me", "no", "pa")
SMALL = Speech2VecConfig(dim=8, decoder=8)


def planted(
    n: int = 24, *, words: int = 5, seed: int = 0, noise: float = 0.3, context: Mapping[str, str] | None = None
) -> tuple[list[Utterance], dict[str, np.ndarray]]:
    """`n` utterances of `words` words of TYPES and their MFCC (frames, 13), 30 ms of silence between words.

    context: type → the type that stands before and after every word of it; without, words are drawn freely.
    """
    shapes = np.random.default_rng(99).normal(size=(len(TYPES), 4, 13)).cumsum(1) * 2
    rng = np.random.default_rng(seed)
    utterances, frames = [], {}
    for i in range(n):
        if context is None:
            drawn = [str(w) for w in rng.choice(TYPES, words)]
        else:
            around = rng.choice(sorted(set(context.values())))
            inner = rng.choice([w for w, c in context.items() if c == around], words // 2)
            drawn = [str(w) for pair in zip([around] * len(inner), inner, strict=True) for w in pair] + [str(around)]
        rows, spoken, at = [np.zeros((3, 13))], [], 3
        for word in drawn:
            length = int(rng.integers(6, 12))
            shape = shapes[TYPES.index(word)]
            places = np.linspace(0, 3, length)
            rows.append(np.stack([np.interp(places, range(4), column) for column in shape.T], axis=1))
            rows.append(np.zeros((3, 13)))
            spoken.append(Word(word, at / 100, (at + length) / 100))
            at += length + 3
        sound = np.concatenate(rows)
        frames[f"u{i}"] = (sound + noise * rng.normal(size=sound.shape)).astype(np.float32)
        utterances.append(Utterance(f"u{i}", Path("no.wav"), speaker=f"s{i % 6}", words=tuple(spoken)))
    return utterances, frames


def normaliser_of(segments: Segments) -> Normaliser:
    return Normaliser.fit((segments[i] for i in range(len(segments))), 13)


def task_of(segments: Segments, **settings: object) -> Speech2VecTask:
    return Speech2VecTask(segments, segments, normaliser_of(segments), **settings)  # type: ignore[arg-type]


class ByHand:
    """The published objective in float64, one pair after the other, with torch's own LSTMs."""

    def __init__(self, model: Speech2Vec) -> None:
        self.config, self.output = model.config, model.output
        encoder, decoder = model.encoder, model.decoder
        self.encoder = torch.nn.LSTM(13, encoder.hidden, bidirectional=True)
        self.decoder = torch.nn.LSTM(decoder.weight_input.shape[1], self.config.decoder)
        for layer, lstm in ((encoder, self.encoder), (decoder, self.decoder)):
            for direction, suffix in enumerate(("", "_reverse")[: len(layer.bias)]):
                with torch.no_grad():
                    getattr(lstm, f"weight_ih_l0{suffix}").copy_(layer.weight_input[direction].T)
                    getattr(lstm, f"weight_hh_l0{suffix}").copy_(layer.weight_recurrent[direction].T)
                    getattr(lstm, f"bias_ih_l0{suffix}").copy_(layer.bias[direction])
                    getattr(lstm, f"bias_hh_l0{suffix}").zero_()
            lstm.double()

    def encode(self, word: np.ndarray) -> torch.Tensor:
        """(frames, 13) → (dim,): last state of the forward, first of the backward direction."""
        return self.encoder(torch.tensor(word, dtype=torch.float64))[1][0].flatten()

    def squared(self, z: torch.Tensor, target: np.ndarray) -> float:
        """Σ‖x − y‖² of one decoding of one target."""
        x = torch.tensor(target, dtype=torch.float64)
        inputs = z.expand(len(x), -1)
        if self.config.teacher_forcing:
            inputs = torch.cat((inputs, torch.cat((torch.zeros(1, 13), x[:-1]))), dim=1)
        weight, bias = self.output.weight.double(), self.output.bias.double()
        said = self.decoder(inputs)[0] @ weight.T + bias
        return float((said - x).square().sum())

    def loss(self, words: list[np.ndarray], utterance: list[int], centres: list[int], window: int) -> float:
        """Mean over all frames and coefficients of what is decoded for these centres."""
        error, values = 0.0, 0
        for c in centres:
            around = [j for j in range(len(words)) if j != c and abs(j - c) <= window and utterance[j] == utterance[c]]
            if self.config.objective == "cbow":
                total = torch.stack([self.encode(words[j]) for j in around]).sum(0)
                error, values = error + self.squared(total, words[c]), values + words[c].size
                continue
            for j in around:
                error, values = error + self.squared(self.encode(words[c]), words[j]), values + words[j].size
        return error / values


@pytest.mark.parametrize("teacher_forcing", [False, True], ids=["free", "forced"])
@pytest.mark.parametrize("objective", ["skipgram", "cbow"])
@pytest.mark.parametrize("window", [1, 3])
def test_loss_is_that_of_every_pair_by_hand(objective: str, teacher_forcing: bool, window: int) -> None:
    utterances, frames = planted(4)
    segments = Segments.of(utterances, frames)
    torch.manual_seed(0)
    model = Speech2Vec(replace(SMALL, objective=objective, teacher_forcing=teacher_forcing, decoder=6))
    task = task_of(segments, window=window, objective=objective, batch_size=7)
    words = [task.normaliser(segments[i]) for i in range(len(segments))]
    with torch.no_grad():
        for batch in task.batches(0):
            expected = ByHand(model).loss(words, segments.utterance.tolist(), batch.tolist(), window)
            # float32 here, float64 there; the values are z-scores, so no term exceeds some tens.
            assert float(task.loss(model, batch)) == pytest.approx(expected, rel=1e-5)


def random_batch(rng: np.random.Generator, extra: int, filling: float) -> SpokenBatch:
    """Five inputs, four targets, nine pairs, all lengths different; `extra` more steps, `filling` in all padding."""
    sides = []
    for n in (5, 4):
        lengths = rng.permutation(np.arange(1, n + 1) * 2)
        values = np.full((n, 2 * n + extra, 13), filling)
        for row, length in zip(values, lengths, strict=True):
            row[:length] = rng.normal(size=(length, 13))
        sides += [torch.tensor(values), torch.tensor(lengths)]
    source, target = (torch.tensor(rng.integers(0, n, 9)) for n in (5, 4))
    return SpokenBatch(sides[0], sides[1], sides[2], sides[3], source, target)


@pytest.mark.parametrize("teacher_forcing", [False, True], ids=["free", "forced"])
@pytest.mark.parametrize("objective", ["skipgram", "cbow"])
def test_padding_never_counts(objective: str, teacher_forcing: bool) -> None:
    """Neither its amount nor what stands in it changes loss or gradient (float64: rounding of sums only)."""
    torch.manual_seed(0)
    model = Speech2Vec(replace(SMALL, objective=objective, teacher_forcing=teacher_forcing)).double()
    seen = []
    for extra, filling in ((0, 0.0), (0, 1e3), (7, -50.0)):
        model.zero_grad()
        loss = model(random_batch(np.random.default_rng(1), extra, filling))
        loss.backward()
        seen.append([loss.detach(), *(p.grad.clone() for p in model.parameters() if p.grad is not None)])
    for other in seen[1:]:
        for mine, theirs in zip(seen[0], other, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-11)


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(0, 6), min_size=1, max_size=6), window=st.integers(1, 4), data=st.data())
def test_neighbours_are_those_within_the_window_and_the_utterance(
    sizes: list[int], window: int, data: st.DataObject
) -> None:
    utterance = np.repeat(np.arange(len(sizes)), sizes)
    n = len(utterance)
    zeros = np.zeros(n, np.int64)
    segments = Segments({}, tuple(map(str, range(len(sizes)))), utterance, zeros, zeros, ("",) * n, {}, 0)
    centres = data.draw(st.permutations(range(n)).map(lambda order: order[: n // 2 + 1]))
    source, other = segments.neighbours(np.array(centres, np.int64), window)
    expected = {
        (i, j)
        for i, c in enumerate(centres)
        for j in range(n)
        if j != c and abs(j - c) <= window and utterance[j] == utterance[c]
    }
    found = list(zip(source.tolist(), other.tolist(), strict=True))
    assert set(found) == expected and len(found) == len(expected)


def test_every_centre_is_encoded_and_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What makes it cheap: an epoch encodes each word once, not once a pair, and decodes as often."""
    segments = Segments.of(*planted(8))
    task, model = task_of(segments, batch_size=16), Speech2Vec(SMALL)
    encoded, decoded, last = [], [], model.encoder.last
    monkeypatch.setattr(model.encoder, "last", lambda x, lengths: encoded.append(len(x)) or last(x, lengths))
    model.decoder.register_forward_pre_hook(lambda _, args: decoded.append(len(args[0])))
    for batch in task.batches(0):
        task.loss(model, batch)
    assert sum(encoded) == sum(decoded) == len(segments) == 40


def test_batches_hold_every_word_that_has_a_neighbour_once() -> None:
    utterances, frames = planted(9)
    utterances[2] = replace(utterances[2], words=(utterances[2].words or ())[:1])
    utterances[5] = replace(utterances[5], words=())
    segments = Segments.of(utterances, frames)
    alone = int(np.flatnonzero(segments.utterance == 2)[0])
    task = task_of(segments, batch_size=4, seed=3)
    first, second = task.batches(0), task.batches(1)
    for batches in (first, second):
        assert sorted(np.concatenate(batches).tolist()) == [i for i in range(len(segments)) if i != alone]
        assert max(map(len, batches)) <= 4
    assert [b.tolist() for b in first] != [b.tolist() for b in second]
    assert [b.tolist() for b in first] == [b.tolist() for b in task_of(segments, batch_size=4, seed=3).batches(0)]


def test_segments_are_cut_dropped_and_counted() -> None:
    words = (
        Word("one", 0.1, 0.2),
        Word("Two!", 0.2, 0.9),
        Word("textual"),
        Word("tiny", 0.501, 0.504),
        Word("late", 3.0, 3.2),
        Word("across", 1.9, 2.5),
        Word("endless", 0.3, 1.9),
        Word("well-known", 0.0, 0.05),
        Word("[LAUGHTER]", 0.0, 0.05),
    )
    frames = {"a": np.arange(200 * 13, dtype=np.float32).reshape(200, 13)}
    silent = [Utterance("b", Path("b.wav")), Utterance("c", Path("c.wav"), words=())]  # not even in the store
    segments = Segments.of([Utterance("a", Path("a.wav"), words=words), *silent], frames)
    places = list(zip(segments.first.tolist(), segments.last.tolist(), strict=True))
    assert places == [(10, 20), (20, 90), (190, 200), (30, 130), (0, 5), (0, 5)]
    assert segments.words == ("one", "two", "across", "endless", "", "")
    assert dict(segments.dropped) == {"without times": 1, "shorter than a frame": 1, "outside the recording": 1}
    assert segments.cut == 1 and len(segments) == 6 and segments.lengths.tolist() == [10, 70, 10, 100, 5, 5]
    np.testing.assert_array_equal(segments[1], frames["a"][20:90])
    nothing = Segments.of(silent, {})
    assert len(nothing) == 0 and nothing.neighbours(np.arange(0), 3)[0].tolist() == []


class Watched(Mapping[str, np.ndarray]):
    """A mapping over one memory-mapped file, as the feature store is one."""

    def __init__(self, frames: Mapping[str, np.ndarray], path: Path) -> None:
        np.concatenate(list(frames.values())).tofile(path)
        self.data = np.memmap(path, np.float32, "r").reshape(-1, 13)
        ends = np.cumsum([len(f) for f in frames.values()])
        self.places = {k: (int(e) - len(f), int(e)) for (k, f), e in zip(frames.items(), ends, strict=True)}

    def __getitem__(self, key: str) -> np.ndarray:
        first, last = self.places[key]
        return self.data[first:last]

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)


def test_words_are_views_of_any_mapping_and_train_alike(tmp_path: Path) -> None:
    utterances, frames = planted(8)
    mapped = Watched(frames, tmp_path / "data.f32")
    segments = Segments.of(utterances, mapped)
    assert all(np.shares_memory(segments[i], mapped.data) for i in range(len(segments)))
    training = TrainingConfig(epochs=1)
    here = train(utterances, [], frames, tmp_path / "a", config=SMALL, training=training)
    there = train(utterances, [], mapped, tmp_path / "b", config=SMALL, training=training)
    np.testing.assert_array_equal(embed(here, segments), embed(there, segments))


@pytest.mark.parametrize("teacher_forcing", [False, True], ids=["free", "forced"])
@pytest.mark.parametrize("objective", ["skipgram", "cbow"])
def test_overfits_a_small_batch(objective: str, teacher_forcing: bool) -> None:
    """Utterances of two words: each word has one neighbour, so the error can be driven to nothing."""
    utterances, frames = planted(3, words=2, seed=4, noise=0.05)
    segments = Segments.of(utterances, frames)
    assert len(set(segments.words)) == 6
    torch.manual_seed(1)
    model = Speech2Vec(Speech2VecConfig(16, objective=objective, decoder=24, teacher_forcing=teacher_forcing))
    task = task_of(segments, objective=objective)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    (batch,) = task.batches(0)
    loss = torch.tensor(1.0)
    for _ in range(300):
        optimiser.zero_grad()
        loss = task.loss(model, batch)
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < 0.02  # z-scores have a mean square of 1


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[inference.SpokenWordEncoder, Segments, Segments]:
    """An encoder of planted words, its training words, and words of other utterances."""
    utterances, frames = planted(60, seed=4)
    encoder = train(
        utterances[:45],
        utterances[45:50],
        frames,
        tmp_path_factory.mktemp("s2v"),
        config=Speech2VecConfig(dim=16, decoder=16),
        training=TrainingConfig(epochs=4, learning_rate=5e-3),
        batch_size=32,
    )
    return encoder, Segments.of(utterances[:45], frames), Segments.of(utterances[50:], frames)


def test_new_instances_lie_nearest_to_their_own_type(
    trained: tuple[inference.SpokenWordEncoder, Segments, Segments],
) -> None:
    encoder, segments, new = trained
    vectors = type_vectors(encoder, segments)
    assert sorted(vectors.words) == sorted(TYPES)
    nearest = [vectors.nearest(z, 1)[0][0] for z in embed(encoder, new)]
    # The types are far apart for the noise: 50 words, chance is 1 in 8.
    assert np.mean([a == b for a, b in zip(nearest, new.words, strict=True)]) >= 0.98


def test_type_vectors_are_means_of_instances(
    trained: tuple[inference.SpokenWordEncoder, Segments, Segments], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, segments, _ = trained
    monkeypatch.setattr("duetto.inference.spoken.EMBEDDED_AT_ONCE", 64)  # the words come in several pieces
    seen: list[tuple[int, int]] = []
    embedded = embed(encoder, segments, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(64, 225), (128, 225), (192, 225), (225, 225)]
    alone = np.concatenate([encoder([segments[i]]) for i in range(0, 225, 9)])
    np.testing.assert_allclose(embedded[::9], alone, atol=1e-6)  # float32, sums in another order
    counts = {word: segments.words.count(word) for word in TYPES}
    vectors = type_vectors(encoder, segments, min_count=25, embedded=embedded)
    assert list(vectors.words) == sorted((w for w in TYPES if counts[w] >= 25), key=lambda w: (-counts[w], w))
    assert 0 < len(vectors) < len(TYPES)
    for word in vectors.words:
        own = [embedded[i] for i, w in enumerate(segments.words) if w == word]
        np.testing.assert_allclose(vectors.lookup(word), np.mean(own, axis=0), atol=1e-6)
    with pytest.raises(ConfigurationError, match="none of 8 word types has 1000 spoken instance"):
        type_vectors(encoder, segments, min_count=1000, embedded=embedded)


def test_words_without_one_spelling_belong_to_no_type(
    trained: tuple[inference.SpokenWordEncoder, Segments, Segments],
) -> None:
    encoder, segments, _ = trained
    some = replace(segments, words=("", "ba", *segments.words[2:]))
    assert "" not in type_vectors(encoder, some).words


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mfcc": {"mean": [0.0], "deviation": [1.0]}}, "not of one model"),
        ({"mfcc": {"mean": [0.0] * 13}}, "'mfcc': 'deviation' is missing"),
        ({"about": {"config": {"dim": 10**400}}}, "'dim' must be an integer from 1 to"),
        ({"about": {"config": {"dim": 25}}}, "not of one model"),
        ({"about": {"config": {}}}, "'dim' is missing"),
        ({"about": []}, "'about': a JSON object is required"),
        ({"format": 1}, "not of format"),
    ],
)
def test_a_description_of_another_encoder_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    weights = {name: tensor.numpy() for name, tensor in Speech2Vec(Speech2VecConfig(dim=24)).state_dict().items()}
    inference.export_spoken(weights, Normaliser.identity(13), {"config": {"dim": 24}}, tmp_path)
    path = tmp_path / inference.SPOKEN_DESCRIPTION
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModelError, match=message):
        inference.SpokenWordEncoder(tmp_path)


def test_exported_encoder_equals_the_model(tmp_path: Path) -> None:
    """All lengths from 1 to 100 frames, in one batch and each alone."""
    torch.manual_seed(2)
    model = Speech2Vec(Speech2VecConfig(dim=24))
    rng = np.random.default_rng(0)
    normaliser = Normaliser(rng.normal(size=13).astype(np.float32), rng.uniform(1, 3, 13).astype(np.float32))
    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    inference.export_spoken(weights, normaliser, {"config": {"dim": 24}}, tmp_path)
    encoder = inference.SpokenWordEncoder(tmp_path)
    with pytest.raises(ModelError, match="reads 13 MFCC a frame, and was given 5"):
        encoder([np.zeros((3, 5), np.float32)])
    words = [rng.normal(size=(length, 13)).astype(np.float32) * 3 for length in rng.permutation(np.arange(1, 101))]
    together = encoder(words)
    with torch.no_grad():
        for word, exported in zip(words, together, strict=True):
            z = model.encode(torch.from_numpy(normaliser(word))[None], torch.tensor([len(word)]))[0].numpy()
            # float32 in two libraries that sum in different orders, over at most 100 steps
            np.testing.assert_allclose(exported, z, atol=1e-5)
            np.testing.assert_allclose(encoder([word])[0], exported, atol=1e-5)
    assert encoder([]).shape == (0, 24)


GROUPS = {"gu": "ba", "ki": "ba", "la": "ba", "me": "do", "no": "do", "pa": "do"}


def test_words_of_similar_contexts_get_similar_vectors(tmp_path: Path) -> None:
    """The claim of Speech2Vec, planted: gu, ki, la are only ever said beside `ba`, me, no, pa beside `do`, and
    nothing in their own sound tells. Trained vectors put words of one company nearer than words of the other."""
    utterances, frames = planted(80, seed=5, context=GROUPS)
    segments = Segments.of(utterances, frames)
    contrast, errors = [], []
    for name, epochs in (("before", 1), ("after", 25)):
        rate = 1e-9 if name == "before" else 5e-3
        encoder = train(
            utterances[:70],
            utterances[70:],
            frames,
            tmp_path / name,
            config=Speech2VecConfig(dim=16, decoder=16),
            training=TrainingConfig(epochs=epochs, learning_rate=rate),
            window=1,
            batch_size=32,
        )
        vectors = type_vectors(encoder, segments)
        centred = replace(vectors, matrix=vectors.matrix - vectors.matrix.mean(0))
        cosines: dict[bool, list[float]] = {True: [], False: []}
        for a in GROUPS:
            for b in GROUPS:
                if a < b:
                    cosines[GROUPS[a] == GROUPS[b]].append(centred.cosine(a, b))
        contrast.append(np.mean(cosines[True]) - np.mean(cosines[False]))
        errors.append(encoder.about["development_loss"] / encoder.about["mean_frame_error"])
    assert contrast[1] > 0.8 and contrast[1] > contrast[0] + 0.5
    assert errors[1] < 0.8 < errors[0]


class KilledError(Exception):
    """Stands for the end of the process."""


def test_resumes_to_the_result_of_an_uninterrupted_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    utterances, frames = planted(16)
    given_ = (utterances[:12], utterances[12:], frames)
    chosen = {"config": SMALL, "training": TrainingConfig(epochs=3), "batch_size": 16}
    train(*given_, tmp_path / "whole", **chosen)
    loss, calls = Speech2VecTask.loss, []

    def dies(self: Speech2VecTask, model: torch.nn.Module, batch: np.ndarray) -> torch.Tensor:
        calls.append(batch)
        if len(calls) == 7:  # in the second epoch of four batches each
            raise KilledError
        return loss(self, model, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Speech2VecTask, "loss", dies)
        with pytest.raises(KilledError):
            train(*given_, tmp_path / "killed", **chosen)
    assert not (tmp_path / "killed" / "spoken.json").exists()
    train(*given_, tmp_path / "killed", **chosen)
    for name in ("spoken.onnx", "spoken.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_equal_seeds_give_equal_vectors_and_others_do_not(tmp_path: Path) -> None:
    utterances, frames = planted(8)
    graphs = []
    for i, seed in enumerate((1, 1, 2)):
        training = TrainingConfig(epochs=1, seed=seed)
        train(utterances, [], frames, tmp_path / str(i), config=SMALL, training=training)
        graphs.append((tmp_path / str(i) / "spoken.onnx").read_bytes())
    assert graphs[0] == graphs[1] != graphs[2]


def test_a_folder_of_another_training_is_refused(tmp_path: Path) -> None:
    utterances, frames = planted(6)
    chosen = {"config": SMALL, "training": TrainingConfig(epochs=1)}
    train(utterances, [], frames, tmp_path, **chosen)
    louder = frames | {"u3": frames["u3"] * 2}
    renamed = [replace(u, words=tuple(replace(w, word="ba") for w in u.words or ())) for u in utterances]
    cbow = {**chosen, "config": replace(SMALL, objective="cbow")}
    for arguments, named in (
        (((utterances, [], louder, tmp_path), chosen), "data differ"),
        (((renamed, [], frames, tmp_path), chosen), "data differ"),
        (((utterances, utterances[:2], frames, tmp_path), chosen), "development_data differ"),
        (((utterances, [], frames, tmp_path), cbow), "config differ"),
        (((utterances, [], frames, tmp_path), {**chosen, "window": 2}), "window differ"),
    ):
        with pytest.raises(ModelError, match=rf"was trained with other settings or on other words \({named}"):
            train(*arguments[0], **arguments[1])
    (tmp_path / speech2vec.SETTINGS).write_text("{")
    with pytest.raises(ModelError, match=r"speech2vec\.json: not valid JSON .*; delete .* and train again"):
        train(utterances, [], frames, tmp_path, **chosen)


def test_the_epoch_is_chosen_on_development_words_or_is_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    utterances, frames = planted(20)
    scores = {20: [0.1, 0.5, 0.2], 4: [9.0, 9.0, 9.0]}  # by the number of development words
    monkeypatch.setattr(Speech2VecTask, "develop", lambda self, _: {"score": scores[len(self.development)].pop(0)})
    training = TrainingConfig(epochs=3)
    alone = [replace(u, words=(u.words or ())[:1]) for u in utterances[16:]]  # no neighbours: as good as none
    chosen = train(utterances[:16], utterances[16:], frames, tmp_path / "a", config=SMALL, training=training)
    last = train(utterances[:16], alone, frames, tmp_path / "b", config=SMALL, training=training)
    assert chosen.about["epoch_kept"] == 2 and last.about["epoch_kept"] == 3
    weights = [(tmp_path / name / "spoken.onnx").read_bytes() for name in "ab"]
    assert weights[0] != weights[1]


def test_what_was_trained_is_noted_beside_the_encoder(
    trained: tuple[inference.SpokenWordEncoder, Segments, Segments],
) -> None:
    encoder, segments, _ = trained
    about = json.loads((encoder.folder / "spoken.json").read_text())["about"]
    assert encoder.about == about
    assert (about["words"], about["types"], about["without_type"], about["cut"]) == (225, 8, 0, 0)
    assert about["dropped"] == {} and about["development_words"] == 25 and about["epochs"] == 4
    assert about["config"]["dim"] == 16 and about["training"]["learning_rate"] == 5e-3
    utterances, frames = planted(60, seed=4)
    held_out = Segments.of(utterances[45:50], frames)
    normalised = np.concatenate([normaliser_of(segments)(held_out[i]) for i in range(len(held_out))])
    assert about["mean_frame_error"] == pytest.approx(np.square(normalised).mean(), rel=1e-5)


def test_nothing_to_learn_from_is_an_error(tmp_path: Path) -> None:
    utterances, frames = planted(3)
    untimed = [replace(u, words=tuple(Word(w.word) for w in u.words or ())) for u in utterances]
    single = [replace(u, words=(u.words or ())[:1]) for u in utterances]
    for bad in (untimed, single, []):
        with pytest.raises(ConfigurationError, match=r"duetto align MANIFEST -o ALIGNED\.jsonl"):
            train(bad, [], frames, tmp_path, config=SMALL, training=TrainingConfig(epochs=1))
        with pytest.raises(ConfigurationError, match="at least two words that have times"):
            spoken_words.require_times(bad)
    spoken_words.require_times(utterances)
    for window, batch_size in ((0, 8), (3, 0)):
        with pytest.raises(ConfigurationError, match="both must be 1 or more"):
            once = TrainingConfig(epochs=1)
            train([], [], {}, tmp_path, config=SMALL, training=once, window=window, batch_size=batch_size)
    for wrong in ({"dim": 7}, {"dim": 0}, {"objective": "glove"}, {"decoder": 0}):
        with pytest.raises(ConfigurationError, match=r"is not valid|choose skipgram or cbow"):
            replace(SMALL, **wrong)


def test_features_of_another_kind_are_refused(trained: tuple[inference.SpokenWordEncoder, Segments, Segments]) -> None:
    encoder, segments, _ = trained

    class Keyed(dict[str, np.ndarray]):
        key = "mfcc 2"

    other = inference.SpokenWordEncoder(encoder.folder)
    other.about["features"] = "mfcc 1"
    embed(other, segments)  # frames of no known kind are taken at their word
    with pytest.raises(ModelError, match="was trained on features mfcc 1, not on mfcc 2"):
        embed(other, replace(segments, frames=Keyed(segments.frames)))


def test_instances_are_written_beside_their_places(tmp_path: Path) -> None:
    utterances, frames = planted(2)
    segments = Segments.of(utterances, frames)
    vectors = np.random.default_rng(0).normal(size=(len(segments), 4)).astype(np.float32)
    path = tmp_path / "deep" / "instances.npz"
    spoken_.save_instances(path, segments, vectors)
    assert [p.name for p in path.parent.iterdir()] == ["instances.npz"]
    with np.load(path) as read:
        expected = [(u.id, w.word, w.start, w.end) for u in utterances for w in u.words or ()]
        found = zip(read["utterance"].tolist(), read["word"].tolist(), read["start"], read["end"], strict=True)
        for (utterance, word, start, end), wanted in zip(found, expected, strict=True):
            assert (utterance, word) == wanted[:2]
            assert (start, end) == pytest.approx(wanted[2:])
        np.testing.assert_array_equal(read["vector"], vectors)


def test_whole_speakers_are_held_out() -> None:
    utterances, _ = planted(120)
    utterances = [replace(u, speaker=f"s{i % 12}") for i, u in enumerate(utterances)]
    rest, development = hold_out(utterances, 0.05, seed=1)
    assert {u.speaker for u in rest}.isdisjoint({u.speaker for u in development})
    assert len({u.speaker for u in development}) == 1 and len(development) == 10
    assert sorted(u.id for u in [*rest, *development]) == sorted(u.id for u in utterances)
    assert [u.id for u in rest] == [u.id for u in utterances if u in rest]
    assert hold_out(utterances, 0.05, seed=1) == (rest, development)
    assert any(hold_out(utterances, 0.05, seed=s)[1] != development for s in range(2, 6))
    assert len(hold_out(utterances, 0.15, seed=1)[1]) == 20  # two speakers are the least that reach 18 utterances


def test_utterances_are_held_out_where_speakers_are_few_or_unknown() -> None:
    """Of two speakers one is half of the corpus."""
    utterances, _ = planted(40)
    for speakers in ([f"s{i % 2}" for i in range(40)], [None, *["s"] * 39], [None] * 40):
        named = [replace(u, speaker=s) for u, s in zip(utterances, speakers, strict=True)]
        rest, development = hold_out(named, 0.05)
        assert len(development) == 2 and len(rest) == 38
    assert hold_out(utterances, 0) == (utterances, [])
    assert hold_out(utterances[:1], 0.05) == (utterances[:1], [])
    assert hold_out([], 0.05) == ([], [])
    with pytest.raises(ConfigurationError, match=r"share of 0\.7 is not valid; give 0 to 0\.5"):
        hold_out(utterances, 0.7)

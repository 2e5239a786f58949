"""Attention pooling, cross-attention, fusion by confidence, modality dropout: weights, bounds, padding, learning."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from duetto.config.model import ModelConfig
from duetto.models.attention import AttentionPooling, CrossAttention
from duetto.models.confidence import fit_trust
from duetto.models.emotion import Batch, EmotionModel, ModelOutput, drop_one
from test_fusion import batch

CONFIGS = {
    "attention": {"pooling": "attention"},
    "cross-attention": {"pooling": "attention", "fusion": "cross-attention"},
    "confidence": {"fusion": "confidence"},
    "mcnn": {"word_encoder": "mcnn"},
    "mcnn by confidence": {"word_encoder": "mcnn", "fusion": "confidence"},
}
FLOAT32 = {"rtol": 1e-5, "atol": 1e-6}
"""Sums of some dozen float32 in another order."""


def model(**changes: object) -> EmotionModel:
    torch.manual_seed(0)
    config = ModelConfig(hidden=8, dense=8, **changes)  # type: ignore[arg-type]
    return EmotionModel(config, torch.randn(20, 50)).eval()


def test_pooling_worked_by_hand() -> None:
    """v·tanh(W·h) is tanh(h) of a single number: weights e^tanh(0) and e^tanh(ln 3), where tanh(ln 3) = 0.8."""
    pool = AttentionPooling(1, 1)
    with torch.no_grad():
        for parameter, value in ((pool.hidden.weight, 1.0), (pool.hidden.bias, 0.0), (pool.score.weight, 1.0)):
            parameter.fill_(value)
    states, lengths = torch.tensor([[[0.0], [math.log(3)], [9.0]]]), torch.tensor([2])
    expected = np.array([1.0, math.exp(0.8), 0.0]) / (1 + math.exp(0.8))
    np.testing.assert_allclose(pool.weights(states, lengths)[0].detach(), expected, rtol=1e-6)
    assert pool(states, lengths).item() == pytest.approx(expected[1] * math.log(3), rel=1e-6)


def test_weights_sum_to_one_over_real_steps_and_are_zero_beyond() -> None:
    torch.manual_seed(1)
    states, other = torch.randn(3, 7, 4) * 5, torch.randn(3, 5, 4) * 5
    lengths, other_lengths = torch.tensor([1, 4, 7]), torch.tensor([5, 1, 3])
    alone = AttentionPooling(4, 6).weights(states, lengths)
    across = CrossAttention(4, 6).weights(states, other, other_lengths)
    for weights, limits in ((alone[:, None], lengths), (across, other_lengths)):
        torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:2]))
        for row, limit in zip(weights.detach(), limits, strict=True):
            assert float(row[:, limit:].abs().sum()) == 0.0 and float(row[:, :limit].min()) >= 0.0


def test_cross_attention_equals_torch() -> None:
    """Against torch's own scaled dot-product attention, with the same projections and mask."""
    torch.manual_seed(2)
    layer = CrossAttention(4, 6).double()
    states, other = torch.randn(2, 3, 4, dtype=torch.float64), torch.randn(2, 5, 4, dtype=torch.float64)
    lengths = torch.tensor([5, 2])
    mask = (torch.arange(5) < lengths[:, None])[:, None].expand(2, 3, 5)
    context = nn.functional.scaled_dot_product_attention(layer.query(states), layer.key(other), other, attn_mask=mask)
    expected = torch.tanh(layer.merge(torch.cat((states, context), -1)))
    torch.testing.assert_close(layer(states, other, lengths), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", CONFIGS)
def test_batch_equals_its_items_alone(name: str) -> None:
    system, whole = model(**CONFIGS[name]), batch(6)
    together = system(whole)
    for i in range(6):
        one = Batch(*(None if x is None else x[i : i + 1] for x in whole))
        torch.testing.assert_close(system(one), together[i : i + 1], **FLOAT32)


@pytest.mark.parametrize("name", CONFIGS)
def test_padding_changes_nothing(name: str) -> None:
    """Whatever stands beyond the lengths, and however much of it. No word at all is one step of zeros."""
    system, given = model(**CONFIGS[name]), batch(6)
    assert given.frames is not None and given.frame_lengths is not None
    assert given.words is not None and given.word_lengths is not None
    real = torch.arange(9) < given.frame_lengths[:, None]
    frames = torch.cat((torch.where(real[..., None], given.frames, 1e3), torch.full((6, 4, 34), -1e3)), 1)
    read = torch.arange(6) < given.word_lengths.clamp(min=1)[:, None]
    quiet = torch.where(given.word_lengths[:, None] > 0, given.words, 0)
    words = torch.cat((torch.where(read, quiet, 7), torch.full((6, 3), 9)), 1)
    noisy = given._replace(frames=frames, words=words)
    torch.testing.assert_close(system(noisy), system(given._replace(words=quiet)), **FLOAT32)


@pytest.mark.parametrize("name", CONFIGS)
def test_overfits_one_batch(name: str) -> None:
    torch.manual_seed(0)
    changes = {"hidden": 16, "dense": 16, "dropout": 0.0, "recurrent_dropout": 0.0, **CONFIGS[name]}
    system = EmotionModel(ModelConfig(**changes), torch.randn(20, 50))
    optimiser = torch.optim.Adam(system.parameters(), lr=1e-2)
    given = batch(8)
    for _ in range(100):
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(system(given), given.target)
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < 0.02


def test_gates_are_bounded_and_the_answer_is_their_weighted_sum() -> None:
    system = model(fusion="confidence")
    assert system.confidence is not None
    encoded = [torch.randn(5, 8) * 100, torch.zeros(5, 8)]
    own, gates = system.confidence.predictions(encoded)
    for gate in gates:
        assert gate.shape == (5, 1) and ((gate >= 0) & (gate <= 1)).all()
    logits, _, _ = system.confidence(encoded)
    expected = sum(g * z.log_softmax(-1) for g, z in zip(gates, own, strict=True))
    torch.testing.assert_close(logits, expected)


def test_an_encoder_moves_its_own_gate_alone() -> None:
    """So what is wrong with a voice cannot close the gate of the words."""
    system = model(fusion="confidence")
    assert system.confidence is not None
    words = torch.randn(5, 8)
    _, before = system.confidence.predictions([torch.randn(5, 8), words])
    _, after = system.confidence.predictions([torch.randn(5, 8), words])
    torch.testing.assert_close(before[1], after[1])
    assert not torch.allclose(before[0], after[0])


def test_a_closed_gate_leaves_the_other_encoders_answer() -> None:
    system = model(fusion="confidence")
    assert system.confidence is not None
    with torch.no_grad():
        for name, bias in (("acoustic", -1e3), ("words", 1e3)):
            system.confidence.gates[name].bias.fill_(bias)  # type: ignore[union-attr]
    logits, own, _ = system.confidence([torch.randn(3, 8), torch.randn(3, 8)])
    torch.testing.assert_close(logits.softmax(-1), own[1].softmax(-1))


def test_confidence_fusion_weights_logits_by_gate_and_trust() -> None:
    """Own answers (ln 4, 0) twice, gates of 1/2: together ln 4 apart, and with trusts of 1 and 1/2 three quarters."""
    system = EmotionModel(ModelConfig(fusion="confidence", hidden=2, dense=2, classes=2, head_layers=0)).eval()
    assert system.confidence is not None
    with torch.no_grad():
        for parameter in system.confidence.parameters():
            parameter.zero_()
        for head in system.confidence.heads.values():
            head[0].bias[0] = math.log(4)  # type: ignore[index]
    encoded = [torch.zeros(1, 2), torch.zeros(1, 2)]

    def apart() -> float:
        return float((system.confidence(encoded)[0] @ torch.tensor([1.0, -1.0])).detach())  # type: ignore[misc]

    assert apart() == pytest.approx(math.log(4), rel=1e-5)
    system.confidence.trust.copy_(torch.tensor([1.0, 0.5]))
    assert apart() == pytest.approx(0.75 * math.log(4), rel=1e-5)
    system.train()
    assert apart() == pytest.approx(math.log(4), rel=1e-5), "training goes on without it"


def test_fit_trust_gives_the_full_weight_to_the_informative_encoder() -> None:
    rng = np.random.default_rng(0)
    target = rng.integers(0, 4, 400)
    noise = [rng.normal(size=(400, 4)) for _ in range(2)]
    right = np.eye(4)[target] + noise[0]
    assert fit_trust(right, 5 * noise[1], target)[0] == 1.0 and fit_trust(right, 5 * noise[1], target)[1] <= 0.1
    assert fit_trust(5 * noise[1], right, target)[0] <= 0.1 and fit_trust(5 * noise[1], right, target)[1] == 1.0
    assert fit_trust(right, right, target) == (1.0, 1.0)
    assert fit_trust(right[:2], 5 * noise[1][:2], target[:2]) == (1.0, 1.0), (
        "two utterances are too few to reduce a weight"
    )


def test_trust_is_the_ratio_that_was_planted() -> None:
    """Labels drawn from softmax(a + b/2): the likelihood is greatest there, as n grows."""
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 20_000, 4)) * 2
    target = (a + b / 2 + rng.gumbel(size=a.shape)).argmax(1)  # draws from the softmax (Gumbel 1954)
    # The slope of logistic regression has a standard error of about 0.01 here; steps are 0.05.
    assert fit_trust(a, b, target) == pytest.approx((1.0, 0.5), abs=0.051)


def test_the_detailed_output_holds_what_training_needs() -> None:
    for name, own in (("attention", 0), ("confidence", 2)):
        system = model(**CONFIGS[name])
        answer = system(batch(), detailed=True)
        assert isinstance(answer, ModelOutput) and len(answer.encoder_logits) == own and answer.encoded.shape == (4, 16)
        torch.testing.assert_close(answer.logits, system(batch()))


def test_modality_dropout_silences_one_encoder_for_its_share() -> None:
    torch.manual_seed(0)
    acoustic, words = drop_one([torch.ones(4000, 3), torch.ones(4000, 3)], 0.3)
    silent = torch.stack([(x == 0).all(-1) for x in (acoustic, words)])
    assert not (silent[0] & silent[1]).any(), "never both"
    assert set(acoustic.unique().tolist()) == {0.0, 1.0}, "nothing is scaled"
    # 4000 draws: the shares have standard deviations of 0.0072 (0.3) and 0.0056 (0.15); four of them.
    assert float(silent.any(0).float().mean()) == pytest.approx(0.3, abs=0.03)
    assert float(silent[0].float().mean()) == pytest.approx(0.15, abs=0.023)


def test_modality_dropout_is_drawn_from_the_seed_and_off_in_evaluation() -> None:
    system, given = model(modality_dropout=0.5, dropout=0.0, recurrent_dropout=0.0), batch(32)
    torch.testing.assert_close(system(given), system(given))
    system.train()
    torch.manual_seed(3)
    first, second = system(given), system(given)
    torch.manual_seed(3)
    torch.testing.assert_close(system(given), first)
    assert not torch.allclose(first, second)

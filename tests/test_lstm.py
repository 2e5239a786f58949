"""The recurrence against torch's own LSTM, against finite differences, and its dropout against Keras' rule."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from duetto.errors import ConfigurationError
from duetto.models import _lstm_cudnn
from duetto.models._lstm_cpu import Recurrence, Weights
from duetto.models._packing import Packing
from duetto.models.lstm import RECURRENT_MASKS, BiLSTM


def reference(layer: BiLSTM, input_size: int) -> torch.nn.LSTM:
    """torch's LSTM with the same weights; its gates come in the same order."""
    lstm = torch.nn.LSTM(input_size, layer.hidden, bidirectional=True, batch_first=True)
    with torch.no_grad():
        for direction, suffix in enumerate(("", "_reverse")):
            getattr(lstm, f"weight_ih_l0{suffix}").copy_(layer.weight_input[direction].T)
            getattr(lstm, f"weight_hh_l0{suffix}").copy_(layer.weight_recurrent[direction].T)
            getattr(lstm, f"bias_ih_l0{suffix}").copy_(layer.bias[direction])
            getattr(lstm, f"bias_hh_l0{suffix}").zero_()
    return lstm


@settings(max_examples=20, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    hidden=st.integers(1, 6),
    seed=st.integers(0, 99),
)
def test_equals_packed_torch_lstm_forward_and_backward(lengths: list[int], hidden: int, seed: int) -> None:
    torch.manual_seed(seed)
    layer = BiLSTM(3, hidden).double()
    other = reference(layer, 3).double()
    n = torch.tensor(lengths)
    x = torch.randn(len(lengths), max(lengths) + 2, 3, dtype=torch.float64)
    mine, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    states, last = layer(mine, n)
    assert torch.equal(layer.last(mine, n), last)
    packed = torch.nn.utils.rnn.pack_padded_sequence(theirs, n, batch_first=True, enforce_sorted=False)
    out, (h, _) = other(packed)
    out, _ = torch.nn.utils.rnn.pad_packed_sequence(out, batch_first=True, total_length=x.shape[1])
    # Both are float64 and sum in different orders.
    torch.testing.assert_close(states, out, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(last, torch.cat((h[0], h[1]), -1), rtol=1e-10, atol=1e-12)
    weights = torch.randn_like(states)
    ((states * weights).sum() + last.square().sum()).backward()
    ((out * weights).sum() + h.square().sum()).backward()
    torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-9, atol=1e-12)
    grad = layer.weight_recurrent.grad
    assert grad is not None
    torch.testing.assert_close(grad[0].T, other.weight_hh_l0.grad, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(grad[1].T, other.weight_hh_l0_reverse.grad, rtol=1e-9, atol=1e-12)


def test_hand_written_gradient_with_dropout_equals_finite_differences() -> None:
    torch.manual_seed(0)
    counts = [3, 3, 2, 1]
    shapes = ((2, 9, 3), (2, 3, 8), (2, 2, 8), (2, 8))
    given = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    mask = torch.bernoulli(torch.full((2, 3, 2), 0.6, dtype=torch.float64)) / 0.6
    assert torch.autograd.gradcheck(lambda *xs: Recurrence.apply(*xs, mask, counts), given)


def steps_written_out(layer: BiLSTM, x: list[Tensor], masks: Tensor) -> Tensor:
    """The last states of samples x, each without padding (time, features), one step and one sample at a time;
    masks (2, samples, hidden) multiply h before its product."""
    last = []
    for sample, frames in enumerate(x):
        for direction, read in enumerate((frames, frames.flip(0))):
            h = c = frames.new_zeros(layer.hidden)
            for frame in read:
                recurrent = (h * masks[direction, sample]) @ layer.weight_recurrent[direction]
                gates = frame @ layer.weight_input[direction] + recurrent + layer.bias[direction]
                i, f, g, o = gates.chunk(4)
                c = f.sigmoid() * c + i.sigmoid() * g.tanh()
                h = o.sigmoid() * c.tanh()
            last.append(h)
    return torch.stack(last).view(len(x), -1)


@pytest.mark.parametrize("kind", RECURRENT_MASKS)
def test_recurrent_dropout_written_out_has_the_same_answers_and_gradients(kind: str) -> None:
    """On h before the recurrent product, the same at every step, scaled by 1/keep: Keras' rule."""
    torch.manual_seed(3)
    layer = BiLSTM(2, 4, recurrent_dropout=0.5, recurrent_mask=kind).double().train()
    # Longest first, as the masks of a batch are drawn.
    x = [torch.randn(n, 2, dtype=torch.float64) for n in (6, 4, 1)]
    lengths = torch.tensor([len(sample) for sample in x])
    padded = torch.nn.utils.rnn.pad_sequence(x, batch_first=True, padding_value=9.0)
    weights = torch.randn(3, 8, dtype=torch.float64)
    grads = []
    torch.manual_seed(7)
    masks = layer.draw_mask(3)
    assert masks is not None and set(masks.unique().tolist()) <= {0.0, 2.0}
    torch.manual_seed(7)
    answers = layer.last(padded, lengths)
    expected = steps_written_out(layer, x, masks.expand(2, 3, 4))
    torch.testing.assert_close(answers, expected, rtol=1e-10, atol=1e-12)  # float64, summed in another order
    for last in (answers, expected):
        grads.append(torch.autograd.grad((last * weights).sum(), list(layer.parameters())))
    for mine, theirs in zip(*grads, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-12)


def test_dropout_is_off_in_evaluation_and_masks_differ_between_samples() -> None:
    layer = BiLSTM(2, 32, recurrent_dropout=0.3)
    mask = layer.train().draw_mask(64)
    assert mask is not None
    assert len(torch.unique(mask[0], dim=0)) > 1
    # 2·64·32 draws: the share kept has a standard deviation of 0.007, so 0.04 is over five of them.
    assert abs(float((mask > 0).float().mean()) - 0.7) < 0.04
    assert layer.eval().draw_mask(64) is None
    shared = BiLSTM(2, 32, 0.3, "shared").train().draw_mask(64)
    assert shared is not None and shared.shape == (2, 1, 32)


def test_padding_never_changes_an_answer() -> None:
    torch.manual_seed(1)
    layer = BiLSTM(3, 5)
    x = torch.randn(2, 7, 3)
    lengths = torch.tensor([4, 7])
    noisy = x.clone()
    noisy[0, 4:] = 1e6
    torch.testing.assert_close(layer(x, lengths)[1], layer(noisy, lengths)[1])
    alone = layer(x[:1, :4], lengths[:1])[1]
    torch.testing.assert_close(layer(x, lengths)[1][:1], alone)


@pytest.mark.parametrize(("directions", "dropout"), [(1, 0.0), (2, 0.0), (1, 0.5), (2, 0.5)])
def test_fused_kernel_has_the_same_answers_and_gradients(directions: int, dropout: float) -> None:
    """What runs on CUDA, here by torch's CPU kernel; with dropout every sample has its own mask."""
    torch.manual_seed(2)
    packing = Packing(torch.tensor([2, 7, 1, 7]), 7)
    x = packing.pack(torch.randn(4, 7, 3, dtype=torch.float64)).requires_grad_()
    shapes = ((3, 20), (5, 20), (20,))
    weights = [torch.randn(directions, *shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    mask = None
    if dropout:
        mask = torch.bernoulli(torch.full((directions, 4, 5), 1 - dropout, dtype=torch.float64)) / (1 - dropout)
        assert len(torch.unique(mask[0], dim=0)) > 1
    read = torch.stack((x, packing.mirrored(x))[:directions])
    mine: Tensor = Recurrence.apply(read, *weights, mask, packing.counts)  # type: ignore[assignment]
    found = _lstm_cudnn.recur(x, Weights(*weights), None if mask is None else packing.spread(mask), packing.counts)
    theirs = torch.stack((found[0], packing.mirrored(found[-1]))[:directions])
    # Both are float64 and sum in different orders.
    torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-12)
    factors = torch.randn_like(theirs)
    grads = [torch.autograd.grad((states * factors).sum(), [x, *weights]) for states in (mine, theirs)]
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_fused_kernel_computes_in_the_precision_of_the_weights_under_autocast() -> None:
    torch.manual_seed(0)
    weights = [torch.randn(2, *shape) for shape in ((3, 8), (2, 8), (8,))]
    x, counts = torch.randn(5, 3), [3, 2]
    exact = _lstm_cudnn.recur(x, Weights(*weights), None, counts)
    with torch.autocast("cpu", torch.bfloat16):
        found = _lstm_cudnn.recur(x.bfloat16(), Weights(*weights), None, counts)
    assert found.dtype == torch.float32
    torch.testing.assert_close(
        found, _lstm_cudnn.recur(x.bfloat16().float(), Weights(*weights), None, counts), rtol=0, atol=0
    )
    assert not torch.equal(found, exact)


def test_unknown_mask_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="recurrent_mask = 'none' is not valid; choose from per-sample"):
        BiLSTM(2, 3, 0.1, "none")


def test_packing_worked_by_hand() -> None:
    """Sequences 12, 345 and 6, the second is the longest: steps 3 1 6, 4 2, 5."""
    x = torch.tensor([[1, 2, 9], [3, 4, 5], [6, 9, 9]])[..., None]
    packing = Packing(torch.tensor([2, 3, 1]), 3)
    packed = packing.pack(x)
    assert packing.counts == [3, 2, 1]
    assert packed.flatten().tolist() == [3, 1, 6, 4, 2, 5]
    assert packing.mirrored(packed).flatten().tolist() == [5, 2, 6, 4, 1, 3]
    assert packing.last(packed).flatten().tolist() == [2, 5, 6]
    assert packing.spread(torch.tensor([[7], [8], [9]])).flatten().tolist() == [7, 8, 9, 7, 8, 7]
    assert packing.pad(packed)[..., 0].tolist() == [[1, 2, 0], [3, 4, 5], [6, 0, 0]]


def test_initialisation_is_keras() -> None:
    layer = BiLSTM(34, 16)
    recurrent = layer.weight_recurrent[0].detach()
    torch.testing.assert_close(recurrent @ recurrent.T, torch.eye(16), atol=1e-5, rtol=0)  # orthogonal, float32
    assert layer.bias[0].reshape(4, 16).sum(1).tolist() == [0, 16, 0, 0]
    bound = np.sqrt(6 / (34 + 64))
    assert float(layer.weight_input.detach().abs().max()) == pytest.approx(bound, rel=0.05)


def test_mixed_precision_changes_little() -> None:
    torch.manual_seed(0)
    layer, x, lengths = BiLSTM(8, 16), torch.randn(4, 12, 8), torch.tensor([12, 3, 7, 12])
    exact = layer(x, lengths)[1]
    with torch.autocast("cpu", torch.bfloat16):
        mixed = layer(x, lengths)[1]
        mixed.square().sum().backward()
    # The projections have the eight bits of bfloat16's mantissa, 0.4 % of values of size 1 or so.
    torch.testing.assert_close(mixed.float(), exact, atol=0.02, rtol=0)
    assert layer.weight_recurrent.grad is not None and layer.weight_recurrent.grad.isfinite().all()

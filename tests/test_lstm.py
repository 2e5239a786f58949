"""The recurrence against torch's own LSTM, against finite differences, and its dropout against Keras' rule."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from duetto.models.lstm import BiLSTM, _Recurrence, reverse_within


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
    projected = torch.randn(4, 2, 3, 8, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 2, 8, dtype=torch.float64, requires_grad=True)
    mask = torch.bernoulli(torch.full((2, 3, 2), 0.6, dtype=torch.float64)) / 0.6
    assert torch.autograd.gradcheck(lambda p, w: _Recurrence.apply(p, w, mask), (projected, weight))


def test_recurrent_dropout_is_keras_rule_written_out() -> None:
    """One mask a sample, on h before the recurrent product, the same at every step, scaled by 1/keep."""
    torch.manual_seed(3)
    layer = BiLSTM(2, 4, recurrent_dropout=0.5).double().train()
    x = torch.randn(3, 6, 2, dtype=torch.float64)
    torch.manual_seed(7)
    _, last = layer(x, torch.full((3,), 6))
    torch.manual_seed(7)
    mask = layer._mask(3)
    assert mask is not None and set(mask.unique().tolist()) <= {0.0, 2.0}
    h = c = torch.zeros(3, 4, dtype=torch.float64)
    for t in range(6):
        gates = x[:, t] @ layer.weight_input[0] + (h * mask[0]) @ layer.weight_recurrent[0] + layer.bias[0]
        i, f, g, o = gates.chunk(4, -1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
    torch.testing.assert_close(last[:, :4], h, rtol=1e-10, atol=1e-12)


def test_dropout_is_off_in_evaluation_and_masks_differ_between_samples() -> None:
    layer = BiLSTM(2, 32, recurrent_dropout=0.3)
    mask = layer.train()._mask(64)
    assert mask is not None
    assert len(torch.unique(mask[0], dim=0)) > 1
    # 2·64·32 draws: the share kept has a standard deviation of 0.007, so 0.04 is over five of them.
    assert abs(float((mask > 0).float().mean()) - 0.7) < 0.04
    assert layer.eval()._mask(64) is None


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


def test_reverse_within_worked_by_hand() -> None:
    x = torch.tensor([[1, 2, 3, 9], [1, 2, 3, 4]])
    assert reverse_within(x, torch.tensor([3, 4])).tolist() == [[3, 2, 1, 9], [4, 3, 2, 1]]


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

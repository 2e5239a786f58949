"""The emotion model: shapes, the paper's layer sizes, padding, and that it learns."""

import pytest
import torch

from duetto.config.model import ModelConfig
from duetto.errors import ConfigurationError
from duetto.models.emotion import Batch, EmotionModel


def batch(n: int = 4, seed: int = 0) -> Batch:
    torch.manual_seed(seed)
    return Batch(
        frames=torch.randn(n, 9, 34),
        frame_lengths=torch.randint(1, 10, (n,)),
        words=torch.randint(0, 20, (n, 6)),
        word_lengths=torch.randint(0, 7, (n,)),
        target=torch.arange(n) % 4,
    )


@pytest.mark.parametrize("encoders", [("acoustic",), ("words",), ("acoustic", "words")])
def test_gives_logits_for_every_set_of_encoders(encoders: tuple[str, ...]) -> None:
    model = EmotionModel(ModelConfig(encoders=encoders), torch.randn(20, 50)).eval()
    logits = model(batch())
    assert logits.shape == (4, 4)
    # Logits, not probabilities: they are not normalised.
    assert not torch.allclose(logits.exp().sum(-1), torch.ones(4))


def test_number_of_parameters_is_that_of_the_paper() -> None:
    """Worked by hand from section 4: BiLSTM 4·128·(in+128+1)·2, dense 256·256+256, table, head."""
    model = EmotionModel(ModelConfig(), torch.randn(1000, 50))
    encoder = [2 * 4 * 128 * (n + 128 + 1) + 256 * 256 + 256 for n in (34, 50)]
    head = (512 * 256 + 256) + (256 * 4 + 4)
    assert sum(p.numel() for p in model.parameters()) == sum(encoder) + 1000 * 50 + head


def test_batch_equals_its_items_alone() -> None:
    model = EmotionModel(ModelConfig(), torch.randn(20, 50)).eval()
    whole = batch()
    together = model(whole)
    for i in range(4):
        one = Batch(*(None if x is None else x[i : i + 1] for x in whole))
        torch.testing.assert_close(model(one), together[i : i + 1], rtol=1e-5, atol=1e-6)  # float32, other order


def test_no_words_at_all_has_an_answer_that_does_not_depend_on_the_padding() -> None:
    model = EmotionModel(ModelConfig(encoders=("words",)), torch.randn(20, 50)).eval()
    empty = Batch(words=torch.zeros(1, 1, dtype=torch.long), word_lengths=torch.tensor([0]))
    longer = Batch(words=torch.zeros(1, 5, dtype=torch.long), word_lengths=torch.tensor([0]))
    torch.testing.assert_close(model(empty), model(longer))


def test_vectors_pass_the_table_by() -> None:
    table = torch.randn(20, 50)
    table[0] = 0
    with_table = EmotionModel(ModelConfig(encoders=("words",)), table).eval()
    without = EmotionModel(ModelConfig(encoders=("words",))).eval()
    without.load_state_dict({k: v for k, v in with_table.state_dict().items() if "embedding" not in k})
    given = batch()
    assert given.words is not None
    vectors = Batch(words=table[given.words], word_lengths=given.word_lengths)
    torch.testing.assert_close(with_table(given), without(vectors))


def test_row_of_padding_stays_zero_under_training() -> None:
    model = EmotionModel(ModelConfig(encoders=("words",), hidden=8, dense=8), torch.ones(20, 50))
    optimiser = torch.optim.Adam(model.parameters(), lr=0.1)
    given = batch()
    torch.nn.functional.cross_entropy(model(given), given.target).backward()
    optimiser.step()
    assert model.words is not None and model.words.embedding is not None
    assert float(model.words.embedding.weight[0].detach().abs().max()) == 0.0


def test_overfits_one_batch() -> None:
    torch.manual_seed(0)
    model = EmotionModel(ModelConfig(hidden=16, dense=16, dropout=0.0, recurrent_dropout=0.0), torch.randn(20, 50))
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    given = batch(8)
    for _ in range(60):
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(given), given.target)
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < 0.01


def test_unknown_encoder_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="choose acoustic, words, or both"):
        ModelConfig(encoders=("video",))

"""The registries of encoders: what a configuration can name, PyTorch can build and ONNX can repeat."""

import pytest

from duetto.config.encoders import ACOUSTIC_ENCODERS, WORD_ENCODERS
from duetto.config.experiment import Experiment
from duetto.errors import ConfigurationError
from duetto.models import encoders
from duetto.models.onnx import networks


def test_every_encoder_that_a_configuration_allows_has_a_block_and_its_onnx_twin() -> None:
    """`test_verification` exports each of them and compares the two."""
    allowed = {*ACOUSTIC_ENCODERS, *WORD_ENCODERS}
    assert set(encoders.ENCODERS) == allowed
    assert set(networks.ENCODERS) == allowed


@pytest.mark.parametrize("key", ["acoustic_encoder", "word_encoder"])
def test_an_encoder_outside_the_registry_is_refused(key: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{key} = 'transformer' is not valid; choose from bilstm"):
        Experiment("x", "X", ("acoustic", "words"), **{key: "transformer"})  # type: ignore[arg-type]

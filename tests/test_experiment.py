"""Experiment files: every one that comes with duetto loads, and a wrong one says what is right."""

from pathlib import Path

import pytest

from duetto.config.experiment import SYSTEMS, load, teacher_of, with_overrides
from duetto.errors import ConfigurationError


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system_loads_under_its_name(name: str) -> None:
    assert load(name).name == name


def test_defaults_are_those_of_the_paper() -> None:
    e = load("fusion-random")
    assert (e.hidden, e.dense, e.recurrent_dropout, e.dropout) == (128, 256, 0.2, 0.3)
    assert (e.learning_rate, e.batch_size, e.epochs, e.max_frames, e.max_words) == (1e-3, 32, 20, 200, 128)


def test_changes_are_validated_too() -> None:
    assert load("fusion-random", epochs=3).epochs == 3
    with pytest.raises(ConfigurationError, match="epochs = 0 is not valid"):
        load("fusion-random", epochs=0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name = "x"\ntitle = "x"', "'encoders' is required"),
        ('name = "x"\ntitle = "x"\nencoders = ["video"]', "choose from acoustic, words"),
        ('name = "x"\ntitle = "x"\nencoders = ["words"]\nepoch = 3', "unknown key 'epoch'; known keys are .*epochs"),
        ('name = "x"\ntitle = "x"\nencoders = ["words"]\nepochs = "3"', "epochs = '3' is not of type int"),
        ('name = "x"\ntitle = "x"\nencoders = ["words"]\nhidden = true', "hidden = True is not of type"),
        ('name = "x"\ntitle = "x"\nencoders = ["words"]\ndropout = 1', "give a share"),
        ("name = ", "not valid TOML"),
        ("name = " + "[" * 5_000, "nested too deeply|not valid TOML"),
        ('name = "x"\ntitle = "x"\nencoders = ["words"]\nepochs = ' + "9" * 5_000, "not valid TOML"),
        (
            'name = "x"\ntitle = "x"\nencoders = ["words"]\nepochs = ' + "9" * 400,
            "an integer of 1329 bits is not valid",
        ),
        ('name = "x"\ntitle = "x"\nencoders = ["words"]\npaper_ua = ' + "9" * 400, "1329 bits is not of type"),
        ('name = "x"\ntitle = "x"\nencoders = ["words"]\npaper_ua = nan', "not of type|give a percentage"),
        ('name = "x"\ntitle = "x"\nencoders = ["words"]\nlearning_rate = inf', "give a number above 0"),
        ('name = "x"\ntitle = "x"\nencoders = [["words"]]', "not of type list of str"),
        ('name = "x"\ntitle = "x"\nencoders = ["words"]\n"\\u001b[2J" = 1', r"unknown key '\\x1b\[2J'"),
    ],
)
def test_the_error_of_a_wrong_file_lists_what_is_valid(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=message) as error:
        load(path)
    assert str(path) in str(error.value)


def test_no_such_system_lists_the_systems() -> None:
    with pytest.raises(ConfigurationError, match="systems are acoustic"):
        load("acustic")


def test_settings_change_keys_and_show_in_the_name() -> None:
    e = with_overrides(load("acoustic"), ["epoch_choice=last", "dropout = 0.5", "class_weights=true", "epochs=3"])
    assert (e.epoch_choice, e.dropout, e.class_weights, e.epochs) == ("last", 0.5, True, 3)
    assert e.name == "acoustic (epoch_choice=last, dropout=0.5, class_weights=True, epochs=3)"
    assert with_overrides(load("acoustic"), []) == load("acoustic")


@pytest.mark.parametrize(
    ("system", "changes", "message"),
    [
        ("acoustic", {"fusion": "confidence"}, "fusion = 'confidence' needs two encoders"),
        ("acoustic", {"modality_dropout": 0.2}, "modality_dropout = 0.2 needs two encoders"),
        ("acoustic", {"word_encoder": "mcnn"}, "word_encoder = 'mcnn' needs words; add 'words' to encoders"),
        ("acoustic", {"word_order": "shuffled"}, "word_order = 'shuffled' needs words"),
        ("fusion-random", {"fusion": "cross-attention"}, 'set pooling = "attention"'),
        ("fusion-cross-attention", {"word_encoder": "mcnn"}, 'both encoders to "bilstm"'),
        ("fusion-cross-attention", {"modality_dropout": 0.2}, "both encodings hold both modalities; leave one out"),
        ("fusion-random", {"modality_dropout": 1.0}, "give a share"),
        ("fusion-random", {"verification": -0.1}, "verification = -0.1 is not valid; give a weight from 0 on"),
        ("fusion-random", {"pooling": "mean"}, "choose from last, attention"),
    ],
)
def test_the_error_of_incompatible_keys_names_the_change(system: str, changes: dict, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load(system, **changes)


def test_dimensions_and_figures_of_table_3() -> None:
    published = {"speech2vec": (66.08, 64.87, 65.75), "word2vec": (66.01, 66.80, 61.32)}
    for kind, figures in published.items():
        for dim, figure in zip((100, 200, 300), figures, strict=True):
            e = load(f"fusion-{kind}-{dim}")
            assert (e.embeddings, e.word_dim, e.paper_ua) == (kind, dim, figure)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("epochs", "give KEY=VALUE"),
        ("name=x", "give KEY=VALUE"),
        ("epoch=3", "unknown key"),
        ("epochs=x", "not of type int"),
        ("epochs=" + "[" * 5_000, "not of type"),
        ("epochs=" + "9" * 5_000, "not of type"),
        ("max_frames=1000000000", "give a whole number from 1 to 100000"),
        ("hidden=100000", "give a whole number from 1 to 65536"),
    ],
)
def test_wrong_settings_give_a_clear_error(setting: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        with_overrides(load("acoustic"), [setting])


@pytest.mark.parametrize(
    ("system", "setting", "message"),
    [
        ("acoustic", "acoustic_encoder=alexnet", "reads features = 'spectrogram', not 'corrected'; set both"),
        ("waveform-cnn", "features=spectrogram", "reads features = 'waveform', not 'spectrogram'"),
        ("acoustic", "acoustic_encoder=transformer", "choose from bilstm, statistics, vector, waveform-cnn"),
        ("acoustic", "initial=weights.safetensors", "no use for acoustic_encoder = 'bilstm'"),
        ("acoustic-distilled", "distil_weight=1.5", "give a share in"),
        ("acoustic-distilled", "distil_temperature=0", "give a number above 0"),
    ],
)
def test_impossible_encoders_and_teachers_give_a_clear_error(system: str, setting: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        with_overrides(load(system), [setting])


def test_the_teacher_is_a_system_that_learns_alone_and_knows_the_same_classes(tmp_path: Path) -> None:
    teacher = teacher_of(load("acoustic-distilled"))
    assert teacher is not None and teacher.name == "fusion-speech2vec" and teacher_of(teacher) is None
    with pytest.raises(ConfigurationError, match="has a teacher itself"):
        teacher_of(load("acoustic", teacher="acoustic-distilled"))
    with pytest.raises(ConfigurationError, match="neither a system nor a file"):
        teacher_of(load("acoustic", teacher="professor"))
    other = tmp_path / "other.toml"
    other.write_text('name = "other"\ntitle = "Other"\nencoders = ["words"]\nlabel_set = "seven"')
    with pytest.raises(ConfigurationError, match="they must be the same"):
        teacher_of(load("acoustic", teacher=str(other)))

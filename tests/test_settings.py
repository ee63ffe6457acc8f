import json

import pytest

from theanoish.errors import InputError
from theanoish.experiments.paper import TABLES, paper_auc
from theanoish.settings import Settings


def test_defaults_are_the_papers():
    settings = Settings()
    assert (settings.minibatch, settings.updates) == (10, 5_000_000)
    assert (settings.nonlinearity, settings.pooling, settings.dropout) == ("relu", "none", 0)


@pytest.mark.parametrize(
    ("length", "stride", "frames"),
    [(1024, 1024, 46), (1024, 512, 92), (512, 512, 93), (512, 256, 186), (256, 256, 187)],
)
def test_frames_of_table_1(length, stride, frames):
    settings = Settings(frontend="mel", length=length, stride=stride)
    assert settings.frames == frames
    assert settings.representation.name == f"mel_{length}_{stride}"
    last = (frames - 1) * stride + length
    assert last <= 48_000 < last + stride


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"frontend": "mfcc"}, "frontend"),
        ({"windows": "all"}, "windows"),
        ({"length": 0}, "length"),
        ({"stride": 0}, "stride"),
        ({"stride": -256}, "stride"),
        ({"length": 300}, "length"),
        ({"length": 4096, "stride": 4096}, "length 4096 and stride 4096 leave 11 frames"),
        ({"length": 48_001, "stride": 48_001}, "length 48001 and stride 48001 leave 0 frames"),
        ({"minibatch": 0}, "minibatch"),
        ({"updates": 0}, "updates"),
        ({"validation_interval": 0}, "validation interval"),
        ({"learning_rate": 0.0}, "learning rate"),
        ({"learning_rate": "1"}, "learning rate"),
        ({"learning_rate": float("nan")}, "learning rate"),
        ({"learning_rate": float("inf")}, "learning rate"),
        ({"momentum": 1.0}, "momentum"),
        ({"momentum": float("nan")}, "momentum"),
        ({"dropout": 1.0}, "dropout"),
        ({"dropout": -0.1}, "dropout"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**32}, "seed"),
        ({"seed": True}, "seed"),
        ({"length": "256"}, "length"),
        ({"pool_size": 2}, "pool size"),
        ({"pooling": "l2", "pool_size": 1}, "pool size"),
        ({"pooling": "l2", "pool_size": 3}, "pool size"),
        ({"pooling": "l2", "pool_size": 2, "nonlinearity": "log-square"}, "nonlinearity"),
        ({"pooling": "l2", "pool_size": 2, "frontend": "mel"}, "pooling"),
        ({"nonlinearity": "log-square", "frontend": "mel"}, "nonlinearity"),
    ],
)
def test_impossible_settings_are_refused_by_name(changes, named):
    with pytest.raises(InputError, match=rf"^{named} .*must (be|leave)"):
        Settings(**changes)


def test_shortest_window_with_an_output():
    """36 frames are 29, 8, 1 and 1 outputs of the convolutions and poolings; 35 are none."""
    assert Settings(frontend="mel", length=48_000 - 35 * 1000, stride=1000).frames == 36
    with pytest.raises(InputError, match=r"leave 35 frames.*36 or more"):
        Settings(frontend="mel", length=48_000 - 34 * 1000, stride=1000)


def test_default_learning_rate_is_one_for_all_networks():
    assert Settings(frontend="mel").learning_rate == Settings(nonlinearity="log-square").learning_rate == 0.1
    assert Settings(frontend="mel", momentum=0.9).learning_rate == 0.01
    assert Settings(momentum=0.5, learning_rate=0.2).learning_rate == 0.2


def test_names_tell_networks_apart():
    assert Settings(dropout=0.5).name == "raw_256_256_dropout"
    assert Settings(dropout=0.3).name == "raw_256_256_dropout_0.3"


def test_round_trip_as_plain_values():
    settings = Settings(pooling="l2", pool_size=4, learning_rate=1, seed=7)
    assert settings.learning_rate == 1.0
    assert Settings.from_dict(json.loads(json.dumps(settings.as_dict()))) == settings


def test_unknown_and_missing_settings_are_named():
    values = Settings().as_dict()
    with pytest.raises(InputError, match="colour"):
        Settings.from_dict(values | {"colour": 1})
    del values["momentum"]
    with pytest.raises(InputError, match="momentum"):
        Settings.from_dict(values)


def test_papers_figures():
    """A few numbers as they stand in the paper; the training settings, which it does not give, do not matter."""
    assert paper_auc(Settings(frontend="mel", learning_rate=0.3, seed=9)) == 0.8815
    assert paper_auc(Settings(frontend="raw")) == 0.8487
    assert paper_auc(Settings(length=1024, stride=1024)) == 0.8366
    assert paper_auc(Settings(length=1024, stride=1024, nonlinearity="log-absolute")) == 0.7487
    assert paper_auc(Settings(length=1024, stride=1024, pooling="l2", pool_size=4)) == 0.8387
    assert paper_auc(Settings(length=1024, stride=1024, pooling="max", pool_size=2)) == 0.8183
    assert paper_auc(Settings(length=128, stride=128)) is None
    assert paper_auc(Settings(dropout=0.5)) is None
    assert [len(TABLES[table]) for table in "123"] == [10, 3, 5]

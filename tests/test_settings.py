import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from theanoish.errors import InputError
from theanoish.settings import METADATA, Settings


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
        ({"length": 0}, "length"),
        ({"stride": 0}, "stride"),
        ({"length": 300}, "length"),
        ({"length": 4096, "stride": 4096}, "length 4096 and stride 4096 leave 11 frames"),
        ({"stride": 10**300}, "stride"),
        ({"frontend": "mel", "length": 1, "stride": 1}, "length"),
        ({"minibatch": 0}, "minibatch"),
        ({"pooling": "mean", "pool_size": 2}, "pooling"),
        ({"learning_rate": 0.0}, "learning rate"),
        ({"learning_rate": "1"}, "learning rate"),
        ({"learning_rate": float("nan")}, "learning rate"),
        ({"momentum": 1.0}, "momentum"),
        ({"dropout": 1.0}, "dropout"),
        ({"seed": 2**32}, "seed"),
        ({"seed": True}, "seed"),
        ({"pool_size": 2}, "pool size"),
        ({"pooling": "l2", "pool_size": 1}, "pool size"),
        ({"pooling": "l2", "pool_size": 3}, "pool size"),
        ({"pooling": "l2", "pool_size": 2, "nonlinearity": "log-absolute"}, "nonlinearity"),
        ({"pooling": "max", "pool_size": 2, "nonlinearity": "log-square"}, "nonlinearity"),
        ({"pooling": "l2", "pool_size": 4, "strided_filters": 126}, "pool size"),
        ({"initial_filters": "mel"}, "pooling"),
        ({"initial_filters": "k-means", "pooling": "max", "pool_size": 2}, "pooling"),
        ({"initial_filters": "gabor"}, "initial filters"),
        (
            {"initial_filters": "unsupervised", "pooling": "l2", "pool_size": 2, "strided_filters": 258},
            "strided filters",
        ),
        ({"mel_bands": 64}, "mel bands"),
        ({"mel_bands": 48, "frontend": "mel"}, "mel bands"),
        ({"fixed_filters": True, "frontend": "mel"}, "fixed filters"),
        ({"fixed_filters": 1}, "fixed filters"),
        ({"strided_rate": 0}, "strided rate"),
        ({"strided_rate": 0.1, "frontend": "mel"}, "strided rate"),
        ({"strided_rate": 0.1, "fixed_filters": True}, "strided rate"),
        ({"average": 1}, "average"),
        ({"pooling": "l2", "pool_size": 2, "frontend": "mel"}, "pooling"),
        ({"nonlinearity": "log-square", "frontend": "mel"}, "nonlinearity"),
    ],
)
def test_impossible_settings_are_refused_by_name(changes, named):
    with pytest.raises(InputError, match=rf"^{named} .*must (be|leave)"):
        Settings(**changes)


@pytest.mark.parametrize("name", METADATA)
def test_each_setting_says_what_it_is_and_can_be(name):
    """Beyond its bounds, of another type or not among its choices it is refused; its default is possible."""
    default, can_be = Settings().as_dict()[name], METADATA[name]
    assert can_be["help"]
    assert default in can_be["choices"] if can_be["choices"] else can_be["least"] <= default < can_be["below"]
    bounds = [can_be["least"] - 1, can_be["below"], float("nan"), 10**400] if not can_be["choices"] else ["other"]
    for value in (*bounds, str(default) + "?", [default]):
        with pytest.raises(InputError, match=f"^{name.replace('_', ' ')} is .* must be"):
            Settings.from_dict(Settings().as_dict() | {name: value})


def test_shortest_window_with_an_output():
    """36 frames are 29, 8, 1 and 1 outputs of the convolutions and poolings; 35 are none."""
    assert Settings(frontend="mel", length=48_000 - 35 * 1000, stride=1000).frames == 36
    with pytest.raises(InputError, match=r"leave 35 frames.*36 or more"):
        Settings(frontend="mel", length=48_000 - 34 * 1000, stride=1000)


def test_default_learning_rate_allows_for_momentum():
    assert Settings(frontend="mel").learning_rate == Settings().learning_rate == 0.1
    assert Settings(frontend="mel", momentum=0.9).learning_rate == 0.01
    assert Settings(momentum=0.5, learning_rate=0.2).learning_rate == 0.2
    with pytest.raises(InputError, match="momentum is 1"):
        Settings(momentum=1)


def test_default_rate_of_the_strided_filters_is_that_of_their_start():
    pairs = {"pooling": "l2", "pool_size": 2}
    assert Settings(**pairs).strided_rate == Settings(frontend="mel").strided_rate == 1
    for start in ("mel", "unsupervised", "k-means"):
        assert Settings(**pairs, initial_filters=start).strided_rate == 0.001
        assert Settings(**pairs, initial_filters=start, fixed_filters=True).strided_rate == 1
        assert Settings(**pairs, initial_filters=start, strided_rate=1).strided_rate == 1


def test_names_tell_networks_apart():
    assert Settings(dropout=0.5).name == "raw_256_256_dropout"
    assert Settings(dropout=0.3).name == "raw_256_256_dropout_0.3"
    mel = Settings(pooling="l2", pool_size=2, nonlinearity="log-square", initial_filters="mel")
    assert mel.name == "raw_256_256_log-square_l2_2_mel-filters"
    assert replace(mel, strided_rate=1.0).name == "raw_256_256_log-square_l2_2_mel-filters_rate_1"
    assert Settings(average=0).name == "raw_256_256_not-averaged"
    larger = replace(mel, fixed_filters=True, strided_rate=None, strided_filters=256, filters=64)
    assert larger.name == "raw_256_256_log-square_l2_2_mel-filters_fixed_256_strided_64_filters"
    assert Settings(frontend="mel", mel_bands=64).name == "mel_256_256_64_bands"


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
    for other in ([], None, {1: 2}, {None: 1}, dict.fromkeys(range(10**5)), {"x" * 10**6: 1}):
        with pytest.raises(InputError, match=r"^settings: unknown or missing: .{,200}$"):
            Settings.from_dict(other)


def test_files_from_before_a_setting_were_made_without_it():
    first = (
        "frontend", "length", "stride", "nonlinearity", "pooling", "pool_size", "dropout", "minibatch", "updates",
        "learning_rate", "momentum", "seed", "validation_interval", "windows",
    )  # fmt: skip
    before = Settings(seed=7, average=0.0, strided_rate=1.0)
    assert Settings.from_dict({name: value for name, value in before.as_dict().items() if name in first}) == before
    mel = Settings(pooling="l2", pool_size=2, initial_filters="mel", average=0.0, strided_rate=1.0)  # as they were then
    values = {name: value for name, value in mel.as_dict().items() if name not in ("average", "strided_rate")}
    assert Settings.from_dict(values) == mel


def laughs(depth):
    value = ["ha"]
    for _ in range(depth):
        value = [value, value]
    return value


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inside: st.lists(inside) | st.dictionaries(st.text(), inside),
)


@pytest.mark.parametrize("value", [laughs(60), 10**4000, "x" * 10**6, dict.fromkeys(range(10**5))], ids=range(4))
def test_messages_are_short_whatever_the_value(value):
    for name in METADATA:
        with pytest.raises(InputError) as error:
            Settings.from_dict(Settings().as_dict() | {name: value})
        assert len(str(error.value)) < 300


@examples(max_examples=50)
@given(st.dictionaries(st.sampled_from(sorted(METADATA)), anything))
def test_any_values_make_settings_or_a_short_message(changes):
    """Settings that are made are those that were asked for, and read back from JSON they are the same."""
    try:
        settings = Settings.from_dict(Settings().as_dict() | changes)
    except InputError as error:
        assert len(str(error)) < 300
        return
    expected = {name: value for name, value in changes.items() if value is not None}
    assert settings.as_dict() == settings.as_dict() | expected
    assert Settings.from_dict(json.loads(json.dumps(settings.as_dict()))) == settings

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


MEL, L2 = {"frontend": "mel"}, {"pooling": "l2", "pool_size": 2}
IMPOSSIBLE = {
    "length": [{"length": 300}, MEL | {"length": 1, "stride": 1}],
    "stride": [{"stride": 10**300}],
    "pooling": [
        {"pooling": "mean", "pool_size": 2}, MEL | L2, {"initial_filters": "mel"},
        {"initial_filters": "k-means", "pooling": "max", "pool_size": 2},
    ],
    "pool size": [{"pool_size": 2}, L2 | {"pool_size": 1}, L2 | {"pool_size": 3}, L2 | {"strided_filters": 127}],
    "nonlinearity": [
        L2 | {"nonlinearity": "log-absolute"}, L2 | {"pooling": "max", "nonlinearity": "log-square"},
        MEL | {"nonlinearity": "log-square"},
    ],
    "strided filters": [L2 | {"initial_filters": "unsupervised", "strided_filters": 258}],
    "mel bands": [{"mel_bands": 64}, MEL | {"mel_bands": 48}],
    "fixed filters": [MEL | {"fixed_filters": True}, {"fixed_filters": 1}],
    "strided rate": [{"strided_rate": 0}, MEL | {"strided_rate": 0.1}, {"strided_rate": 0.1, "fixed_filters": True}],
    "learning rate": [{"learning_rate": 0.0}], "momentum": [{"momentum": 1}, {"momentum": 1.0, "learning_rate": 0.1}],
    "dropout": [{"dropout": 1.0}], "average": [{"average": 1}], "minibatch": [{"minibatch": 0}],
    "seed": [{"seed": 2**32}, {"seed": True}],
}  # fmt: skip


@pytest.mark.parametrize(("named", "changes"), [(name, each) for name, many in IMPOSSIBLE.items() for each in many])
def test_impossible_settings_are_refused_by_name(changes, named):
    with pytest.raises(InputError, match=rf"^{named} is .*must be"):
        Settings(**changes)


def laughs(depth):
    value = ["ha"]
    for _ in range(depth):
        value = [value, value]
    return value


@pytest.mark.parametrize("name", METADATA)
def test_each_setting_says_what_it_is_and_can_be(name):
    """Beyond its bounds, of another type or not among its choices it is refused, in few words; its default is not."""
    default, can_be = Settings().as_dict()[name], METADATA[name]
    assert can_be["help"]
    assert default in can_be["choices"] if can_be["choices"] else can_be["least"] <= default < can_be["below"]
    bounds = [can_be["least"] - 1, can_be["below"], float("nan"), 10**400] if not can_be["choices"] else ["other"]
    for value in (*bounds, str(default) + "?", [default], laughs(60), "x" * 10**6, dict.fromkeys(range(10**5))):
        with pytest.raises(InputError, match=f"^{name.replace('_', ' ')} is .* must be") as error:
            Settings.from_dict(Settings().as_dict() | {name: value})
        assert len(str(error.value)) < 300


def test_shortest_window_with_an_output():
    """36 frames are 29, 8, 1 and 1 outputs of the convolutions and poolings; 35 are none."""
    assert Settings(frontend="mel", length=48_000 - 35 * 1000, stride=1000).frames == 36
    with pytest.raises(InputError, match=r"leave 35 frames.*36 or more"):
        Settings(frontend="mel", length=48_000 - 34 * 1000, stride=1000)


def test_default_learning_rate_allows_for_momentum():
    assert Settings(frontend="mel").learning_rate == Settings().learning_rate == 0.1
    assert Settings(frontend="mel", momentum=0.9).learning_rate == 0.01
    assert Settings(momentum=0.5, learning_rate=0.2).learning_rate == 0.2
    assert type(Settings(learning_rate=1).learning_rate) is float


def test_default_rate_of_the_strided_filters_is_that_of_their_start():
    assert Settings(**L2).strided_rate == Settings(frontend="mel").strided_rate == 1
    for start in ("mel", "unsupervised", "k-means"):
        assert Settings(**L2, initial_filters=start).strided_rate == 0.001
        assert Settings(**L2, initial_filters=start, fixed_filters=True).strided_rate == 1
        assert Settings(**L2, initial_filters=start, strided_rate=1).strided_rate == 1


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


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inside: st.lists(inside) | st.dictionaries(st.text(), inside),
)


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

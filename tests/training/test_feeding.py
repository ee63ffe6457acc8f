"""Blocks of minibatches against h5py's slices, and the two ways of feeding against each other."""

import jax
import numpy as np
import pytest

from small_data import TAGS, clip_of, small_settings, write_small_data
from theanoish.data.dataset import Dataset
from theanoish.errors import InputError
from theanoish.settings import Settings
from theanoish.training.feeding import ReadAhead, Resident
from theanoish.training.sampling import draw_examples
from theanoish.training.trainer import Trainer

BLOCKS = [range(0, 5), range(5, 10), range(10, 11), range(11, 16), range(16, 21)]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return Dataset(write_small_data(tmp_path_factory.mktemp("data") / "small.h5"))


def feed_of(dataset, settings):
    rows = dataset.rows("train")
    return ReadAhead(dataset.windows(settings, rows), dataset.labels[rows], settings)


def assert_same_network(trainer, other):
    for name, values in trainer.network.values().items():
        np.testing.assert_array_equal(values, other.network.values()[name])


@pytest.mark.parametrize("windows", ["random", "consecutive"])
@pytest.mark.parametrize("frontend", ["raw", "mel"])
def test_blocks_hold_the_windows_drawn(dataset, frontend, windows):
    settings = Settings(frontend=frontend, length=512, stride=256, minibatch=3, windows=windows)
    rows = dataset.rows("train")
    lengths = np.array([len(clip_of(dataset.path, "raw", row)) for row in rows])
    frames = (lengths - 512) // 256 + 1
    offered = {"random": lengths - 48_000 + 1 if frontend == "raw" else frames - 186 + 1}
    choices = offered.get(windows, lengths // 48_000)
    hop = 1 if frontend == "raw" else 256
    for block, (values, labels) in zip(BLOCKS, feed_of(dataset, settings).blocks(BLOCKS), strict=True):
        assert len(values) == len(labels) == len(block)
        clips, chosen = draw_examples(choices, settings.seed, block.start * 3, len(block) * 3, 3)
        size = values.shape[2]
        for i, (clip, window) in enumerate(zip(clips, chosen, strict=True)):
            begin = window if windows == "random" else window * 48_000 // hop
            expected = clip_of(dataset.path, settings.representation.name, rows[clip])[begin : begin + size]
            np.testing.assert_array_equal(values[i // 3, i % 3], expected)
            np.testing.assert_array_equal(labels[i // 3, i % 3], dataset.labels[rows[clip]])


@pytest.mark.parametrize(
    "changes",
    [{}, {"frontend": "raw", "dropout": 0.0, "minibatch": 2, "windows": "consecutive"}],
    ids=["mel", "raw"],
)
def test_reading_ahead_and_resident_clips_train_alike(dataset, changes):
    settings = small_settings(**changes)
    read_ahead, resident = (Trainer(settings, dataset, "jax", resident=r) for r in (False, True))
    assert isinstance(read_ahead._feed, ReadAhead)
    assert isinstance(resident._feed, Resident)
    losses = [np.concatenate([block for _, block in trainer.run(0, 50)]) for trainer in (read_ahead, resident)]
    assert losses[0].shape == (50,) and np.isfinite(losses[0]).all()
    np.testing.assert_array_equal(*losses)
    assert_same_network(read_ahead, resident)


# Losses of the first six updates of seed 1, and the top layer's mean bias then, as they were when this was written.
FIRST_UPDATES = {
    "mel": [0.680019, 0.698349, 0.749974, 0.620959, 0.632404, 0.627975, -0.589660, -0.000242, -0.288823, -0.589423],
    "raw": [0.680019, 0.683822, 0.727986, 0.560697, 0.682565, 0.609664, -0.587958, 0.000377, -0.288040, -0.587769],
}


@pytest.mark.parametrize("frontend", FIRST_UPDATES)
def test_first_updates_of_a_seed(dataset, frontend):
    """Whatever changes a draw, the start, a gradient or the mean changes every network that was ever trained."""
    small = {"length": 512, "stride": 512, "strided_filters": 16, "filters": 8, "dropout": 0.0, "momentum": 0.0}
    changes = {"mel": {}, "raw": {"frontend": "raw", "average": 0.5, **small}}
    trainer = Trainer(small_settings(**changes[frontend]), dataset, "jax")
    trainer.measure_start()
    ((_, losses),) = trainer.run(0, 6)
    found = [*losses, *trainer.averaged.values()["output/bias"]]
    np.testing.assert_allclose(found, FIRST_UPDATES[frontend], rtol=2e-5, atol=2e-6)


def test_an_accelerator_without_room_is_sent_blocks(dataset, monkeypatch):
    """On a CPU that is told to be one; the copies must not follow the buffers that are read into again."""
    plain = Trainer(small_settings(), dataset, "jax")
    monkeypatch.setattr("theanoish.training.trainer.free_device_memory", lambda backend: 1000)
    sent = Trainer(small_settings(), dataset, "jax")
    assert isinstance(sent._feed, ReadAhead)
    updates = [range(i, i + 2) for i in range(0, 12, 2)]  # more than there are buffers
    for block, read in zip(list(sent._feed.blocks(updates)), plain._feed.blocks(updates), strict=True):
        assert all(isinstance(values, jax.Array) for values in block)
        for values, expected in zip(block, read, strict=True):
            np.testing.assert_array_equal(values, expected)
    for trainer in (plain, sent):
        list(trainer.run(0, 250))
    assert_same_network(plain, sent)


def test_room_is_asked_for_clips_as_long_as_the_longest(dataset, monkeypatch):
    settings = small_settings()
    counts = dataset.windows(settings, dataset.rows("train")).counts
    needed, frames = counts.max() * len(counts), counts.sum()
    assert frames < 0.9 * needed
    for room, feed in ((frames, ReadAhead), (0.99 * needed, ReadAhead), (1.01 * needed, Resident)):
        memory = room * 128 * 4 / 0.8
        monkeypatch.setattr("theanoish.training.trainer.free_device_memory", lambda backend, memory=memory: memory)
        assert isinstance(Trainer(settings, dataset, "jax")._feed, feed)


def test_errors_of_the_reading_thread_arrive_and_stopping_early_ends_it(tmp_path):
    path = write_small_data(tmp_path / "d.h5", representations=["raw"])
    feed = feed_of(Dataset(path), Settings(minibatch=3))
    blocks = feed.blocks(BLOCKS)
    _, labels = next(blocks)
    assert labels.shape == (5, 3, len(TAGS))
    blocks.close()
    assert next(blocks, None) is None
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(InputError, match="cut off"):
        list(feed.blocks(BLOCKS))

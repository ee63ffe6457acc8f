"""Songs that are made here, and a checkpoint whose predictions are known."""

import numpy as np
import pytest

from small_data import small_settings, write_small_data
from theanoish.data.dataset import Dataset
from theanoish.interrupt import StopRequest
from theanoish.settings import Settings
from theanoish.training import checkpoint
from theanoish.training.run import start_run

PROBABILITIES = (0.2, 0.1, 0.6, 0.4)


@pytest.fixture(scope="session")
def raw_checkpoint(tmp_path_factory):
    """Of a raw network whose top layer ignores its input: every window has the tags' `PROBABILITIES`."""
    folder = tmp_path_factory.mktemp("raw")
    settings = Settings(length=1024, stride=1024, updates=2, validation_interval=2)
    return make_checkpoint(folder, settings, representations=["raw"])


@pytest.fixture(scope="session")
def mel_checkpoint(tmp_path_factory):
    """Of a spectrogram network, as `raw_checkpoint`."""
    settings = small_settings(updates=2, validation_interval=2)
    return make_checkpoint(tmp_path_factory.mktemp("mel"), settings, representations=[(1024, 1024)])


def make_checkpoint(folder, settings, representations):
    dataset = Dataset(write_small_data(folder / "small.h5", representations=representations))
    run = start_run(folder / "run", settings, dataset, "jax")
    with StopRequest() as stop:
        run.train(stop, lambda progress: None)
    path = folder / "run" / "checkpoint.pkl"
    saved = checkpoint.load(path, checkpoint.CHECKPOINT)
    wanted = np.array(PROBABILITIES, np.float32)
    saved["parameters"]["output/weights"][:] = 0
    saved["parameters"]["output/bias"][:] = np.log(wanted / (1 - wanted))
    checkpoint.save(path, checkpoint.CHECKPOINT, saved)
    return path

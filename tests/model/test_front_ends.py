"""A third front end, as docs/extending.md shows it, is trained, kept and read back like the paper's two."""

import re
from pathlib import Path

import numpy as np
import pytest

from small_data import small_settings, write_small_data
from theanoish import settings as settings_module
from theanoish.data.dataset import Dataset
from theanoish.experiments.figures import architecture
from theanoish.interrupt import StopRequest
from theanoish.model import front_ends
from theanoish.training.checkpoint import load_network
from theanoish.training.run import start_run

EXTENDING = Path(__file__).parents[2] / "docs" / "extending.md"


@pytest.fixture
def third_front_end(monkeypatch):
    """The class that the page shows, under its name there."""
    section = EXTENDING.read_text().partition("## A front end\n")[2].partition("\n## ")[0]
    listing = "\n".join(line[4:] for line in section.splitlines() if line.startswith("    ") or not line)
    assert len(listing.strip().splitlines()) <= 30
    namespace = dict(vars(front_ends))
    exec(listing, namespace)
    name = re.search(r"`frontend` gets the choice `(\w+)`", section)[1]
    monkeypatch.setitem(front_ends.FRONT_ENDS, name, namespace["FRONT_ENDS"][name])
    choices = {"choices": ("raw", "mel", name)}
    monkeypatch.setitem(settings_module.METADATA, "frontend", settings_module.METADATA["frontend"] | choices)
    return name


def test_the_front_end_of_the_page_learns(tmp_path, third_front_end):
    settings = small_settings(frontend=third_front_end, updates=20, validation_interval=10)
    dataset = Dataset(write_small_data(tmp_path / "small.h5", representations=[(1024, 1024)]))
    run = start_run(tmp_path / "run", settings, dataset, "jax")
    before = run.network.values()["gain/bias"]
    assert run.train(StopRequest(), lambda progress: None)
    assert before.shape == (128,) and not np.array_equal(before, run.network.values()["gain/bias"])
    saved, network = load_network(tmp_path / "run" / "checkpoint.pkl")
    assert network.settings.name == f"{third_front_end}_1024_1024_dropout"
    np.testing.assert_array_equal(network.values()["gain/bias"], saved["parameters"]["gain/bias"])
    assert ("gain", "", "46 \N{MULTIPLICATION SIGN} 128") in architecture(network.settings, 50)

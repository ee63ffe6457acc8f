"""The benchmarks' networks compute what the project's does, or nothing would be compared."""

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from theanoish.dataset import Dataset
from theanoish.network import Network
from theanoish.settings import Settings
from theanoish.training import Trainer

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import jax_network
import synthetic
import training

RAW = Settings(frontend="raw", length=1024, stride=1024, minibatch=2)
MEL = Settings(frontend="mel", length=1024, stride=1024, minibatch=2)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    path = tmp_path_factory.mktemp("benchmarks") / "noise.h5"
    synthetic.write_dataset(path, [RAW, MEL], clips=3)
    return Dataset(path)


@pytest.fixture(scope="module", params=[RAW, MEL], ids=["raw", "mel"])
def trainer(request, dataset):
    return Trainer(request.param, dataset, "jax")


def check(dataset, trainer, programs, **changes):
    """Run the benchmark's own check on programs whose settings differ from the trainer's by `changes`."""
    settings = trainer.settings
    trainer.network.set_values(Network(settings, len(dataset.tags)).values())
    windows = dataset.windows(settings, dataset.rows("train"))
    data = (trainer.network.values(), windows.read_whole_clips(), dataset.labels)
    others = {name: make(replace(settings, **changes), *data) for name, make in programs.items()}
    training.check(settings, windows, {training.OURS: trainer}, others)


def test_hand_written_jax_computes_the_same(dataset, trainer):
    convolve = (jax_network.lax_convolution, jax_network.sum_of_products, jax_network.shift_add)
    make = partial(jax_network.JaxTrainer, updates_a_call=1)
    check(dataset, trainer, {c.__name__: partial(make, convolve=c) for c in convolve})


def test_pytorch_computes_the_same(dataset, trainer):
    pytest.importorskip("torch", reason="PyTorch is not installed (extra 'benchmarks')")
    import torch_network

    kinds = (torch_network.Conv1dNetwork, torch_network.ChannelsLastNetwork)
    check(dataset, trainer, {kind.__name__: partial(torch_network.TorchTrainer, kind=kind) for kind in kinds})


def test_a_program_that_trains_otherwise_is_refused(dataset, trainer):
    make = partial(jax_network.JaxTrainer, convolve=jax_network.lax_convolution, updates_a_call=1)
    with pytest.raises(SystemExit, match="nothing was measured"):
        check(dataset, trainer, {"other": make}, learning_rate=trainer.settings.learning_rate * 1.01)


def test_many_updates_a_call_are_single_ones(dataset):
    values = Network(MEL, len(dataset.tags)).values()
    clips = dataset.windows(MEL, dataset.rows("train")).read_whole_clips()
    indices = np.array([[[0, 1], [1, 2], [2, 0]], [[0, 9], [50, 3], [4, 77]]], np.int32)
    losses = []
    for updates_a_call in (1, 3):
        program = jax_network.JaxTrainer(MEL, values, clips, dataset.labels, jax_network.shift_add, updates_a_call)
        losses.append(program.train(*indices))
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)


def test_work_of_an_update():
    # raw 1024/1024: 46 frames; 39, 10, 3 and 1 steps after each convolution and pooling
    strided, first, second = 46 * 1024 * 128, 39 * 8 * 128 * 32, 3 * 8 * 32 * 32
    dense = 32 * 100 + 100 * 50
    assert training.flops_an_update(RAW) == 2 * 2 * (2 * strided + 3 * (first + second + dense))

"""The benchmarks' networks compute what the project's does, or nothing would be compared."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import compiled
import jax_network
import products
import synthetic
import training
from theanoish.data.dataset import Dataset
from theanoish.experiments.cost import cost
from theanoish.model.compile import compile_function
from theanoish.model.descent import sgd
from theanoish.model.network import Network
from theanoish.settings import Settings
from theanoish.training.trainer import Trainer

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
    trainer.network.set_values(synthetic.with_top_layer(Network(settings, len(dataset.tags)).values()))
    windows = dataset.windows(settings, dataset.rows("train"))
    data = (trainer.network.values(), windows.read_whole_clips(), dataset.labels)
    others = {name: make(replace(settings, **changes), *data) for name, make in programs.items()}
    training.check(settings, windows, {training.OURS: trainer}, others)


def test_hand_written_jax_computes_the_same(dataset, trainer):
    formulas = [
        (jax_network.lax_convolution, jax_network.max_pool),
        (jax_network.sum_of_products, jax_network.max_pool),
        (jax_network.shift_add, jax_network.rectified_max_pool),
    ]
    if trainer.settings is MEL:
        formulas = formulas[-1:]  # its layers are those that the raw network has after its first
    make = partial(jax_network.JaxTrainer, updates_a_call=1)
    check(dataset, trainer, {c.__name__: partial(make, convolve=c, pool=p) for c, p in formulas})


def test_pytorch_computes_the_same(dataset, trainer):
    pytest.importorskip("torch", reason="PyTorch is not installed (extra 'benchmarks')")
    import torch_network

    kinds = (torch_network.Conv1dNetwork, torch_network.ChannelsLastNetwork)
    check(dataset, trainer, {kind.__name__: partial(torch_network.TorchTrainer, kind=kind) for kind in kinds})


def test_pytensor_ml_computes_the_same(dataset, trainer):
    pytest.importorskip("pytensor_ml", reason="pytensor-ml is not installed (Python 3.12, extra 'benchmarks')")
    import pytensor_ml_network

    check(dataset, trainer, {"pytensor-ml": pytensor_ml_network.PytensorMlTrainer})


def test_a_program_that_trains_otherwise_is_refused(dataset, trainer):
    formulas = {"convolve": jax_network.lax_convolution, "pool": jax_network.max_pool}
    make = partial(jax_network.JaxTrainer, **formulas, updates_a_call=1)
    with pytest.raises(SystemExit, match="nothing was measured"):
        check(dataset, trainer, {"other": make}, learning_rate=trainer.settings.learning_rate * 1.01)


def test_many_updates_a_call_are_single_ones(dataset):
    values = Network(MEL, len(dataset.tags)).values()
    clips = dataset.windows(MEL, dataset.rows("train")).read_whole_clips()
    indices = np.array([[[0, 1], [1, 2], [2, 0]], [[0, 9], [50, 3], [4, 77]]], np.int32)
    losses = []
    for updates_a_call in (1, 3):
        formulas = (jax_network.shift_add, jax_network.rectified_max_pool)
        program = jax_network.JaxTrainer(MEL, values, clips, dataset.labels, *formulas, updates_a_call)
        losses.append(program.train(*indices))
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)


def test_replicas_are_networks_of_their_own():
    """Two networks at once, of other parameters and windows, take the update that each takes alone."""
    networks = [Network(replace(RAW, seed=seed), tags=4) for seed in (1, 2)]
    for network in networks:
        network.set_values(synthetic.with_top_layer(network.values()))
    inputs = networks[0].training_inputs()
    loss = networks[0].loss(*inputs)
    updates = sgd(loss, networks[0].parameters, 0.5)
    many, losses, after = compiled.replicate(inputs, loss, updates, 2)
    for held, *own in zip(after, *(network.parameters.values() for network in networks), strict=True):
        held.set_value(np.stack([parameter.get_value() for parameter in own]))
    values = [compiled.noise(v.type.shape, v.type.dtype) for v in many]
    found = np.asarray(compile_function(many, losses, "jax", after)(*values))
    single = Network(RAW, tags=4)
    inputs = single.training_inputs()
    loss = single.loss(*inputs)
    alone = compile_function(inputs, loss, "jax", sgd(loss, single.parameters, 0.5))
    for i, network in enumerate(networks):
        single.set_values(network.values())
        assert found[i] == pytest.approx(float(alone(*(v[i] for v in values))), rel=1e-5)
        for held, expected in zip(after, single.parameters.values(), strict=True):
            np.testing.assert_allclose(held.get_value()[i], expected.get_value(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", products.SHAPES)
def test_products_are_the_work_of_the_convolutions(name):
    settings = products.SHAPES[name]
    network = Network(settings, synthetic.TAGS)
    dense = sum(network.parameters[f"{layer}/weights"].get_value().size for layer in ("hidden", "output"))
    work = sum(product.operations for product in products.products(settings).values())
    # taps that reach beyond the end of the maps are multiplied, too, though nothing needs them
    assert cost(settings).operations - 6 * settings.minibatch * dense < work < 1.2 * cost(settings).operations


def test_forms_of_a_product_are_the_same_product():
    left, right = (np.random.default_rng(i).standard_normal((5, n)).astype(np.float32) for i, n in ((0, 3), (1, 4)))
    for form, call in products.FORMS.items():
        a = left if form in products.AS_COLUMNS else left.T
        b = right.T if form in products.BOTH_IN_ROWS else right
        np.testing.assert_allclose(call(a, b), left.T @ right, rtol=1e-5)

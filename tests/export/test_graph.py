"""ONNX files, run by onnxruntime, against this project's own predictions."""

import json
import re

import numpy as np
import pytest

onnxruntime = pytest.importorskip("onnxruntime", reason="needs onnx and onnxruntime: the extra 'export'")
pytest.importorskip("onnx", reason="needs onnx and onnxruntime: the extra 'export'")

from theanoish.commands import export  # noqa: E402
from theanoish.data.mel import log_mel  # noqa: E402
from theanoish.errors import InputError  # noqa: E402
from theanoish.export.graph import AFTER_STRIDED, onnx_model  # noqa: E402
from theanoish.model import front_ends  # noqa: E402
from theanoish.model.network import Network  # noqa: E402
from theanoish.settings import Settings  # noqa: E402
from theanoish.tagging.tagger import load_tagger  # noqa: E402
from theanoish.training.prediction import Predictor  # noqa: E402
from theanoish.weights import MODELS  # noqa: E402

KINDS = [
    {"length": 1024, "stride": 1024},
    {"length": 512, "stride": 256},
    {"strided_filters": 64, "filters": 24, "dropout": 0.5},
    {"nonlinearity": "log-square"},
    {"nonlinearity": "log-absolute"},
    {"pooling": "l2", "pool_size": 4},
    {"pooling": "l2", "pool_size": 2, "nonlinearity": "log-square"},
    {"pooling": "max", "pool_size": 2},
    {"frontend": "mel"},
    {"frontend": "mel", "length": 1024, "stride": 512},
    {"frontend": "mel", "length": 512, "stride": 256, "mel_bands": 32},
]


def made_windows():
    """Noise and tones, from soft to loud, as samples."""
    generator, time = np.random.default_rng(1), np.arange(48_000) / 16_000
    tones = [np.sin(2 * np.pi * frequency * time * (1 + time / 9)) for frequency in (90, 440, 1800, 5000, 300)]
    noise = generator.normal(0, 1, (5, 48_000)) * [[0.3], [0.1], [0.01], [0.2], [0]]
    return np.rint((tones + noise) * np.array([[0.2], [0.02], [0.3], [0.1], [0]]) * 32_767).astype(np.int16)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: Settings(**kind).name)
def test_it_computes_what_the_network_does(kind):
    settings = Settings(**kind)
    network, samples = Network(settings, 7), made_windows()
    fed = samples if settings.frontend == "raw" else np.stack([log_mel(w, settings.representation) for w in samples])
    network.measure_start(fed, np.random.default_rng(2).integers(0, 2, (9, 7), dtype=np.uint8))
    values = network.values()
    values["output/weights"] = np.random.default_rng(3).normal(0, 0.5, (100, 7)).astype(np.float32)
    network.set_values(values)
    predictor = Predictor(network, "jax")
    filled = np.concatenate([fed, np.repeat(fed[-1:], predictor.windows_a_call - len(fed), axis=0)])
    expected = predictor.predict_windows(filled)[: len(fed)]
    assert np.ptp(expected, axis=0).max() > 0.1  # windows differ, so that mixing anything up would show

    session = onnxruntime.InferenceSession(onnx_model(network, {}))
    for few in (samples[:1], samples):
        [probabilities] = session.run(None, {"samples": few.astype(np.float32) / 32_768})
        np.testing.assert_allclose(probabilities, expected[: len(few)], atol=1e-4)


def test_every_pooling_and_nonlinearity_is_known():
    assert AFTER_STRIDED.keys() == front_ends.AFTER_STRIDED.keys()
    assert {(Settings(**kind).pooling, Settings(**kind).nonlinearity) for kind in KINDS} == AFTER_STRIDED.keys()


@pytest.mark.parametrize("name", ["mel_256_256", "raw_256_256"])
def test_the_command_writes_the_weights_that_ship(tmp_path, name):
    """And a song's probabilities are the means over its windows, cut as docs/api.md says."""
    file = tmp_path / "network.onnx"
    assert export.main([str(MODELS / f"{name}.pkl"), str(file)]) == 0
    session = onnxruntime.InferenceSession(file)
    about = session.get_modelmeta().custom_metadata_map
    tagger = load_tagger(MODELS / f"{name}.pkl", all_tags=True)
    assert json.loads(about["tags"]) == tagger.tags
    assert Settings.from_dict(json.loads(about["settings"])) == tagger.network.settings

    song = made_windows().reshape(-1)[:200_000]
    stride = tagger.representation.stride
    begins = [begin // stride * stride for begin in (0, 48_000, 96_000, 144_000, 152_000)]
    windows = np.stack([song[begin : begin + 48_000] for begin in begins]).astype(np.float32) / 32_768
    [probabilities] = session.run(None, {"samples": windows})
    expected = tagger.tag(song, 16_000)
    np.testing.assert_allclose(probabilities.mean(axis=0), [expected[tag] for tag in tagger.tags], atol=2e-5)


def test_the_listing_of_the_documentation(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert export.main(["raw", "out.onnx"]) == 0
    [listing] = re.findall("```python\n(.*?)```", (MODELS.parents[1] / "docs" / "api.md").read_text(), re.DOTALL)
    exec(listing, {})
    assert capsys.readouterr().out.startswith("{'guitar': ")


def test_a_front_end_of_ones_own_is_refused(monkeypatch):
    network = Network(Settings(frontend="mel"), 2)
    monkeypatch.setattr("theanoish.export.graph.FRONT_ENDS", {})
    with pytest.raises(InputError, match=r"front end mel; write \.safetensors"):
        onnx_model(network, {})

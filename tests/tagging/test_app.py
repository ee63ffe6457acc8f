"""The network in JavaScript against the one in Python, in Node's engine, which is Chromium's."""

import json
import re
import shutil
import subprocess
from fractions import Fraction
from importlib import resources

import numpy as np
import pytest
from scipy.signal import resample_poly

from small_song import write_song
from theanoish.commands import app, tag
from theanoish.data.audio import decode
from theanoish.errors import InputError
from theanoish.model.network import Network
from theanoish.settings import Settings
from theanoish.tagging.app import model_of, write_app
from theanoish.tagging.tagger import DEFAULT_MODEL, Tagger

NODE = shutil.which("node")
WEB = resources.files("theanoish") / "web"
TAGS = [f"tag {i}" for i in range(7)]
SCRIPT = """
const [network, model, samples] = process.argv.slice(1).map((name) => require("fs").readFileSync(name));
require("vm").runInThisContext(network.toString());
const song = new Int16Array(samples.buffer.slice(samples.byteOffset, samples.byteOffset + samples.length));
const padded = new Int16Array(Math.max(song.length, 48000));
padded.set(song);
const tag = require("vm").runInThisContext("readNetwork")(JSON.parse(model));
const begins = require("vm").runInThisContext("windowBegins")(song.length);
console.log(JSON.stringify(begins.map((begin) => Array.from(tag(padded, begin)))));
"""
NETWORKS = [
    {"length": 256, "stride": 256},
    {"length": 1024, "stride": 512, "strided_filters": 30, "filters": 17},  # sizes that tiles of 4 do not divide
    {"length": 512, "stride": 512, "nonlinearity": "log-square"},
    {"length": 1024, "stride": 1024, "nonlinearity": "log-absolute"},
    {"length": 256, "stride": 256, "pooling": "l2", "pool_size": 4},
    {"length": 512, "stride": 256, "pooling": "l2", "pool_size": 2, "nonlinearity": "log-square"},
    {"length": 512, "stride": 512, "pooling": "max", "pool_size": 2},
    {"length": 1024, "stride": 1024, "pooling": "max", "pool_size": 4},
    {"frontend": "mel", "length": 256, "stride": 256},
    {"frontend": "mel", "length": 512, "stride": 256, "mel_bands": 32},
    {"frontend": "mel", "length": 1024, "stride": 1024, "dropout": 0.5},
    {
        "frontend": "mel",
        "length": 1500,
        "stride": 700,
    },  # no power of two; begins between frames
]


def network_of(choices):
    """A network of random numbers, whose tags hear all of its input."""
    network = Network(Settings(**choices), len(TAGS))
    generator, values = np.random.default_rng(1), network.values()
    for name, value in values.items():
        if name.endswith("bias") or name == "start/centre":
            values[name] = generator.standard_normal(value.shape).astype(np.float32) * 0.1
    values["output/weights"] = generator.standard_normal(values["output/weights"].shape).astype(np.float32) * 0.3
    values["start/spread"] = np.array([1.7], np.float32)
    if "start/loudness" in values:
        values["start/loudness"] = np.array([0.1], np.float32)
    network.set_values(values)
    return network


@pytest.mark.skipif(not NODE, reason="node is not installed")
@pytest.mark.parametrize("choices", NETWORKS, ids=lambda choices: " ".join(map(str, choices.values())))
def test_probabilities_are_those_of_python(tmp_path, choices):
    network, song = network_of(choices), write_song(tmp_path / "song.wav", 7.3)
    expected = Tagger(network, TAGS).windows(song).probabilities
    (tmp_path / "model.json").write_text(json.dumps(model_of(network)))
    (tmp_path / "samples").write_bytes(decode(song).tobytes())
    command = [NODE, "-e", SCRIPT, WEB / "network.js", tmp_path / "model.json", tmp_path / "samples"]
    given = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert expected.std(axis=0).max() > 0.005  # the windows differ
    np.testing.assert_allclose(given, expected, rtol=0, atol=1e-4)


@pytest.mark.skipif(not NODE, reason="node is not installed")
@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000, 96_000])
def test_resampling_is_that_of_scipy(tmp_path, rate):
    samples = np.random.default_rng(1).standard_normal(rate // 3).astype(np.float32)
    (tmp_path / "samples").write_bytes(samples.tobytes())
    script = """
    const [network, resample, samples] = process.argv.slice(1, 4).map((name) => require("fs").readFileSync(name));
    require("vm").runInThisContext(network + resample.toString());
    const mono = new Float32Array(samples.buffer.slice(samples.byteOffset, samples.byteOffset + samples.length));
    console.log(JSON.stringify(Array.from(require("vm").runInThisContext("resampled")(mono, Number(process.argv[4])))));
    """
    command = [NODE, "-e", script, WEB / "network.js", WEB / "resample.js", tmp_path / "samples", str(rate)]
    given = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    ratio = Fraction(16_000, rate)
    np.testing.assert_allclose(given, resample_poly(samples, ratio.numerator, ratio.denominator), rtol=0, atol=1e-5)


def test_commands_write_one_small_file_of_a_checkpoint(tmp_path, raw_checkpoint):
    assert app.main([str(raw_checkpoint), str(tmp_path / "app.html")]) == 0
    assert tag.main(["--checkpoint", str(raw_checkpoint), "--app", str(tmp_path / "tag.html")]) == 0
    text = (tmp_path / "app.html").read_text()
    assert (tmp_path / "tag.html").read_text() == text
    assert len(text) < 1.5e6
    assert "Content-Security-Policy" in text
    assert "connect-src" not in text  # and so nothing but default-src 'none' is said of connections
    assert not re.search(r'\bon\w+="|\b(src|href)="(?!data:,)', text)
    with pytest.raises(InputError, match="named twice"):
        app.main([str(raw_checkpoint), str(raw_checkpoint)])
    with pytest.raises(SystemExit):
        tag.main([])


def test_shipped_networks_stay_below_two_megabytes_together(tmp_path):
    for model in DEFAULT_MODEL.parent.glob("*.pkl"):
        write_app(tmp_path / f"{model.stem}.html", model)
    pages = list(tmp_path.glob("*.html"))
    assert sum(page.stat().st_size for page in pages) < 2e6
    assert all("what that model would say, not what a person heard." in page.read_text() for page in pages)

"""The network in JavaScript against the one in Python, in Node and in Chromium, as far as they are installed."""

import base64
import functools
import json
import re
import shutil
import subprocess
from fractions import Fraction
from html import escape
from importlib import resources

import numpy as np
import pytest
from scipy.signal import resample_poly

from theanoish.commands import app, tag
from theanoish.errors import InputError
from theanoish.model.network import Network
from theanoish.settings import Settings
from theanoish.tagging.app import model_of, write_app
from theanoish.tagging.tagger import Tagger, load_tagger
from theanoish.weights import DEFAULT_MODEL

NODE = shutil.which("node")
WEB = resources.files("theanoish") / "web"
CODE = "".join((WEB / name).read_text() for name in ("network.js", "resample.js"))
TAGS = [f"tag {i}" for i in range(7)]
BYTES = "const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));"
PREDICT = """
const song = new Int16Array(bytes(data.samples).buffer);
const padded = new Int16Array(Math.max(song.length, 48000));
padded.set(song);
const tag = makeNetwork({ ...data.model, bytes: bytes(data.weights) });
return windowBegins(song.length).map((begin) => Array.from(tag(padded, begin)));
"""
RESAMPLE = "return Array.from(resampled(new Float32Array(bytes(data.samples).buffer), data.rate));"


def as_text(content):
    return base64.b64encode(content).decode()


@pytest.fixture(params=["Node", "Chromium"])
def run(request):
    """Runs JavaScript behind the page's own, with `data`, and gives what it returns."""
    if request.param == "Chromium":
        browser, read = request.getfixturevalue("browser"), "const data = JSON.parse(arguments[0]);"  # in its order
        return lambda script, data: browser.execute_script(f"{read} {BYTES} {CODE} {script}", json.dumps(data))
    if not NODE:
        pytest.skip("node is not installed")

    def in_node(script, data):
        read = 'const data = JSON.parse(require("fs").readFileSync(0));'
        text = f"{read} {BYTES} {CODE} console.log(JSON.stringify((() => {{ {script} }})()));"
        done = subprocess.run([NODE, "-e", text], input=json.dumps(data), check=True, capture_output=True, text=True)
        return json.loads(done.stdout)

    return in_node


NETWORKS = [
    {"length": 256, "stride": 256},
    {"length": 1024, "stride": 512, "strided_filters": 30, "filters": 17},  # sizes that tiles of 4 do not divide
    {"length": 512, "stride": 512, "nonlinearity": "log-square"},
    {"length": 1024, "stride": 1024, "nonlinearity": "log-absolute"},
    {"length": 256, "stride": 256, "pooling": "l2", "pool_size": 4},
    {"length": 512, "stride": 256, "pooling": "l2", "pool_size": 2, "nonlinearity": "log-square"},
    {"length": 512, "stride": 512, "pooling": "max", "pool_size": 2},
    {"length": 1024, "stride": 1024, "pooling": "max", "pool_size": 4},
    {"length": 1024, "stride": 256, "pooling": "l2", "pool_size": 4, "initial_filters": "mel"},
    {"length": 512, "stride": 512, "pooling": "l2", "pool_size": 2, "initial_filters": "mel", "fixed_filters": True},
    {"frontend": "mel", "length": 256, "stride": 256},
    {"frontend": "mel", "length": 512, "stride": 256, "mel_bands": 32},
    {"frontend": "mel", "length": 1024, "stride": 1024, "dropout": 0.5},
    {"frontend": "mel", "length": 1500, "stride": 700},  # no power of two; begins between frames
]


def made_song():
    """Chords, swelling and falling off, and noise: int16 samples at 16 kHz."""
    time = np.arange(116_800) / 16_000
    tones = sum(np.sin(2 * np.pi * 110 * step**1.5 * time + step) for step in range(1, 9)) * np.sin(time) ** 2
    noise = np.random.default_rng(2).standard_normal(len(time))
    return np.rint(3000 * tones + 300 * noise).astype(np.int16)


SONG = made_song()


@functools.cache
def network_and_probabilities(number):
    """A network of random numbers, whose tags hear all of its input."""
    network = Network(Settings(**NETWORKS[number]), len(TAGS))
    generator, values = np.random.default_rng(1), network.values()
    for name, value in values.items():
        if name.endswith("bias") or name == "start/centre":
            values[name] = generator.standard_normal(value.shape).astype(np.float32) * 0.1
    values["output/weights"] = generator.standard_normal(values["output/weights"].shape).astype(np.float32) * 0.3
    odd = {"start/spread": np.array([1.7], np.float32), "start/loudness": np.array([0.1], np.float32)}
    network.set_values(values | {name: odd[name] for name in odd.keys() & values})
    return network, Tagger(network, TAGS).windows(SONG, sample_rate=16_000).probabilities


@pytest.mark.parametrize("number", range(len(NETWORKS)), ids=lambda i: " ".join(map(str, NETWORKS[i].values())))
def test_probabilities_are_those_of_python(run, number):
    network, expected = network_and_probabilities(number)
    model, weights = model_of(network)
    given = run(PREDICT, {"model": model, "weights": weights, "samples": as_text(SONG)})
    assert expected.std(axis=0).max() > 0.005  # the windows differ
    np.testing.assert_allclose(given, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 88_200, 95_999])
def test_resampling_is_that_of_scipy(run, rate):
    samples = np.random.default_rng(1).standard_normal(rate // 3).astype(np.float32)
    given = run(RESAMPLE, {"samples": as_text(samples), "rate": rate})
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


def test_a_checkpoint_is_not_taken_for_a_page(raw_checkpoint):
    before = raw_checkpoint.read_bytes()
    with pytest.raises(InputError, match="is no name for a page"):
        app.main([str(raw_checkpoint)])  # the page's name is forgotten
    assert raw_checkpoint.read_bytes() == before


def test_networks_that_ship_say_what_their_tags_are_worth_in_two_megabytes_together(tmp_path):
    size, page = 0, tmp_path / "app.html"
    for model in DEFAULT_MODEL.parent.glob("*.pkl"):
        write_app(page, model)
        size += page.stat().st_size
        text = page.read_text()
        assert all(f"<p>{escape(sentence)}</p>" in text for sentence in load_tagger(model).worth.sentences)
    assert 0 < size < 2e6

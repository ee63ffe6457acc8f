"""The library's verbs, on what a program has in memory."""

import doctest
import json
import os
import pickle
import re
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import soundfile

import theanoish
from small_song import write_song
from theanoish.commands import export
from theanoish.data.dataset import Dataset
from theanoish.errors import InputError
from theanoish.model.network import Network
from theanoish.settings import Settings
from theanoish.tagging.songs import Failure
from theanoish.tagging.tagger import Tagger
from theanoish.weights import MODELS

ROOT = Path(__file__).resolve().parents[1]
RAW = MODELS / "raw_256_256.pkl"


@pytest.fixture(scope="module")
def model():
    """With a top layer by which windows differ."""
    network = Network(Settings(length=1024, stride=1024), 2)
    weights = np.random.default_rng(2).normal(0, 0.2, (100, 2)).astype(np.float32)
    network.set_values(network.values() | {"output/weights": weights})
    return Tagger(network, ["low", "high"])


@pytest.mark.parametrize(("rate", "channels", "tolerance"), [(16_000, 1, 1e-6), (44_100, 2, 1e-3)])
def test_an_array_is_heard_as_its_file_is(model, tmp_path, rate, channels, tolerance):
    song = write_song(tmp_path / "song.wav", 5, rate, channels)
    for dtype in ("int16", "float32"):
        samples, _ = soundfile.read(song, dtype=dtype)
        heard = model.windows(samples, sample_rate=rate - 0.3).probabilities  # of a clock, perhaps
        np.testing.assert_allclose(heard, model.windows(song).probabilities, rtol=tolerance)
        assert model.tag(samples, rate) == pytest.approx(model.tag(song), rel=tolerance)


@pytest.mark.parametrize(
    ("samples", "rate", "words"),
    [
        (np.zeros(9, np.float32), None, "sample_rate"),
        (np.zeros(9, np.int64), 16_000, "int64"),
        (np.zeros((0,), np.float32), 16_000, "shape"),
        (np.zeros((2, 2, 2), np.float32), 16_000, "shape"),
        (np.zeros((2, 9), np.float32), 16_000, "shape"),  # as librosa has it
        (np.full(9, np.nan), 16_000, "finite"),
        (np.zeros(9, np.float32), 44.1, "samples per second"),
        (np.full(9, 4000.0), 16_000, "4000 times full scale"),
        (np.full(9, -2.6), 16_000, "3 times full scale"),
    ],
)
def test_arrays_that_are_no_sound(model, samples, rate, words):
    with pytest.raises(InputError, match=words):
        model.tag(samples, rate)


def test_layers(model, tmp_path):
    """Each follows from the one before it."""
    song = write_song(tmp_path / "song.wav", 5)
    shapes = {layer: model.embed(song, layer=layer).shape for layer in ("front end", "pool1", "pool2", "hidden")}
    assert shapes == {"front end": (2, 46, 128), "pool1": (2, 10, 32), "pool2": (2, 1, 32), "hidden": (2, 100)}
    values = model.network.values()
    flat = model.embed(song, layer="pool2").reshape(2, -1)
    hidden = np.maximum(0, flat @ values["hidden/weights"] + values["hidden/bias"])
    np.testing.assert_allclose(hidden, model.embed(song), rtol=1e-4, atol=1e-6)
    with pytest.raises(InputError, match="pool3"):
        model.embed(song, layer="pool3")


def test_many_songs(model, tmp_path):
    paths = [str(write_song(tmp_path / f"{i}.wav", 3 + i)) for i in range(3)]
    first, missing, *rest = model.tag_many([paths[0], str(tmp_path / "none.wav"), *paths[1:]])
    assert isinstance(missing, Failure)
    for path, taggram in zip(paths, [first, *rest], strict=True):
        np.testing.assert_array_equal(taggram.probabilities, model.windows(path).probabilities)


def test_missing_files_are_what_python_calls_them(model, tmp_path):
    for use in (model.tag, theanoish.load):
        with pytest.raises(FileNotFoundError, match="none") as caught:
            use(tmp_path / "none")
        assert isinstance(caught.value, InputError)


def test_own_weights_and_run_folders(tmp_path, monkeypatch):
    raw = theanoish.load("raw")
    assert raw.name.startswith("raw_256_256")
    assert repr(raw).startswith(f"<theanoish network {raw.name}, {len(raw.tags)} tags: {raw.tags[0]}, ")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mel").mkdir()  # hides nothing
    assert theanoish.load("mel").name == theanoish.load().name
    (tmp_path / "checkpoint.pkl").write_bytes(RAW.read_bytes())
    assert theanoish.load(tmp_path, all_tags=True).filters.shape == (128, 256)


def test_a_data_set_from_arrays_holds_them(tmp_path):
    """Read by the way of training, sorted by split."""
    generator = np.random.default_rng(1)
    clips = [generator.integers(-9000, 9000, 48_000 + i, dtype=np.int16) for i in range(3)]
    path = theanoish.write_dataset(
        tmp_path / "a.h5",
        clips,
        np.array([[1], [0], [1]]),
        ["loud"],
        ["test", "train", "validation"],
        artists=np.array([*"abc"]),
    )
    dataset = Dataset(path)
    assert (dataset.splits.tolist(), dataset.artists) == (["train", "validation", "test"], ["b", "c", "a"])
    assert dataset.labels.tolist() == [[0], [1], [1]]
    page = (ROOT / "docs" / "format.md").read_text()
    with h5py.File(path) as file:
        for group in (file, file["mel_256_256"]):
            for name, value in group.attrs.items():
                assert f"`{name}`" in page
                assert name == "about" or str(value) in page, name
    stored = dataset.windows(Settings(), np.arange(3)).read_whole_clips()
    for row, clip in zip(stored, (1, 2, 0), strict=True):
        np.testing.assert_array_equal(row[: len(clips[clip])], clips[clip])
    half = theanoish.write_dataset(tmp_path / "half.h5", [clips[0][::2]] * 2, [[1], [0]], ["loud"], ["train"] * 2, 8000)
    assert Dataset(half).samples.tolist() == [48_000] * 2
    with pytest.raises(InputError, match="no representation mel_1_1"):
        theanoish.write_dataset(half, clips, [[1], [0], [1]], ["loud"], ["train"] * 3, representations=["mel_1_1"])
    for labels, splits, length, words in (
        ([[1]], ["none"], 48_000, "splits"),
        ([[2]], ["train"], 48_000, "labels"),
        ([[1, 1]], ["train"], 48_000, "fit"),
        ([[1]], ["train"], 47_999, "clip 0 is shorter"),
    ):
        with pytest.raises(InputError, match=words):
            theanoish.write_dataset(tmp_path / "b.h5", [np.zeros(length)], np.array(labels), ["loud"], splits)


def test_the_examples_of_the_documentation(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tried = doctest.testfile(str(ROOT / "docs" / "api.md"), module_relative=False)
    assert tried.failed == 0 and tried.attempted > 15
    for name in (*theanoish.__all__, "tag", "windows", "embed", "filters", "tag_many"):
        assert f".{name}" in (ROOT / "docs" / "api.md").read_text()


@pytest.mark.parametrize("ending", ["npz", "safetensors"])
def test_exported_weights_are_those_of_the_checkpoint(tmp_path, ending):
    if ending == "safetensors":
        pytest.importorskip("safetensors", reason="needs the extra 'export'")
    output, saved = tmp_path / f"out.{ending}", pickle.loads(RAW.read_bytes())
    assert export.main([str(RAW), str(output)]) == 0
    if ending == "npz":
        arrays = dict(np.load(output))
        about = {name: str(arrays.pop(name)) for name in ("settings", "tags")}
    else:
        from safetensors import safe_open

        with safe_open(output, "np") as file:
            arrays, about = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    assert json.loads(about["tags"]) == saved["tags"]
    assert json.loads(about["settings"]) == Settings.from_dict(saved["settings"]).as_dict()
    assert arrays.keys() == saved["parameters"].keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, saved["parameters"][name])


def test_what_cannot_be_exported_says_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="ending"):
        export.main([str(RAW), "out.txt"])
    monkeypatch.delitem(sys.modules, "theanoish.export.graph", raising=False)
    for name in ("onnx", "safetensors"):
        for module in (name, f"{name}.numpy"):
            monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(InputError, match=f"{re.escape(sys.executable)} -m pip install {name}; or"):
            export.main([str(RAW), str(tmp_path / f"out.{name}")])


def test_the_notebook_runs(tmp_path):
    """From top to bottom, and its network learns."""
    nbclient = pytest.importorskip("nbclient", reason="needs nbclient and ipykernel: the extra 'test'")
    pytest.importorskip("ipykernel", reason="needs nbclient and ipykernel: the extra 'test'")
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(ROOT / "examples" / "first_steps.ipynb", 4)
    environment = {"env": os.environ | {"PYTHONPATH": str(ROOT), "PYDEVD_DISABLE_FILE_VALIDATION": "1"}}
    client = nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}})
    client.execute(**environment)
    printed = ["".join(output.get("text", "") for output in cell.get("outputs", [])) for cell in notebook.cells]
    losses = [float(loss) for loss in re.findall(r"loss (\S+),", printed[8])]
    assert len(losses) == 4
    assert losses[-1] < 0.8 * losses[0]
    assert float(re.search(r"mean AUC (\S+)", printed[9])[1]) > 0.6
    kinds = {kind for cell in notebook.cells for output in cell.get("outputs", []) for kind in output.get("data", {})}
    assert "image/png" in kinds

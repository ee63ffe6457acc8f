import json
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from small_data import write_small_data
from theanoish.commands import figures
from theanoish.data.dataset import Dataset
from theanoish.errors import InputError
from theanoish.experiments.figures import architecture, draw_spectra, initial_filters
from theanoish.experiments.filters import mean_spectrum
from theanoish.model.network import Network
from theanoish.settings import Settings
from theanoish.training import checkpoint


def save_checkpoint(path: Path, settings: Settings, data: Path = Path("d.h5")) -> Path:
    parameters = Network(settings, tags=2).values()
    values = {"settings": settings.as_dict(), "tags": ["a", "b"], "parameters": parameters, "update": 1}
    values |= {
        "validation_auc": 0.5,
        "history": [],
        "artists": [],
        "data": {"path": str(data), "fingerprint": Dataset(data).fingerprint() if data.exists() else ""},
        "backend": "jax",
        "initial": "",
        "versions": {},
    }
    checkpoint.save(path, checkpoint.CHECKPOINT, values)
    return path


def read_picture(path: Path) -> np.ndarray:
    return matplotlib.image.imread(path)[..., :3].mean(axis=2)


def is_picture(folder: Path, name: str) -> bool:
    pdf = (folder / f"{name}.pdf").read_bytes()
    return matplotlib.image.imread(folder / f"{name}.png").std() > 0 and pdf.startswith(b"%PDF")


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        (Settings(frontend="mel", length=1024, stride=1024), ["figure1"]),
        (
            Settings(length=1024, stride=1024, pooling="l2", pool_size=4),
            ["figure1", "figure2", "figure3", "figure4"],
        ),
    ],
)
def test_script_makes_the_figures_that_the_network_allows(tmp_path, capsys, settings, names):
    file = save_checkpoint(tmp_path / "checkpoint.pkl", settings)
    assert figures.main([str(file)]) == 0
    folder = tmp_path / "figures"
    assert sorted({path.stem for path in folder.glob("figure*")}) == names
    assert all(is_picture(folder, name) for name in names)
    printed = capsys.readouterr().out
    assert ("pools, low-passed at 2000 Hz" in printed) == (settings.pooling != "none")
    if settings.frontend == "raw":
        numbers = json.loads((folder / "filters.json").read_text())
        assert numbers["spectra"]["learned"] == numbers["spectra"]["initial"]
        assert f"{numbers['spectra']['learned']['median_peak_energy']:.3f}" in printed


def test_numbers_have_coloured_noise_if_the_training_data_is_there(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("theanoish.experiments.filters._WINDOWS", 20)
    for name in ("draw_spectra", "draw_waveforms"):
        monkeypatch.setattr(f"theanoish.experiments.figures.{name}", lambda *arguments: None)
    data = write_small_data(tmp_path / "small.h5")
    file = save_checkpoint(tmp_path / "checkpoint.pkl", Settings(length=512, stride=512), data)
    arguments = [str(file), "--output", str(tmp_path / "out")]
    assert figures.main(arguments) == 0
    numbers = json.loads((tmp_path / "out" / "filters.json").read_text())
    assert numbers["coloured_noise_left_out"] is None
    np.testing.assert_array_equal(numbers["mean_spectrum"], mean_spectrum(Dataset(data), Settings()))
    assert numbers["spectra"]["coloured noise"]["filters"] == 128
    assert "no coloured noise" not in capsys.readouterr().out

    moved = data.rename(tmp_path / "moved.h5")
    assert figures.main(arguments) == 0
    without = json.loads((tmp_path / "out" / "filters.json").read_text())
    assert without["mean_spectrum"] is None
    assert "coloured noise" not in without["spectra"]
    assert "small.h5" in without["coloured_noise_left_out"]
    assert f"no coloured noise: {without['coloured_noise_left_out']}" in capsys.readouterr().out

    assert figures.main([*arguments, "--data", str(moved)]) == 0
    again = json.loads((tmp_path / "out" / "filters.json").read_text())
    assert again["spectra"] == numbers["spectra"]

    other = write_small_data(tmp_path / "other.h5", labels=np.eye(24, 4, dtype=np.uint8))
    with pytest.raises(InputError, match=r"other\.h5: clips or labels are not those"):
        figures.main([*arguments, "--data", str(other)])


def test_initial_filters_are_the_stored_ones_or_those_of_the_seed(tmp_path):
    settings = Settings(length=512, stride=512, seed=7)
    drawn = Network(settings, tags=50).values()["strided/filters"]
    np.testing.assert_array_equal(initial_filters(tmp_path, settings, from_noise=True), drawn)
    with pytest.raises(InputError, match=r"initial_filters\.npy: no such file"):
        initial_filters(tmp_path, settings, from_noise=False)
    stored = np.random.default_rng(0).standard_normal((128, 512)).astype(np.float32)
    np.save(tmp_path / "initial_filters.npy", stored)
    np.testing.assert_array_equal(initial_filters(tmp_path, settings, from_noise=True), stored)
    np.save(tmp_path / "initial_filters.npy", stored[:, 1:])
    with pytest.raises(InputError, match=r"initial_filters\.npy: not 128 filters of 512 samples"):
        initial_filters(tmp_path, settings, from_noise=True)
    (tmp_path / "initial_filters.npy").write_bytes(b"")
    with pytest.raises(InputError, match=r"initial_filters\.npy"):
        initial_filters(tmp_path, settings, from_noise=True)


def test_initial_filters_stand_beside_the_learned_ones(tmp_path, capsys):
    settings = Settings(length=512, stride=512)
    file = save_checkpoint(tmp_path / "checkpoint.pkl", settings)
    sine = np.sin(2 * np.pi * 4000 * np.arange(512) / 16_000).astype(np.float32)
    np.save(tmp_path / "initial_filters.npy", np.tile(sine, (128, 1)))
    assert figures.main([str(file), "--with-initial"]) == 0
    folder = tmp_path / "figures"
    assert sorted({path.stem for path in folder.glob("figure*")}) == ["figure1", "figure2", "figure3"]
    assert all(is_picture(folder, f"figure{number}") for number in (1, 2, 3))
    assert "low-passed" not in capsys.readouterr().out  # there are no pools
    picture = read_picture(folder / "figure2.png")
    left, right = picture[:, : picture.shape[1] // 2], picture[:, picture.shape[1] // 2 :]
    lines = [(half < 0.3).mean(axis=1) > 0.6 for half in (left, right)]  # frames, and one frequency in the middle
    assert lines[0][len(picture) // 4 : len(picture) // 2].any()
    assert not lines[1][len(picture) // 4 : len(picture) // 2].any()


@pytest.mark.parametrize("log_frequency", [False, True])
def test_spectra_are_ordered_by_dominant_frequency_with_low_frequencies_at_the_bottom(tmp_path, log_frequency):
    evenly = np.geomspace(60, 7000, 128) if log_frequency else np.linspace(100, 7900, 128)
    frequencies = np.random.default_rng(0).permutation(evenly)
    sines = np.sin(2 * np.pi * frequencies[:, None] * np.arange(512) / 16_000)
    draw_spectra(tmp_path, {"": sines}, log_frequency=log_frequency)
    picture = read_picture(tmp_path / "figure2.png")
    dark = picture < 0.3
    (top, *_, bottom), columns = (np.flatnonzero(dark.mean(axis=axis) > 0.6) for axis in (1, 0))
    right = columns[columns > columns[0] + 100][0]  # what follows is the scale of grey
    inside = slice(top + 5, bottom - 5), slice(columns[0] + 5, right - 5)
    rows, columns = np.nonzero(dark[inside])  # a diagonal from bottom left to top right
    assert np.corrcoef(rows, columns)[0, 1] < -0.95
    assert np.median(picture[inside]) > 0.95  # white is 0


def test_architecture_has_the_papers_sizes_and_the_networks_shapes():
    layers = architecture(Settings(length=1024, stride=1024, pooling="l2", pool_size=4), tags=50)
    assert [name for name, _, _ in layers] == [
        "raw audio", "strided convolution", "L2 feature pooling", "convolution", "max-pooling", "convolution",
        "max-pooling", "dense", "dense",
    ]  # fmt: skip
    shapes = [list(map(int, shape.split(" \N{MULTIPLICATION SIGN} "))) for _, _, shape in layers]
    assert shapes == [[48_000, 1], [46, 128], [46, 32], [39, 32], [10, 32], [3, 32], [1, 32], [100], [50]]
    sizes = [sizes for _, sizes, _ in layers]
    assert sizes[1] == "↔ 1024  stride 1024  # 128"
    assert sizes[3:] == ["↔ 8  # 32", "↔ 4", "↔ 8  # 32", "↔ 4", "# 100", "# 50"]

import json

import matplotlib.image
import numpy as np
import pytest

import stand_ins
from small_data import write_small_data
from theanoish.commands import figures
from theanoish.data.dataset import Dataset
from theanoish.errors import InputError
from theanoish.experiments import figures as module
from theanoish.experiments.figures import architecture, draw_pools, draw_spectra, draw_waveforms, initial_filters
from theanoish.experiments.filters import low_passed, mean_spectrum
from theanoish.model.network import Network
from theanoish.settings import Settings

SHORT = Settings(length=512, stride=512, seed=7)


def save_checkpoint(folder, settings, data="d.h5"):
    parameters = Network(settings, tags=2).values()
    return stand_ins.save_checkpoint(folder / "checkpoint.pkl", settings, ["a", "b"], parameters, folder / data)


def read_picture(folder, name="figure2"):
    return matplotlib.image.imread(folder / f"{name}.png")[..., :3].mean(axis=2)


@pytest.mark.parametrize(
    ("settings", "pictures"),
    [
        (Settings(frontend="mel", length=1024, stride=1024), 1),
        (Settings(length=1024, stride=1024, pooling="l2", pool_size=4), 4),
    ],
)
def test_script_makes_the_figures_that_the_network_allows(tmp_path, capsys, settings, pictures):
    assert figures.main([str(save_checkpoint(tmp_path, settings))]) == 0
    folder = tmp_path / "figures"
    assert sorted(path.name for path in folder.glob("figure*")) == [
        f"figure{number}.{kind}" for number in range(1, pictures + 1) for kind in ("pdf", "png")
    ]
    assert all(path.read_bytes().startswith(b"%PDF") for path in folder.glob("*.pdf"))
    assert all(read_picture(folder, path.stem).std() > 0 for path in folder.glob("*.png"))
    printed = capsys.readouterr().out
    assert ("pools, low-passed at 2000 Hz" in printed) == (settings.pooling != "none")
    if settings.frontend == "raw":
        numbers = json.loads((folder / "filters.json").read_text())["spectra"]
        assert numbers["learned"] == numbers["initial"]
        assert f"{numbers['learned']['median_peak_energy']:.3f}" in printed


def test_numbers_have_coloured_noise_if_the_training_data_is_there(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("theanoish.experiments.filters._WINDOWS", 20)
    for name in ("draw_spectra", "draw_waveforms"):
        monkeypatch.setattr(f"theanoish.experiments.figures.{name}", lambda *arguments: None)
    data = write_small_data(tmp_path / "small.h5")
    arguments = [str(save_checkpoint(tmp_path, SHORT, data.name)), "--output", str(tmp_path / "out")]

    def numbers(*more):
        assert figures.main([*arguments, *more]) == 0
        return json.loads((tmp_path / "out" / "filters.json").read_text()), capsys.readouterr().out

    found, printed = numbers()
    np.testing.assert_array_equal(found["mean_spectrum"], mean_spectrum(Dataset(data), Settings()))
    assert found["spectra"]["coloured noise"]["filters"] == 128
    assert "no coloured noise" not in printed

    moved = data.rename(tmp_path / "moved.h5")
    without, printed = numbers()
    assert without["mean_spectrum"] is None
    assert "small.h5" in without["coloured_noise_left_out"]
    assert f"no coloured noise: {without['coloured_noise_left_out']}" in printed
    assert numbers("--data", str(moved))[0] == found

    other = write_small_data(tmp_path / "other.h5", labels=np.eye(24, 4, dtype=np.uint8))
    with pytest.raises(InputError, match=r"other\.h5: clips or labels are not those"):
        numbers("--data", str(other))


def test_initial_filters_are_the_stored_ones_or_those_of_the_seed(tmp_path):
    drawn = Network(SHORT, tags=50).values()["strided/filters"]
    np.testing.assert_array_equal(initial_filters(tmp_path, SHORT, from_noise=True), drawn)
    file = tmp_path / "initial_filters.npy"
    with pytest.raises(InputError, match=r"initial_filters\.npy: no such file"):
        initial_filters(tmp_path, SHORT, from_noise=False)
    stored = np.random.default_rng(0).standard_normal((128, 512)).astype(np.float32)
    np.save(file, stored)
    np.testing.assert_array_equal(initial_filters(tmp_path, SHORT, from_noise=True), stored)
    for damage, words in (
        (lambda: np.save(file, stored[:, 1:]), "not 128 filters of 512 samples"),
        (lambda: file.write_bytes(b""), "no array of filters"),
    ):
        damage()
        with pytest.raises(InputError, match=rf"initial_filters\.npy: {words}"):
            initial_filters(tmp_path, SHORT, from_noise=True)


def test_waveforms_and_pools_stand_in_the_order_of_their_frequencies(tmp_path, monkeypatch):
    """Fig. 4's are low-passed, and of pools."""
    drawn = {}
    monkeypatch.setattr(
        module, "_draw_grid", lambda _, name, filters, numbers, __: drawn.update({name: (filters, numbers)})
    )
    frequencies = np.repeat(np.random.default_rng(0).permutation(np.linspace(100, 1900, 32)), 4)
    sines = np.sin(2 * np.pi * frequencies[:, None] * np.arange(512) / 16_000)
    draw_waveforms(tmp_path, sines, "")
    draw_pools(tmp_path, sines, 4, "")
    assert (np.diff(frequencies[drawn["figure3"][1].T.ravel()]) >= 0).all()
    filters, pools = drawn["figure4"]
    np.testing.assert_array_equal(filters, low_passed(sines))
    assert (np.diff(frequencies[pools[:, 0]]) > 0).all()
    assert (np.diff(pools, axis=1) == 1).all() and not (pools[:, 0] % 4).any()


def test_initial_filters_stand_beside_the_learned_ones(tmp_path):
    sine = np.sin(2 * np.pi * 4000 * np.arange(512) / 16_000).astype(np.float32)
    np.save(tmp_path / "initial_filters.npy", np.tile(sine, (128, 1)))
    assert figures.main([str(save_checkpoint(tmp_path, SHORT)), "--with-initial"]) == 0
    assert len(list((tmp_path / "figures").glob("figure*"))) == 2 * 3  # there are no pools
    picture = read_picture(tmp_path / "figures")
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
    picture = read_picture(tmp_path)
    dark = picture < 0.3
    (top, *_, bottom), columns = (np.flatnonzero(dark.mean(axis=axis) > 0.6) for axis in (1, 0))
    right = columns[columns > columns[0] + 100][0]  # what follows is the scale of grey
    inside = slice(top + 5, bottom - 5), slice(columns[0] + 5, right - 5)
    rows, columns = np.nonzero(dark[inside])  # a diagonal from bottom left to top right
    assert np.corrcoef(rows, columns)[0, 1] < -0.95
    assert np.median(picture[inside]) > 0.95  # white is 0


def test_architecture_has_the_papers_sizes_and_the_networks_shapes():
    layers = architecture(Settings(length=1024, stride=1024, pooling="l2", pool_size=4), tags=50)
    names, sizes, shapes = zip(*layers, strict=True)
    assert " > ".join(names) == (
        "raw audio > strided convolution > L2 feature pooling > convolution > max-pooling > convolution > "
        "max-pooling > dense > dense"
    )
    numbers = [list(map(int, shape.split(" \N{MULTIPLICATION SIGN} "))) for shape in shapes]
    assert numbers == [[48_000, 1], [46, 128], [46, 32], [39, 32], [10, 32], [3, 32], [1, 32], [100], [50]]
    assert sizes[1] == "↔ 1024  stride 1024  # 128"
    assert sizes[3:] == ("↔ 8  # 32", "↔ 4", "↔ 8  # 32", "↔ 4", "# 100", "# 50")

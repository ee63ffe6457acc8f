import json
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

import figures
from theanoish.experiments.figures import architecture, draw_architectures, draw_spectra
from theanoish.experiments.paper import FIGURE_1, TABLES
from theanoish.model.network import Network
from theanoish.settings import Settings
from theanoish.training import checkpoint


def save_checkpoint(path: Path, settings: Settings) -> Path:
    parameters = Network(settings, tags=2).values()
    values = {"settings": settings.as_dict(), "tags": ["a", "b"], "parameters": parameters, "update": 1}
    values |= {
        "validation_auc": 0.5,
        "history": [],
        "data": {"path": "d.h5", "fingerprint": ""},
        "backend": "jax",
        "versions": {},
    }
    checkpoint.save(path, checkpoint.CHECKPOINT, values)
    return path


def is_picture(folder: Path, name: str) -> bool:
    pdf = (folder / f"{name}.pdf").read_bytes()
    return matplotlib.image.imread(folder / f"{name}.png").std() > 0 and pdf.startswith(b"%PDF")


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        (Settings(frontend="mel", length=1024, stride=1024), ["figure1"]),
        (Settings(length=512, stride=512), ["figure1", "figure2", "figure3"]),
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
    if settings.frontend == "raw":
        numbers = json.loads((folder / "filters.json").read_text())
        assert f"frequency-selective: {numbers['spectra']['learned']['selective']:.1%}" in printed
    assert ("pools" in printed) == (settings.pooling != "none")


def test_script_refuses_what_is_no_checkpoint(tmp_path, capsys):
    (tmp_path / "checkpoint.pkl").write_bytes(b"nothing")
    with pytest.raises(SystemExit) as stopped:
        figures.main([str(tmp_path / "checkpoint.pkl")])
    assert stopped.value.code == 2
    assert "checkpoint.pkl" in capsys.readouterr().err


def test_spectra_are_ordered_by_dominant_frequency_with_low_frequencies_at_the_bottom(tmp_path):
    frequencies = np.random.default_rng(0).permutation(np.linspace(100, 7900, 128))
    draw_spectra(tmp_path, np.sin(2 * np.pi * frequencies[:, None] * np.arange(512) / 16_000))
    picture = matplotlib.image.imread(tmp_path / "figure2.png")[..., :3].mean(axis=2)
    dark = picture < 0.3
    (top, *_, bottom), (left, *_, right) = (np.flatnonzero(dark.mean(axis=axis) > 0.6) for axis in (1, 0))
    inside = slice(top + 5, bottom - 5), slice(left + 5, right - 5)
    rows, columns = np.nonzero(dark[inside])  # a diagonal from bottom left to top right
    assert np.corrcoef(rows, columns)[0, 1] < -0.99
    assert np.median(picture[inside]) > 0.95  # white is 0


def test_architecture_has_the_papers_sizes_and_the_networks_shapes():
    layers = architecture(Settings(length=1024, stride=1024, pooling="l2", pool_size=4), tags=50)
    assert [name for name, _, _ in layers] == [
        "raw audio", "strided convolution", "L2 feature pooling", "convolution", "max-pooling", "convolution",
        "max-pooling", "dense", "dense",
    ]  # fmt: skip
    sizes = [sizes for _, sizes, _ in layers]
    assert sizes[1] == "↔ 1024  stride 1024  # 128"
    assert sizes[3:] == ["↔ 8  # 32", "↔ 4", "↔ 8  # 32", "↔ 4", "# 100", "# 50"]


@pytest.mark.parametrize(
    "settings", dict.fromkeys(cell.settings for cells in TABLES.values() for cell in cells), ids=lambda s: s.name
)
def test_architecture_agrees_with_the_parameters(settings):
    """Each layer's weights fit between the output shapes that are drawn before and after it."""
    parameters = Network(settings, tags=50).values()
    layers = architecture(settings, tags=50)
    shapes = [tuple(map(int, shape.split(" \N{MULTIPLICATION SIGN} "))) for _, _, shape in layers]
    before = {name: shapes[i - 1] for i, (name, _, _) in enumerate(layers)}
    assert parameters["hidden/weights"].shape == (np.prod(shapes[-3]), *shapes[-2])
    assert parameters["output/weights"].shape == (*shapes[-2], *shapes[-1])
    width, filters, channels = parameters["convolution1/filters"].shape
    first = [name for name, _, _ in layers].index("convolution")
    assert shapes[first] == (shapes[first - 1][0] - width + 1, filters)
    assert shapes[first - 1][1] == channels
    if settings.frontend == "raw":
        assert before["strided convolution"] == (48_000, 1)
        assert parameters["strided/filters"].shape == (shapes[1][1], settings.length)
    else:
        assert shapes[0] == (settings.frames, 128)


def test_architecture_of_all_variants_is_drawn(tmp_path):
    draw_architectures(tmp_path, list(FIGURE_1), tags=50)
    assert is_picture(tmp_path, "figure1")

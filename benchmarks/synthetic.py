"""A small data set of noise with the layout of the real one: speed does not depend on what is heard."""

from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from theanoish.representation import MEL_CHANNELS, USUAL_SAMPLES
from theanoish.settings import Settings

TAGS = 50


def write_dataset(path: Path, networks: list[Settings], clips: int = 40) -> None:
    """Write an HDF5 data set of training clips with the representations that the networks take.

    Parameters
    ----------
    path : Path
    networks : list of Settings
    clips : int
    """
    generator = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        file.attrs.update(format="theanoish", format_version=2, sample_rate=16_000, tags_kept="all")
        file["tags"] = [f"tag {i}" for i in range(TAGS)]
        file["labels"] = (generator.random((clips, TAGS)) < 0.1).astype(np.uint8)
        file["clips/id"] = np.arange(clips)
        file["clips/samples"] = np.full(clips, USUAL_SAMPLES)
        for name in ("path", "artist", "album", "title"):
            file[f"clips/{name}"] = [f"{name} {i}" for i in range(clips)]
        file["clips/split"] = ["train"] * clips
        for settings in {settings.representation: settings for settings in networks}.values():
            _write_representation(file.create_group(settings.representation.name), settings, clips)


def _write_representation(group: h5py.Group, settings: Settings, clips: int) -> None:
    generator = np.random.default_rng(1)  # the same values whatever else the file holds
    if settings.frontend == "raw":
        count = USUAL_SAMPLES
        values = np.clip(generator.standard_normal(clips * count, np.float32) * 4000, -32768, 32767).astype(np.int16)
    else:
        count = int(settings.representation.rows_of(USUAL_SAMPLES))
        values = generator.gamma(2.0, size=(clips * count, MEL_CHANNELS)).astype(np.float32)
    group["values"] = values
    group["start"] = np.arange(clips) * count
    group["count"] = np.full(clips, count)


def with_top_layer(values: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """A network's values with weights in its top layer, which starts at 0: else most first gradients would be 0."""
    shape = values["output/weights"].shape
    return values | {"output/weights": np.random.default_rng(2).normal(0, 0.1, shape).astype(np.float32)}

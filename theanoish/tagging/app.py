"""A page that tags: one HTML file that holds a trained network, to be opened by who has a song and nothing else."""

import base64
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theanoish.files import check_page
from theanoish.model.network import Network
from theanoish.tagging.page import write_player
from theanoish.tagging.tagger import load_tagger

_FOLDER = resources.files("theanoish") / "web"


def write_app(path: Path, checkpoint: Path | None = None, all_tags: bool = False) -> None:
    """Write the page that tags songs, with the network of a checkpoint in it.

    Parameters
    ----------
    path : Path
    checkpoint : Path, optional
        By default the weights that come with this project.
    all_tags : bool
        Also tags too rare to trust, or no better than chance in the test.

    Raises
    ------
    InputError
        If `path` is no name of a page, or the checkpoint cannot be used.
    """
    check_page(path)
    tagger = load_tagger(checkpoint, all_tags)
    code = "".join((_FOLDER / name).read_text(encoding="utf-8") for name in ("network.js", "resample.js", "worker.js"))
    model, weights = model_of(tagger.network)
    write_player(
        path,
        title="Tags of your songs",
        about="A small neural network listens, here in your browser: nothing is installed and nothing is sent.",
        plain="This page works by its script, which this browser does not run.",
        foot=[f"Mean probabilities over windows of 3 s by {tagger.name}."],
        worth=tagger.worth,
        data={"model": model | {"tags": tagger.tags, "columns": tagger.columns}},
        weights=weights,
        network=code,
    )


def model_of(network: Network) -> tuple[dict[str, Any], str]:
    """A network as `web/network.js` takes it.

    Returns
    -------
    dict
        ``settings``, and ``sizes`` of the parameters and constants by name.
    str
        Their values, one behind the other as float32 in base64, those of a filter or unit in one piece.
    """
    values = {name: _by_unit(name, value) for name, value in network.values().items()}
    about = {"settings": network.settings.as_dict(), "sizes": {name: value.size for name, value in values.items()}}
    return about, base64.b64encode(b"".join(value.astype("<f4").tobytes() for value in values.values())).decode()


def _by_unit(name: str, value: NDArray[np.float32]) -> NDArray[np.float32]:
    if value.ndim == 3:  # (filters, channels, width)
        return value.transpose(0, 2, 1)
    return value.T if name.endswith("weights") else value

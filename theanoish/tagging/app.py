"""A page that tags: one HTML file that holds a trained network, to be opened by who has a song and nothing else."""

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theanoish.model.network import Network


def model_of(network: Network) -> dict[str, Any]:
    """A network as `web/network.js` takes it.

    Returns
    -------
    dict
        ``settings``; ``sizes`` of the parameters and constants by name; and these ``values``, one behind the other as
        float32 in base64, those of a filter or unit in one piece.
    """
    values = {name: _by_unit(name, value) for name, value in network.values().items()}
    return {
        "settings": network.settings.as_dict(),
        "sizes": {name: value.size for name, value in values.items()},
        "values": base64.b64encode(b"".join(value.astype("<f4").tobytes() for value in values.values())).decode(),
    }


def _by_unit(name: str, value: NDArray[np.float32]) -> NDArray[np.float32]:
    if value.ndim == 3:  # (filters, channels, width)
        return value.transpose(0, 2, 1)
    return value.T if name.endswith("weights") else value

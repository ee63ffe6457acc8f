"""Which songs of a library sound most like each other to the network."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LIKE = 5  # songs that are named
ABOUT = (
    "Alike are songs for which the means of the network's hidden units point the same way (cosine). These units serve "
    "its tags: they hear timbre and density, and know nothing of melody, words, artist or year. Nobody has judged by "
    "ear whether songs that are called alike are."
)
_BLOCK = 1024  # songs compared with all others at a time


def nearest(units: Sequence[NDArray[np.float32]]) -> list[list[tuple[int, float]]]:
    """For each song the others that are most like it, and the cosine with each, the most alike first.

    Parameters
    ----------
    units : sequence of float32 arrays (units,)
        Of each song, the mean of the hidden units over its windows.
    """
    if len(units) < 2:
        return [[] for _ in units]
    songs = np.stack(units)
    songs /= np.maximum(np.linalg.norm(songs, axis=1, keepdims=True), 1e-12)
    count = min(LIKE, len(songs) - 1)
    found: list[list[tuple[int, float]]] = []
    for first in range(0, len(songs), _BLOCK):
        cosines = songs[first : first + _BLOCK] @ songs.T
        rows = np.arange(len(cosines))
        cosines[rows, first + rows] = -np.inf  # itself
        others = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
        for row, chosen in enumerate(others):
            order = chosen[np.lexsort((chosen, -cosines[row, chosen]))]
            found.append([(int(song), float(cosines[row, song])) for song in order])
    return found

"""Which windows each update sees: a pure function of the seed and the number of the update.

Nothing here holds a state, so a run that resumes at any update, on any backend, draws what it would have drawn.
"""

import numpy as np
from numpy.typing import NDArray

from theanoish.settings import DROPOUT, ORDER


def draw_examples(
    counts: NDArray[np.int64], seed: int, first: int, count: int, minibatch: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw training examples: clips without replacement within an epoch, each with one of its windows.

    An epoch ends with its last whole minibatch, so that no minibatch has a clip twice; the few clips that are left over
    are others in each epoch.

    Parameters
    ----------
    counts : int64 array (clips,)
        Windows to choose from in each clip.
    seed : int
    first, count : int
        Number of the first example, counted over the whole training, and how many.
    minibatch : int
        If the clips are fewer, an epoch is one pass over them.

    Returns
    -------
    clips, windows : int64 arrays (count,)
        Row in `counts`, and which of its windows, 0 to ``counts[row] - 1``.
    """
    length = len(counts) // minibatch * minibatch or len(counts)
    epoch, begin = divmod(first, length)
    epochs = range(epoch, (first + count - 1) // length + 1)
    examples = np.concatenate([_draw_epoch(counts, seed, epoch)[:, :length] for epoch in epochs], axis=1)
    clips, windows = examples[:, begin : begin + count]
    return clips, windows


def _draw_epoch(counts: NDArray[np.int64], seed: int, epoch: int) -> NDArray[np.int64]:
    generator = np.random.default_rng([seed, ORDER, epoch])
    clips = generator.permutation(len(counts))
    return np.stack([clips, generator.integers(counts[clips])])


def draw_masks(shape: tuple[int, int], rate: float, seed: int, first: int, count: int) -> NDArray[np.uint8]:
    """Draw the dropout masks of `count` updates from update `first` on.

    Parameters
    ----------
    shape : (int, int)
        Minibatch, and units that dropout may drop.
    rate : float
        Probability that a unit is dropped.
    seed, first, count : int

    Returns
    -------
    uint8 array (count, minibatch, units)
        1 where a unit is kept.
    """
    masks = np.empty((count, *shape), np.uint8)
    for mask, update in zip(masks, range(first, first + count), strict=True):
        generator = np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, update, DROPOUT]))
        mask[:] = generator.random(shape, np.float32) >= rate
    return masks

"""Strided filters learned without labels (the paper's section 5): independent subspace analysis, spherical k-means.

Both see frames of the training split, whitened (`_whitening`). Independent subspace analysis (Hyvärinen and Hoyer,
2000) looks for filters in pools, those of Table 3, whose L2 norms are as seldom large as can be; Coates and Ng's
damped spherical k-means (2012), the authors' own method of 2013, for the shapes that frames most often have.
"""

from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt
from numpy.typing import NDArray
from pytensor.tensor.variable import TensorVariable

from theanoish.errors import InputError
from theanoish.model.compile import compile_function
from theanoish.model.initial_filters import mel_filters_in_time
from theanoish.representation import COMPRESSION, FULL_SCALE
from theanoish.settings import LEARNED_FILTERS

FRAMES = 40_000
SILENCE = 0.01  # frames below this share of the mean loudness are dropped
# The power of its variance that each principal component is divided by: with 0.5 independent subspaces were worse, with
# less k-means put four in five filters below 1000 Hz.
WHITENING = {"unsupervised": 0.25, "k-means": 0.5}
FLOOR = 1e-6  # of the largest variance, below which whitening would only amplify noise
MINIBATCH, UPDATES, LEARNING_RATE = 300, 1000, 2.0  # of both halves of independent subspace analysis
ROUNDING = 1e-3  # of the root of a pool's energy at 0
ITERATIONS = 15  # of k-means
_FRAMES_COMPARED = 10_000

_FOR_BOTH: dict[str, Any] = {"frames": FRAMES, "silence": SILENCE, "floor": FLOOR}
LEARNED_WITH: dict[str, dict[str, Any]] = {  # by method, what a run's folder says beside the filters
    "unsupervised": _FOR_BOTH
    | {"whitening": WHITENING["unsupervised"], "minibatch": MINIBATCH}
    | {"updates": [UPDATES, UPDATES], "learning_rate": LEARNING_RATE},
    "k-means": _FOR_BOTH | {"whitening": WHITENING["k-means"], "iterations": ITERATIONS},
}

Array = NDArray[np.float32]


def learn_filters(
    method: str, frames: NDArray[np.int16], filters: int, pool_size: int, seed: int, backend: str
) -> Array:
    """Learn strided filters from frames without labels.

    Parameters
    ----------
    method : {"unsupervised", "k-means"}
    frames : int16 array (frames, length)
    filters, pool_size : int
        Filters in all, and adjacent ones in a pool.
    seed : int
    backend : {"jax", "numba"}

    Returns
    -------
    float32 array (filters, length)
        For samples in [-1, 1), scaled so that log(1 + C·mean square) of their pools has, over the frames and pools, the
        mean that it has for `mel_filters_in_time`: C then acts as on a spectrogram.

    Raises
    ------
    InputError
        If fewer frames than the filters need are not silent.
    """
    generator = np.random.default_rng([seed, LEARNED_FILTERS])
    audible = _audible(frames)
    audible = audible[generator.permutation(len(audible))]
    if len(audible) < 2 * audible.shape[1]:
        raise InputError(f"only {len(audible)} frames are not silent, too few to learn filters from")
    equally_loud = audible / np.std(audible, axis=1, keepdims=True)
    whitening = _whitening(equally_loud, filters, WHITENING[method])
    whitened: Array = (equally_loud @ whitening.T).astype(np.float32)
    whitened /= np.sqrt(np.mean(whitened**2))
    if method == "unsupervised":
        learned = independent_subspaces(whitened, pool_size, generator, backend) @ whitening
    else:
        centroids = k_means(whitened, filters, generator)
        responses: Array = (whitened[:_FRAMES_COMPARED] @ centroids.T).astype(np.float32)
        learned = centroids[pools_of_similar(responses, pool_size)] @ whitening
    return _as_loud_as_a_spectrogram(learned, audible[:_FRAMES_COMPARED], pool_size)


def independent_subspaces(whitened: Array, pool_size: int, generator: np.random.Generator, backend: str) -> Array:
    """The orthonormal basis whose pools of vectors have the smallest mean L2 norm.

    The first half of the updates is for vectors by themselves, which `pools_of_similar` then puts into pools: with
    pools from the beginning each took one of the two filters of a wave at any phase, and half of another.

    Parameters
    ----------
    whitened : float32 array (frames, components)
    pool_size : int
    generator : numpy Generator
    backend : {"jax", "numba"}

    Returns
    -------
    float32 array (components, components)
    """
    basis = np.linalg.qr(generator.standard_normal((whitened.shape[1],) * 2))[0].astype(np.float32)
    basis = _descend(basis, 1, whitened, generator, backend)
    basis = basis[pools_of_similar(whitened[:_FRAMES_COMPARED] @ basis.T, pool_size)]
    return _descend(basis, pool_size, whitened, generator, backend)


def _descend(start: Array, pool_size: int, whitened: Array, generator: np.random.Generator, backend: str) -> Array:
    """Stochastic gradient descent at a rate that falls to 0, by rotations: Cayley's transform of each gradient step."""
    basis = pytensor.shared(start, name="basis", shape=start.shape)
    frames = pt.tensor("frames", shape=(MINIBATCH, len(start)), dtype="float32")
    rate = pt.tensor("rate", shape=(), dtype="float32")
    loss = mean_pool_norm(frames.dot(basis.T), pool_size)
    gradient: Any = pytensor.grad(loss, basis)
    step = gradient.dot(basis.T)
    half_turn = (step - step.T) * (rate / 2)  # what is left would change lengths and angles
    turned = pt.linalg.solve(pt.eye(len(start), dtype="float32") + half_turn, basis - half_turn.dot(basis))
    update = compile_function([frames, rate], loss, backend, updates={basis: turned})
    for number in range(UPDATES):
        chosen = generator.integers(len(whitened), size=MINIBATCH)
        update(whitened[chosen], np.asarray(LEARNING_RATE * (1 - number / UPDATES), np.float32))
    return np.asarray(basis.get_value())


def mean_pool_norm(responses: TensorVariable, pool_size: int) -> TensorVariable:
    """The objective: over responses (frames, filters), the mean of the sum of the pools' L2 norms."""
    frames, filters = responses.type.shape
    pools = responses.reshape((frames, filters // pool_size, pool_size))
    return pt.sqrt(pt.mean(pt.sqr(pools), axis=2) + np.float32(ROUNDING)).sum(axis=1).mean()


def k_means(whitened: Array, clusters: int, generator: np.random.Generator) -> Array:
    """Damped spherical k-means: unit vectors, each the direction of the sum of the frames nearest to its line.

    Parameters
    ----------
    whitened : float32 array (frames, components)
    clusters : int
    generator : numpy Generator

    Returns
    -------
    float32 array (clusters, components)
    """
    centroids = _unit(generator.standard_normal((clusters, whitened.shape[1])).astype(np.float32))
    whitened = _unit(whitened)
    everyone = np.arange(len(whitened))
    for _ in range(ITERATIONS):
        responses = whitened @ centroids.T
        nearest = np.abs(responses).argmax(axis=1)
        chosen = np.zeros_like(responses)
        chosen[everyone, nearest] = responses[everyone, nearest]
        centroids = _unit(centroids + chosen.T @ whitened)
    return centroids


def pools_of_similar(responses: Array, pool_size: int) -> NDArray[np.int64]:
    """An order of filters in which those whose magnitudes rise and fall together are adjacent.

    Parameters
    ----------
    responses : float array (frames, filters)
    pool_size : int

    Returns
    -------
    int64 array (filters,)
        Pool by pool: the two free filters with the most correlated magnitudes, then those that correlate most with the
        first of them.
    """
    with np.errstate(invalid="ignore"):
        correlations = np.corrcoef(np.abs(responses), rowvar=False)
    correlations = np.nan_to_num(correlations)  # of what never responds there is none
    np.fill_diagonal(correlations, -np.inf)
    free = np.arange(len(correlations))
    order: list[np.int64] = []
    while len(free):
        among = correlations[np.ix_(free, free)]
        first = np.unravel_index(among.argmax(), among.shape)[0]
        pool = [first, *np.argsort(-among[first], kind="stable")[: pool_size - 1]]
        order.extend(free[pool])
        free = np.delete(free, pool)
    return np.array(order)


def _audible(frames: NDArray[np.int16]) -> Array:
    """Frames that are not silent, without their means, in [-1, 1)."""
    centred = (frames - frames.mean(axis=1, keepdims=True, dtype=np.float32)) / np.float32(FULL_SCALE)
    loudness = np.std(centred, axis=1)
    return centred[loudness > SILENCE * np.sqrt(np.mean(loudness**2))]


def _whitening(frames: Array, components: int, power: float) -> Array:
    """The matrix (components, length) to the largest principal components, divided by a power of their variances."""
    variances, directions = np.linalg.eigh(np.cov(frames, rowvar=False, bias=True))
    variances = np.maximum(variances, FLOOR * variances[-1])
    return np.ascontiguousarray((directions * variances**-power)[:, -components:].T, dtype=np.float32)


def _as_loud_as_a_spectrogram(filters: Array, frames: Array, pool_size: int) -> Array:
    def energies(rows: NDArray[Any]) -> NDArray[Any]:
        return np.square(frames @ rows.T).reshape(len(frames), -1, pool_size).mean(axis=2)

    ours, mel = energies(filters), energies(mel_filters_in_time(len(filters), pool_size, filters.shape[1]))

    def excess(log_gain: float) -> float:
        return float(np.mean(np.log1p(COMPRESSION * np.exp(log_gain) * ours)) - np.mean(np.log1p(COMPRESSION * mel)))

    import scipy.optimize  # not above, as it takes long and few networks need it

    return filters * np.float32(np.exp(scipy.optimize.brentq(excess, -60, 60) / 2))


def _unit(rows: NDArray[Any]) -> Array:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.maximum(lengths, np.finfo(np.float32).tiny)).astype(np.float32)

"""Learning filters without labels: sources that are known are recovered, and from noise nothing is."""

import numpy as np
import pytest

from theanoish.errors import InputError
from theanoish.model.initial_filters import mel_filters_in_time
from theanoish.training import unsupervised
from theanoish.training.unsupervised import (
    LEARNED_WITH,
    independent_subspaces,
    k_means,
    learn_filters,
    pools_of_similar,
)

LENGTH, SOURCES, FRAMES = 64, 16, 6000


@pytest.fixture(autouse=True)
def coarse_mel_filters(monkeypatch):
    """Sooner solved; as fine as the project's spectrograms."""
    monkeypatch.setattr("theanoish.model.initial_filters._GRID", 1024)


def sinusoid_pairs():
    """Orthonormal cosines and sines of 16 frequencies: (16, 2, 64)."""
    phases = 2 * np.pi * np.outer(np.arange(1, 2 * SOURCES, 2), np.arange(LENGTH)) / LENGTH
    return np.stack([np.cos(phases), np.sin(phases)], axis=1) / np.sqrt(LENGTH / 2)


def sounding_frames(generator, sources, active):
    """Frames in which each source sounds with probability `active`, at a random phase; with a little noise."""
    phases = generator.uniform(0, 2 * np.pi, (FRAMES, len(sources)))
    levels = generator.exponential(size=phases.shape) * (generator.random(phases.shape) < active)
    frames = (levels * np.cos(phases)) @ sources[:, 0] + (levels * np.sin(phases)) @ sources[:, 1]
    return (frames + 0.01 * generator.standard_normal(frames.shape)).astype(np.float32)


def shares(filters, sources):
    """Share of the energy of each pool of two filters in each source's plane: (pools, sources)."""
    inside = np.einsum("fn,skn->fsk", filters, sources) ** 2
    pools = inside.sum(axis=2).reshape(-1, 2, len(sources)).sum(axis=1)
    return pools / (filters**2).sum(axis=1).reshape(-1, 2).sum(axis=1)[:, None]


def test_independent_subspaces_recover_the_planes_of_sinusoids():
    generator, sources = np.random.default_rng(0), sinusoid_pairs()
    frames = sounding_frames(generator, sources, active=0.3)
    basis = sources.reshape(-1, LENGTH)  # of the whitened frames; the sources' planes are its pairs
    rows = independent_subspaces(frames @ basis.T.astype(np.float32), 2, generator, "jax")
    np.testing.assert_allclose(rows @ rows.T, np.eye(2 * SOURCES), atol=1e-4)
    found = shares(rows @ basis, sources)
    assert np.median(found.max(axis=1)) > 0.95
    assert len(set(found.argmax(axis=1))) >= SOURCES - 2, "different pools find different sources"
    noise = generator.standard_normal((FRAMES, 2 * SOURCES)).astype(np.float32)  # has no subspaces to recover
    rows = independent_subspaces(noise, 2, generator, "jax")
    assert np.median(shares(rows @ basis, sources).max(axis=1)) < 0.6


def test_k_means_recovers_waveforms():
    generator = np.random.default_rng(0)
    waveforms = generator.standard_normal((SOURCES, LENGTH))
    waveforms /= np.linalg.norm(waveforms, axis=1, keepdims=True)
    one_at_a_time = generator.choice([-1, 1], (FRAMES, 1)) * waveforms[generator.integers(SOURCES, size=FRAMES)]
    frames = one_at_a_time + 0.3 / np.sqrt(LENGTH) * generator.standard_normal((FRAMES, LENGTH))
    centroids = k_means(frames.astype(np.float32), 2 * SOURCES, generator)
    np.testing.assert_allclose(np.linalg.norm(centroids, axis=1), 1, rtol=1e-5)
    assert (abs(waveforms @ centroids.T).max(axis=1) > 0.95).sum() >= SOURCES - 1
    noise = k_means(generator.standard_normal((FRAMES, LENGTH)).astype(np.float32), 2 * SOURCES, generator)
    assert abs(waveforms @ noise.T).max() < 0.7


@pytest.mark.parametrize("pool_size", [2, 4])
def test_pools_hold_filters_that_respond_together(pool_size):
    generator = np.random.default_rng(0)
    levels = np.repeat(generator.exponential(size=(FRAMES, 8)), pool_size, axis=1)
    responses = levels * generator.standard_normal(levels.shape)
    responses[:, :pool_size] = 0  # these go together, as they go with nothing else
    shuffled = generator.permutation(8 * pool_size)
    order = pools_of_similar(responses[:, shuffled], pool_size)
    pools = shuffled[order].reshape(8, pool_size) // pool_size
    assert (pools == pools[:, :1]).all()


@pytest.fixture(scope="module")
def recording():
    """Int16 frames of decaying tones with silence between them."""
    generator = np.random.default_rng(1)
    levels = np.repeat(generator.exponential(size=(50, 1)) * (generator.random((50, 1)) < 0.8), 30, axis=0)
    time = np.arange(LENGTH)
    frequency = np.repeat(generator.uniform(0.02, 0.4, (50, 1)), 30, axis=0)
    phase = generator.uniform(0, 2 * np.pi, frequency.shape)
    frames = 3000 * levels * np.sin(2 * np.pi * frequency * time + phase)
    return (frames + 20 * (levels > 0) * generator.standard_normal(frames.shape)).astype(np.int16)


@pytest.mark.parametrize("power", [0.25, 0.5])
def test_whitening_takes_the_largest_components_and_makes_them_alike(power):
    generator = np.random.default_rng(0)
    frames = generator.standard_normal((FRAMES, 4)) @ np.diag([3.0, 2.0, 1.0, 0.1])
    whitening = unsupervised._whitening(frames.astype(np.float32), 3, power)
    variances = np.array([9.0, 4.0, 1.0]) ** (1 - 2 * power)
    found = np.cov(frames @ whitening.T, rowvar=False)
    np.testing.assert_allclose(np.sort(np.diag(found)), np.sort(variances), rtol=0.05)
    np.testing.assert_allclose(found, np.diag(np.diag(found)), atol=0.05)


@pytest.mark.parametrize("method", LEARNED_WITH)
def test_filters_depend_on_the_seed_alone_and_are_as_loud_as_a_spectrogram(recording, method, monkeypatch):
    monkeypatch.setattr(unsupervised, "UPDATES", 50)

    def mean_activation(filters):
        energies = ((recording[recording.any(axis=1)] / 32_768 @ filters.T) ** 2).reshape(-1, 8, 2).mean(axis=2)
        return np.log1p(10_000 * energies).mean()

    learned = learn_filters(method, recording, 16, 2, seed=3, backend="jax")
    assert learned.shape == (16, LENGTH) and learned.dtype == np.float32
    power = np.abs(np.fft.rfft(learned, 256)) ** 2
    peaks = [slice(max(0, peak - 4), peak + 5) for peak in power.argmax(axis=1)]
    assert np.median([row[peak].sum() / row.sum() for row, peak in zip(power, peaks, strict=True)]) > 0.8  # noise: 0.16
    assert mean_activation(learned) == pytest.approx(mean_activation(mel_filters_in_time(16, 2, LENGTH)), rel=0.1)
    np.testing.assert_allclose(learned.mean(axis=1), 0, atol=1e-4 * np.abs(learned).max())
    np.testing.assert_array_equal(learned, learn_filters(method, recording, 16, 2, seed=3, backend="jax"))
    seeds, generator = [], np.random.default_rng
    monkeypatch.setattr(np.random, "default_rng", lambda seed: seeds.append(seed) or generator(seed))
    assert not np.array_equal(learned, learn_filters(method, recording, 16, 2, seed=4, backend="jax"))
    assert seeds == [[4, 3]]  # the seed's stream 3, which nothing else draws from


def test_what_filters_are_learned_with():
    """As docs/future-work.md's filters were; whoever changes a number makes others of each seed."""
    both = {"frames": 40_000, "silence": 0.01, "floor": 1e-6}
    subspaces = {"whitening": 0.25, "minibatch": 300, "updates": [1000, 1000], "learning_rate": 2.0}
    assert {
        "unsupervised": both | subspaces,
        "k-means": both | {"whitening": 0.5, "iterations": 15},
    } == LEARNED_WITH


def test_a_frame_is_silent_below_a_hundredth_of_the_mean_loudness():
    levels = np.array([20, 150, 10_000, 14_000])  # whose root mean square is 8,603
    frames = (levels[:, None] * [1, -1] + 5).astype(np.int16)  # an offset is no sound
    np.testing.assert_allclose(unsupervised._audible(frames) * 32_768, levels[1:, None] * [1, -1])


def test_a_small_step_of_independent_subspaces_is_the_projected_gradient(monkeypatch):
    """By finite differences of its objective: what is left of the gradient among orthonormal bases."""
    rate, generator = 1e-3, np.random.default_rng(0)
    monkeypatch.setattr(unsupervised, "UPDATES", 1)
    monkeypatch.setattr(unsupervised, "LEARNING_RATE", rate)
    basis = np.linalg.qr(generator.standard_normal((4, 4)))[0]
    frame = generator.standard_normal(4)

    def objective(rows):
        return np.sqrt(np.mean((rows @ frame).reshape(2, 2) ** 2, axis=1) + unsupervised.ROUNDING).sum()

    nudges = 1e-6 * np.eye(16).reshape(4, 4, 4, 4)
    gradient = [[(objective(basis + n) - objective(basis - n)) / 2e-6 for n in row] for row in nudges]
    turn = np.array(gradient) @ basis.T
    start, frames = basis.astype(np.float32), np.tile(frame, (10, 1)).astype(np.float32)
    moved = unsupervised._descend(start, 2, frames, generator, "jax") - start
    np.testing.assert_allclose(moved / rate, (turn.T - turn) @ basis, atol=2e-3)


def test_silence_is_an_error():
    with pytest.raises(InputError, match="silent"):
        learn_filters("k-means", np.zeros((5000, LENGTH), np.int16), 16, 2, seed=1, backend="jax")

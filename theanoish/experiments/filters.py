"""What the filters of a trained strided convolution are like, in numbers (section 4.2, Figs. 2 to 4).

Frequencies are in Hz; filters are rows of (filters, length) arrays.
"""

from typing import Any

import numpy as np
import scipy.signal
from numpy.typing import NDArray

from theanoish.model.network import Network
from theanoish.settings import SAMPLE_RATE, Settings

Array = NDArray[np.float64]

FFT_LENGTH = 4096  # filters are zero-padded to it, so that a peak is found to about 4 Hz
LOW_PASS = 2000.0  # Hz; the paper does not give the cutoff of its Fig. 4
_NOISE_FILTERS = 2000
_PERCENTILE = 99.0
_LOW = 1000.0  # the paper's Fig. 2 rises almost linearly up to here
_HIGH = 3500.0  # and few filters lie above


def filters_of(network: Network) -> Array:
    """The filters of a network's strided convolution, (filters, length); only networks that take raw audio have one."""
    return network.values()["strided/filters"].astype(np.float64)


def initial_filters(settings: Settings) -> Array:
    """The filters that training with these settings started from, (filters, length)."""
    return filters_of(Network(settings, tags=1))


def frequencies() -> Array:
    """Frequency of each bin of `spectra`."""
    return np.arange(FFT_LENGTH // 2 + 1, dtype=np.float64) * (SAMPLE_RATE / FFT_LENGTH)


def spectra(filters: Array) -> Array:
    """Magnitude spectra, each normalised to a maximum of 1: (filters, bins)."""
    magnitudes = np.abs(np.fft.rfft(filters, FFT_LENGTH))
    return magnitudes / np.maximum(magnitudes.max(axis=1, keepdims=True), np.finfo(float).tiny)


def dominant_frequencies(filters: Array) -> Array:
    """Frequency of the largest magnitude of each filter, (filters,)."""
    return frequencies()[spectra(filters).argmax(axis=1)]


def peak_energy(filters: Array) -> Array:
    """Share of each filter's energy that lies around its dominant frequency, (filters,).

    Around means within two bins of a transform of the filter's own length to either side, such as 62.5 Hz for 512
    samples: there a pure tone has about 95 % of its energy, whatever its phase, and white noise hardly any.
    """
    energy = spectra(filters) ** 2
    width = 2 * SAMPLE_RATE / filters.shape[1]
    distance = np.abs(frequencies() - dominant_frequencies(filters)[:, None])
    total = np.maximum(energy.sum(axis=1), np.finfo(float).tiny)
    return (energy * (distance <= width)).sum(axis=1) / total


def selectivity_threshold(length: int) -> float:
    """Peak energy that one in a hundred filters of white noise exceeds; above it a filter counts as selective."""
    noise = np.random.default_rng(0).standard_normal((_NOISE_FILTERS, length))
    return float(np.percentile(np.concatenate([peak_energy(part) for part in np.split(noise, 20)]), _PERCENTILE))


def describe_spectra(filters: Array) -> dict[str, Any]:
    """What Fig. 2 shows, in numbers.

    Parameters
    ----------
    filters : float array (filters, length)

    Returns
    -------
    dict
        ``selective``: share of filters whose `peak_energy` is above ``selectivity_threshold``, that of noise;
        ``median_peak_energy``; ``dominant_below_1000``, ``dominant_above_3500``: shares of filters, which are 0.125 and
        0.5625 where dominant frequencies are spread evenly, as in noise; ``dominant_deciles``: of the dominant
        frequencies; ``rise_below_1000``: the straight line through those below 1000 Hz in rising order, Hz a filter,
        and the share of their variance that it explains, None for fewer than three.
    """
    dominant = np.sort(dominant_frequencies(filters))
    energy, threshold = peak_energy(filters), selectivity_threshold(filters.shape[1])
    return {
        "filters": len(filters),
        "selective": float((energy > threshold).mean()),
        "selectivity_threshold": threshold,
        "median_peak_energy": float(np.median(energy)),
        "dominant_below_1000": float((dominant < _LOW).mean()),
        "dominant_above_3500": float((dominant > _HIGH).mean()),
        "dominant_deciles": [float(value) for value in np.percentile(dominant, range(10, 100, 10))],
        "rise_below_1000": _straight_line(dominant[dominant < _LOW]),
    }


def _straight_line(values: Array) -> dict[str, float] | None:
    if len(values) < 3 or np.ptp(values) == 0:
        return None
    ranks = np.arange(len(values))
    slope = np.polyfit(ranks, values, 1)[0]
    return {"hz_a_filter": float(slope), "r_squared": float(np.corrcoef(ranks, values)[0, 1] ** 2)}


def low_passed(filters: Array) -> Array:
    """Filters without what lies above `LOW_PASS`: a Butterworth filter, run forwards and backwards to shift nothing."""
    sections = scipy.signal.butter(4, LOW_PASS, fs=SAMPLE_RATE, output="sos")
    return scipy.signal.sosfiltfilt(sections, filters, axis=1)


def similarities(filters: Array) -> Array:
    """Largest normalised cross-correlation of each pair of filters over all shifts, (filters, filters).

    It is 1 for filters that are shifted versions of each other, and near 0 for unrelated noise.
    """
    length = filters.shape[1]
    norms = np.linalg.norm(filters, axis=1, keepdims=True)
    transforms = np.fft.rfft(filters / np.maximum(norms, np.finfo(float).tiny), 2 * length)
    return np.stack([np.fft.irfft(one.conj() * transforms, 2 * length).max(axis=1) for one in transforms])


def describe_pools(filters: Array, pool_size: int) -> dict[str, float]:
    """What Fig. 4 shows, in numbers: how alike the filters within a pool are, against pairs from different pools.

    Parameters
    ----------
    filters : float array (filters, length)
    pool_size : int
        Adjacent filters in a pool.

    Returns
    -------
    dict
        Mean `similarities` of all pairs ``within`` a pool and of all pairs ``between`` pools, and the share of pools,
        ``alike``, whose mean is above that of 95 % of the pairs between pools.
    """
    values = similarities(filters)
    pools = np.arange(len(filters)) // pool_size
    first, second = np.triu_indices(len(filters), 1)
    same = pools[first] == pools[second]
    pairs = values[first, second]
    by_pool = np.bincount(pools[first[same]], pairs[same]) / (pool_size * (pool_size - 1) / 2)
    return {
        "within": float(pairs[same].mean()),
        "between": float(pairs[~same].mean()),
        "alike": float((by_pool > np.percentile(pairs[~same], 95)).mean()),
    }


def describe(settings: Settings, filters: Array) -> dict[str, Any]:
    """All numbers of a network's filters, beside the same of the filters that its training started from.

    Parameters
    ----------
    settings : Settings
    filters : float array (filters, length)

    Returns
    -------
    dict
        ``network``, ``seed``; ``spectra`` and, with feature pooling, ``pools`` and ``pools_low_passed``, which is as
        Fig. 4 shows them: each with ``learned`` and ``initial`` values.
    """
    both = {"learned": filters, "initial": initial_filters(settings)}
    values: dict[str, Any] = {"network": settings.name, "seed": settings.seed}
    values["spectra"] = {name: describe_spectra(which) for name, which in both.items()}
    if settings.pooling != "none":
        size = settings.pool_size
        values["pools"] = {name: describe_pools(which, size) for name, which in both.items()}
        values["pools_low_passed"] = {name: describe_pools(low_passed(which), size) for name, which in both.items()}
    return values


def as_text(numbers: dict[str, Any]) -> str:
    """What `describe` returned, for people."""
    learned, initial = numbers["spectra"]["learned"], numbers["spectra"]["initial"]
    lines = [
        f"{numbers['network']}, seed {numbers['seed']}: {learned['filters']} filters (in brackets: before training)"
    ]
    for name, words in (
        ("selective", "frequency-selective"),
        ("median_peak_energy", "median share of energy at the dominant frequency"),
        ("dominant_below_1000", "dominant frequency below 1000 Hz"),
        ("dominant_above_3500", "dominant frequency above 3500 Hz"),
    ):
        lines.append(f"  {words}: {learned[name]:.1%} ({initial[name]:.1%})")
    lines.append(f"  deciles of dominant frequencies: {', '.join(f'{f:.0f}' for f in learned['dominant_deciles'])} Hz")
    if rise := learned["rise_below_1000"]:
        lines.append(f"  rise below 1000 Hz: {rise['hz_a_filter']:.1f} Hz a filter, R² {rise['r_squared']:.3f}")
    for name, words in (("pools", "filters"), ("pools_low_passed", "low-pass filtered filters")):
        if name in numbers:
            now, before = numbers[name]["learned"], numbers[name]["initial"]
            lines.append(
                f"  largest cross-correlation of {words}: {now['within']:.3f} within pools ({before['within']:.3f}), "
                f"{now['between']:.3f} between pools ({before['between']:.3f}); "
                f"{now['alike']:.1%} of the pools are above 95 % of the pairs between pools ({before['alike']:.1%})"
            )
    return "\n".join(lines)

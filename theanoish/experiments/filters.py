"""What the filters of a trained strided convolution are like, in numbers (section 4.2, Figs. 2 to 4).

A number says something only beside what filters without structure reach, so all of them are given for the filters that
training started from, for white noise, and for coloured noise: noise with the mean spectrum of the training data, which
is what random sums of pieces of music look like. Frequencies are in Hz; filters are rows of (filters, length) arrays.
"""

from typing import Any

import numpy as np
import scipy.signal
import scipy.stats
from numpy.typing import NDArray

from theanoish.data.dataset import Dataset
from theanoish.mel_scale import mel_filters
from theanoish.representation import SAMPLE_RATE
from theanoish.settings import Settings

Array = NDArray[np.float64]

BANDS = 32  # on the mel scale: 91 Hz apart below 1000 Hz, wider above
LOW_PASS = 2000.0  # Hz; the paper does not give the cutoff of its Fig. 4
_BESIDE = 64  # zeros on either side while low-passing, after which that filter's response is over
SEGMENT = 4096  # samples that the mean spectrum is measured on
_WINDOWS = 500  # of the training split, for the mean spectrum
_NOISE_FILTERS = _RANDOM_POOLS = 2000
_PERCENTILE = 99.0
_LOW = 1000.0  # the paper's Fig. 2 rises almost linearly up to here
_HIGH = 3500.0  # and few filters lie above
TITLES = {"spectra": "", "pools": "pools", "pools_low_passed": f"pools, low-passed at {LOW_PASS:.0f} Hz"}
WORDS = {
    "filters": "filters",
    "at_0_hz": "with a peak at 0 Hz, which is no frequency",
    "above_white_noise": "others, selective: above 99 % of white noise",
    "bands": f"  bands of these, of {BANDS} on the mel scale",
    "below_1000": "  with a dominant frequency below 1000 Hz",
    "rise": "    their rise, Hz per filter",
    "r_squared": "    R² of a straight line",
    "above_3500": "  with a dominant frequency above 3500 Hz",
    "above_coloured_noise": "  above 99 % of coloured noise",
    "median_peak_energy": "median share of energy at the peak",
    "pools": "pools",
    "alike": "alike: above 99 % of random pools",
    "within": "mean cross-correlation within pools",
    "random": "mean cross-correlation within random pools",
}


def fft_points(length: int) -> int:
    """Samples that filters of `length` are zero-padded to, so that a peak is found to 4 Hz."""
    return max(4096, 1 << (length - 1).bit_length())


def frequencies(length: int) -> Array:
    """Frequency of each bin of the `spectra` of filters of `length` samples."""
    return np.asarray(np.fft.rfftfreq(fft_points(length), 1 / SAMPLE_RATE), np.float64)


def spectra(filters: Array) -> Array:
    """Magnitude spectra, each normalised to a maximum of 1: (filters, bins)."""
    magnitudes = np.abs(np.fft.rfft(filters, fft_points(filters.shape[1])))
    return magnitudes / np.maximum(magnitudes.max(axis=1, keepdims=True), np.finfo(float).tiny)


def dominant_frequencies(filters: Array) -> Array:
    """Frequency of the largest magnitude of each filter, (filters,)."""
    return frequencies(filters.shape[1])[spectra(filters).argmax(axis=1)]


def is_at_zero(filters: Array) -> NDArray[np.bool_]:
    """Whether a filter's peak lies at 0 Hz, which is no frequency: it has less than one period, (filters,).

    To there the main lobe of an offset reaches: 31 Hz for 512 samples.
    """
    return dominant_frequencies(filters) < SAMPLE_RATE / filters.shape[1]


def peak_energy(filters: Array) -> Array:
    """Share of each filter's energy that lies around its dominant frequency, (filters,).

    Around means within two bins of a transform of the filter's own length to either side, such as 62.5 Hz for 512
    samples: there a pure tone has about 95 % of its energy, whatever its phase, and white noise hardly any.
    """
    energy = spectra(filters) ** 2
    peaks = frequencies(filters.shape[1])[energy.argmax(axis=1)]
    around = np.abs(frequencies(filters.shape[1]) - peaks[:, None]) <= 2 * SAMPLE_RATE / filters.shape[1]
    return (energy * around).sum(axis=1) / np.maximum(energy.sum(axis=1), np.finfo(float).tiny)


def mean_spectrum(dataset: Dataset, settings: Settings) -> Array:
    """Mean power spectrum of the training split, from 500 of its windows (Welch's method).

    Returns
    -------
    float array (2049,)
        In decibels below its largest value, for 0 to 8000 Hz; to a tenth, so that what is stored is what was used.
    """
    windows = dataset.windows(settings, dataset.rows("train"))
    generator = np.random.default_rng(0)
    clips = np.resize(generator.permutation(len(windows.counts)), _WINDOWS)
    samples = np.empty((_WINDOWS, *windows.shape), windows.dtype)
    windows.read(clips, windows.training_offsets(generator.integers(windows.choices[clips])), samples)
    power = sum(scipy.signal.welch(window, nperseg=SEGMENT, detrend=False)[1] for window in samples)
    power[[0, -1]] *= 2  # of all others, Welch's method adds up two sides
    tiny = np.finfo(float).tiny
    return np.round(10 * np.log10(np.maximum(power, tiny) / max(power.max(), tiny)), 1)


def noise_filters(length: int, decibels: Array | None = None) -> Array:
    """2000 filters of Gaussian noise: white, or with the power spectrum that `mean_spectrum` returned."""
    points = fft_points(length)
    noise = np.random.default_rng(0).standard_normal((_NOISE_FILTERS, points))
    if decibels is not None:
        given = np.linspace(0, SAMPLE_RATE / 2, len(decibels))
        shape = 10 ** (np.interp(frequencies(length), given, decibels) / 20)
        noise = np.fft.irfft(np.fft.rfft(noise) * shape, points)
    return noise[:, :length]


def threshold(noise: Array) -> float:
    """Peak energy that one in a hundred noise filters exceeds; above it a filter counts as selective."""
    return float(np.percentile(np.concatenate([peak_energy(part) for part in np.array_split(noise, 20)]), _PERCENTILE))


def describe_spectra(filters: Array, thresholds: dict[str, float]) -> dict[str, Any]:
    """What Fig. 2 shows, in numbers of filters.

    Parameters
    ----------
    filters : float array (filters, length)
    thresholds : dict of str to float
        `threshold` of white noise and, where it is known, of coloured noise.

    Returns
    -------
    dict
        What `WORDS` names, from "filters" to "median_peak_energy", which is of all of them. ``rise`` and ``r_squared``
        are those of the straight line through the dominant frequencies below 1000 Hz in rising order, None for fewer
        than three.
    """
    length = filters.shape[1]
    dominant, energy = dominant_frequencies(filters), peak_energy(filters)
    zero = is_at_zero(filters)
    selective = {name: ~zero & (energy > least) for name, least in thresholds.items()}
    tuned = np.sort(dominant[selective["white noise"]])
    low = tuned[tuned < _LOW]
    bins = np.searchsorted(frequencies(length), tuned)
    bands = mel_filters(fft_points(length), BANDS)[:, bins].argmax(axis=0)
    line = scipy.stats.linregress(np.arange(len(low)), low) if len(low) > 2 and np.ptp(low) else None
    return {
        "filters": len(filters),
        "at_0_hz": int(zero.sum()),
        "above_white_noise": len(tuned),
        "bands": len(np.unique(bands)),
        "below_1000": len(low),
        "rise": float(line.slope) if line else None,
        "r_squared": float(line.rvalue**2) if line else None,
        "above_3500": int((tuned > _HIGH).sum()),
        "above_coloured_noise": int(selective["coloured noise"].sum()) if "coloured noise" in selective else None,
        "median_peak_energy": float(np.median(energy)),
    }


def low_passed(filters: Array) -> Array:
    """Filters without what lies above `LOW_PASS`: a Butterworth filter, run forwards and backwards to shift nothing."""
    sections = scipy.signal.butter(4, LOW_PASS, fs=SAMPLE_RATE, output="sos")
    # zeros beside a filter, where it has no weights. SciPy's own odd extension lets its first and last sample through,
    # whatever they are, and an even one counts their noise twice
    beside = np.pad(filters, ((0, 0), (_BESIDE, _BESIDE)))
    return scipy.signal.sosfiltfilt(sections, beside, axis=1, padtype=None)[:, _BESIDE:-_BESIDE]


def similarities(filters: Array) -> Array:
    """Largest normalised cross-correlation of each pair of filters over all shifts, (filters, filters).

    It is 1 for filters that are shifted versions of each other, and near 0 for unrelated white noise.
    """
    length = filters.shape[1]
    norms = np.linalg.norm(filters, axis=1, keepdims=True)
    transforms = np.fft.rfft(filters / np.maximum(norms, np.finfo(float).tiny), 2 * length)
    return np.stack([np.fft.irfft(one.conj() * transforms, 2 * length).max(axis=1) for one in transforms])


def describe_pools(filters: Array, pool_size: int) -> dict[str, Any]:
    """What Fig. 4 shows, in numbers: how alike the filters within a pool are, against those of random pools.

    Parameters
    ----------
    filters : float array (filters, length)
    pool_size : int
        Adjacent filters in a pool.

    Returns
    -------
    dict
        What `WORDS` names, from "pools"; a pool's value is the mean of its pairs' `similarities`, and the random pools
        are made of the same filters.
    """
    values = similarities(filters)
    pools = np.arange(len(filters)).reshape(-1, pool_size)
    many = np.tile(np.arange(len(filters)), (_RANDOM_POOLS, 1))
    shuffled = np.random.default_rng(0).permuted(many, axis=1)[:, :pool_size]
    first, second = np.triu_indices(pool_size, 1)
    within, random = (values[which[:, first], which[:, second]].mean(axis=1) for which in (pools, shuffled))
    return {
        "pools": len(pools),
        "alike": int((within > np.percentile(random, _PERCENTILE)).sum()),
        "within": float(within.mean()),
        "random": float(random.mean()),
    }


def describe(learned: Array, initial: Array, pool_size: int = 1, decibels: Array | None = None) -> dict[str, Any]:
    """All numbers of a network's filters, beside those of filters without structure.

    Parameters
    ----------
    learned, initial : float array (filters, length)
        After and before training.
    pool_size : int
        Above 1, adjacent filters in a pool.
    decibels : float array, optional
        `mean_spectrum` of the training data; without it there is no coloured noise.

    Returns
    -------
    dict
        ``thresholds`` of noise; `describe_spectra` as ``spectra`` and, with pools, `describe_pools` as ``pools`` and
        ``pools_low_passed``, which is as Fig. 4 shows them: each by the name of the filters, "learned", "initial",
        "white noise", "coloured noise"; and the ``mean_spectrum``.
    """
    noises = {"white noise": noise_filters(learned.shape[1])}
    if decibels is not None:
        noises["coloured noise"] = noise_filters(learned.shape[1], decibels)
    thresholds = {name: threshold(noise) for name, noise in noises.items()}
    groups = {"learned": learned, "initial": initial}
    groups |= {name: noise[: len(learned)] for name, noise in noises.items()}
    numbers: dict[str, Any] = {"thresholds": thresholds}
    numbers["spectra"] = {name: describe_spectra(filters, thresholds) for name, filters in groups.items()}
    if pool_size > 1:
        for name, change in (("pools", np.asarray), ("pools_low_passed", low_passed)):
            numbers[name] = {group: describe_pools(change(filters), pool_size) for group, filters in groups.items()}
    return {**numbers, "mean_spectrum": None if decibels is None else decibels.tolist()}


def as_text(numbers: dict[str, Any]) -> str:
    """What `figures.make_figures` returned, as tables for people."""
    lines = ["{network}, seed {seed}, update {update}".format(**numbers)]
    for part, title in TITLES.items():
        if groups := numbers.get(part):
            lines.append(f"{title:45}" + "".join(f"{name:>16}" for name in groups))
            for name in groups["learned"]:
                cells = [group[name] for group in groups.values()]
                shown = ["-" if c is None else f"{c:.3f}" if isinstance(c, float) else str(c) for c in cells]
                lines.append(f"  {WORDS[name]:43}" + "".join(f"{text:>16}" for text in shown))
    if reason := numbers["coloured_noise_left_out"]:
        lines.append(f"no coloured noise: {reason}")
    return "\n".join(lines)

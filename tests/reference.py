"""The paper's network written a second time, in plain NumPy and SciPy and double precision, to test against."""

import numpy as np
from scipy.signal import correlate
from scipy.special import expit

from theanoish.settings import Settings


def strided_convolution(signal, filters, bias, stride):
    """(minibatch, samples), (filters, length) -> (minibatch, frames, filters)"""
    filters = np.float64(filters)
    maps = [[correlate(row, f, "valid")[::stride] for f in filters] for row in np.float64(signal)]
    return np.moveaxis(np.array(maps), 1, 2) + bias


def convolution(maps, filters):
    """(minibatch, time, channels), (filters, channels, width) -> (minibatch, time - width + 1, filters)"""
    maps, filters = np.float64(maps), np.float64(filters)
    outputs = [[correlate(m, one.T, "valid")[:, 0] for one in filters] for m in maps]
    return np.moveaxis(np.array(outputs), 1, 2)


def max_pool(maps, size):
    return np.stack([maps[:, t : t + size].max(axis=1) for t in range(0, maps.shape[1], size)], axis=1)


def l2_pool(maps, size):
    groups = [maps[:, :, c : c + size] for c in range(0, maps.shape[2], size)]
    return np.stack([np.sqrt((g**2).mean(axis=2) + 1e-6) for g in groups], axis=2)


def channel_max_pool(maps, size):
    return np.stack([maps[:, :, c : c + size].max(axis=2) for c in range(0, maps.shape[2], size)], axis=2)


def relu(x):
    return np.maximum(x, 0)


def logits(settings: Settings, p, windows, mask=None):
    """Fig. 1 in the paper's order: convolution, bias, ReLU, pooling."""
    x = np.float64(windows)
    if settings.frontend == "raw":
        x = strided_convolution(
            x / 32768 / p["start/loudness"], p["strided/filters"], p["strided/bias"], settings.stride
        )
        x = {
            ("relu", "none"): relu,
            ("log-square", "none"): lambda x: np.log(1 + 10_000 * x**2),
            ("log-absolute", "none"): lambda x: np.log(1 + 10_000 * abs(x)),
            ("relu", "l2"): lambda x: l2_pool(x, settings.pool_size),
            ("log-square", "l2"): lambda x: np.log(1 + 10_000 * (l2_pool(x, settings.pool_size) ** 2 - 1e-6)),
            ("relu", "max"): lambda x: channel_max_pool(x, settings.pool_size),
        }[settings.nonlinearity, settings.pooling](x)
    elif settings.mel_bands < 128:
        size = 128 // settings.mel_bands
        x = np.log(1 + sum(np.exp(x[:, :, i::size]) - 1 for i in range(size)) / size)
    x = (x - np.float64(p["start/centre"])) / np.float64(p["start/spread"])
    for layer in "12":
        x = max_pool(relu(convolution(x, p[f"convolution{layer}/filters"]) + p[f"convolution{layer}/bias"]), 4)
    x = x.reshape(len(x), -1)
    keep = np.ones((len(x), x.shape[1] + 100)) if mask is None else mask / (1 - settings.dropout)
    units = relu((x * keep[:, : x.shape[1]]) @ np.float64(p["hidden/weights"]) + p["hidden/bias"])
    return (units * keep[:, x.shape[1] :]) @ np.float64(p["output/weights"]) + p["output/bias"]


def probabilities(settings: Settings, p, windows):
    return expit(logits(settings, p, windows))


def cross_entropy(logits, labels):
    """The formula as it stands in textbooks, in double precision."""
    q = expit(logits)
    return -np.mean(labels * np.log(q) + (1 - labels) * np.log(1 - q))


def numerical_gradient(function, values, step=1e-6):
    """Central differences of a scalar function of one float64 array, element by element."""
    values = np.float64(values)
    gradient = np.empty_like(values)
    for i in np.ndindex(values.shape):
        ends = []
        for sign in (1, -1):
            moved = values.copy()
            moved[i] += sign * step
            ends.append(function(moved))
        gradient[i] = (ends[0] - ends[1]) / (2 * step)
    return gradient

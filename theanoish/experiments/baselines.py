"""What a data set gives away without any network: rows that networks must beat, and shortcuts that they might take.

*Shortcuts* are features that cannot be music: a clip's mean over its RMS (an offset of the recording or of a
synthesiser), its RMS, its peak and its length. A tag that one of them predicts, and that is not about loudness, is
predicted for a reason that a network may find as well. *Log-mel statistics*, mean and standard deviation over frames of
each of the 128 bands, are music, but without any notion of time; logistic regression on them is the row to beat. With
the training labels shuffled the same regression shows what noise scores.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theanoish.data.dataset import Dataset, Windows
from theanoish.data.hdf5 import SPLITS
from theanoish.data.mel import log_mel
from theanoish.errors import InputError
from theanoish.experiments.evaluation import Predictions, plain, predictions_of, read_predictions, write_predictions
from theanoish.experiments.paper import REGRESSION
from theanoish.experiments.statistics import interval_of_checkpoint, resample, tag_aucs
from theanoish.files import read_json, write_json
from theanoish.representation import LENGTHS_AND_STRIDES, MEL_CHANNELS, RAW, Representation
from theanoish.settings import Settings
from theanoish.training.metrics import score_tags

SHORTCUTS = ("mean / RMS", "RMS", "peak", "length")
_LOUDNESS = {"loud", "quiet", "soft", "hard", "heavy", "calm", "silent", "silence", "low", "volume", "noisy"}
_STRENGTHS = (0.001, 0.01, 0.1, 1.0)  # of the regression: scikit-learn's C, chosen by validation AUC
_SMALLEST_OFFSET = 1e-3  # of the RMS; a mean that is smaller predicts tags as well, but no network would find it
_NO_SAMPLES = "the file has no raw samples: mean, RMS and peak were not looked at"
_NOTABLE_AUC, _NOTABLE_DEVIATIONS = 0.6, 3.0

Report = Callable[[str, int, int], None]


def measure_baselines(path: Path, report: Report = lambda *_: None) -> tuple[dict[str, Any], Predictions]:
    """Fit all baselines on the training split of a data set and score them on its test split.

    Parameters
    ----------
    path : Path
        HDF5 data set with raw samples, a log-mel spectrogram or both; with the latter alone only lengths are shortcuts.
    report : callable, optional
        Called with what is counted, how many are done, and of how many.

    Returns
    -------
    values : dict
        Plain values: "data", its "fingerprint", "clips" per split, the "spectrogram" that log-mel statistics are of,
        "baselines" (each with "name", "mean_auc", "mean_auc_interval", "mean_average_precision", "tags"), "warnings".
    regression : Predictions
        Of logistic regression on log-mel statistics, for the test clips.
    """
    dataset = Dataset(path)
    parts = {split: np.flatnonzero(dataset.splits == split) for split in SPLITS}
    parts |= {split: dataset.rows(split) for split in ("train", "test")}
    there = [shape for shape in LENGTHS_AND_STRIDES if Representation(*shape).name in dataset.representations]
    spectrogram = Representation(*[*there, LENGTHS_AND_STRIDES[0]][0])
    shortcuts, bands = _features_of(dataset, spectrogram, report)
    strength = _best_strength(bands, dataset, parts)
    train_labels = dataset.labels[parts["train"]]
    shuffled = np.random.default_rng(0).permutation(train_labels)
    fits = [(name, values, 1.0, train_labels) for name, values in _shortcuts(shortcuts, parts["train"]).items()]
    fits += [(REGRESSION, bands, strength, train_labels)]
    fits += [(f"{REGRESSION}, training labels shuffled", bands, strength, shuffled)]
    rows, predictions = [], {}
    for name, features, c, labels in fits:
        predicted = _predict(features[parts["train"]], labels, features[parts["test"]], c)
        predictions[name] = predictions_of(dataset, parts["test"], dataset.tags, predicted)
        rows.append(_scored(name, predictions[name]))
        report("baselines", len(rows), len(fits))
    warnings = [] if RAW.name in dataset.representations else [_NO_SAMPLES]
    values = {
        "data": path.name,
        "fingerprint": dataset.fingerprint(),
        "clips": {split: len(chosen) for split, chosen in parts.items()},
        "spectrogram": spectrogram.name,
        "baselines": rows,
        "warnings": [*warnings, *(line for row in rows if row["name"] in SHORTCUTS for line in _warnings(row))],
    }
    return values, predictions[REGRESSION]


def _shortcuts(columns: NDArray[np.float64], train: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """Each shortcut (clips, 4) that is known with its square, so that a middle may be preferred, and all together."""
    from sklearn.preprocessing import StandardScaler  # not above, as scikit-learn takes long to import

    known = np.flatnonzero(np.isfinite(columns).all(axis=0))
    columns = columns[:, known]
    squares = StandardScaler().fit(columns[train]).transform(columns) ** 2
    found = {SHORTCUTS[k]: np.stack([columns[:, i], squares[:, i]], axis=1) for i, k in enumerate(known)}
    return found | ({"these four together": np.hstack([columns, squares])} if len(known) == len(SHORTCUTS) else {})


def _features_of(
    dataset: Dataset, spectrogram: Representation, report: Report
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shortcuts (clips, 4), NaN but for lengths without raw samples; mean and spread per band (clips, 256)."""
    every = np.arange(len(dataset.ids))
    raw = dataset.windows(Settings(frontend="raw"), every) if "raw" in dataset.representations else None
    settings = Settings(frontend="mel", length=spectrogram.length, stride=spectrogram.stride)
    mel = dataset.windows(settings, every) if spectrogram.name in dataset.representations else None
    if raw is None and mel is None:
        raise InputError(f"{dataset.path}: has neither raw samples nor a spectrogram; build it again")
    shortcuts, bands = np.full((len(every), len(SHORTCUTS)), np.nan), np.empty((len(every), 2 * MEL_CHANNELS))
    shortcuts[:, -1] = np.log(dataset.samples)
    for clip in range(len(every)):
        samples = _whole_clip(raw, clip) if raw else np.empty(0, np.int16)
        if raw:
            shortcuts[clip, :-1] = _loudness_of(samples)
        frames = _whole_clip(mel, clip) if mel else log_mel(samples, spectrogram)
        bands[clip] = np.concatenate([frames.mean(axis=0, dtype=np.float64), frames.std(axis=0, dtype=np.float64)])
        report("clips", clip + 1, len(every))
    if not np.isfinite(bands).all():
        raise InputError(f"{dataset.path}: a spectrogram holds values that are not finite; build it again")
    return shortcuts, bands


def _whole_clip(windows: Windows, clip: int) -> NDArray[Any]:
    values = np.empty((1, windows.counts[clip], *windows.shape[1:]), windows.dtype)
    windows.read(np.array([clip]), np.zeros(1, np.int64), values)
    return values[0]


def _loudness_of(samples: NDArray[np.int16]) -> tuple[float, float, float]:
    """Mean over RMS, 0 if it is tiny; RMS and peak as logarithms, silence counting as one unit of 16 bits."""
    values = samples.astype(np.float64)
    rms = float(np.sqrt(values @ values / len(values)))
    peak = max(-float(values.min()), float(values.max()))
    offset = float(values.mean()) / rms if rms else 0.0
    offset = offset if abs(offset) >= _SMALLEST_OFFSET else 0.0
    return offset, float(np.log(max(rms, 1.0))), float(np.log(max(peak, 1.0)))


def _predict(
    train: NDArray[np.float64], labels: NDArray[np.uint8], test: NDArray[np.float64], strength: float
) -> NDArray[np.float32]:
    """Probabilities (test clips, tags) by logistic regression on standardised features; 0 for tags with one class."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(train)
    train, test = scaler.transform(train), scaler.transform(test)
    predicted = np.zeros((len(test), labels.shape[1]), np.float32)
    for tag in np.flatnonzero(labels.any(axis=0) & ~labels.all(axis=0)):
        model = LogisticRegression(C=strength, solver="newton-cholesky").fit(train, labels[:, tag])
        predicted[:, tag] = model.predict_proba(test)[:, 1]
    return predicted


def _best_strength(bands: NDArray[np.float64], dataset: Dataset, parts: dict[str, NDArray[np.int64]]) -> float:
    """The strength with the best mean validation AUC; a middling one if nothing can be validated."""
    if len(parts["validation"]) == 0:
        return _STRENGTHS[1]
    train, validation = bands[parts["train"]], bands[parts["validation"]]
    labels, truth = dataset.labels[parts["train"]], dataset.labels[parts["validation"]]
    aucs = [score_tags(truth, _predict(train, labels, validation, strength)).mean_auc for strength in _STRENGTHS]
    return _STRENGTHS[1] if np.isnan(aucs).any() else _STRENGTHS[int(np.argmax(aucs))]


def _scored(name: str, predictions: Predictions) -> dict[str, Any]:
    scores = score_tags(predictions.labels, predictions.probabilities)
    resamples = resample(predictions.artists, predictions.titles)
    resampled = tag_aucs(predictions.labels, predictions.probabilities, resamples.weights)
    deviations = [float(np.std(each[~np.isnan(each)])) if not np.isnan(each).all() else np.nan for each in resampled]
    return {
        "name": name,
        "mean_auc": plain(scores.mean_auc),
        "mean_auc_interval": interval_of_checkpoint(scores.mean_auc, resampled, resamples.units),
        "mean_average_precision": plain(scores.mean_average_precision),
        "tags": [
            {"tag": tag, "auc": plain(auc), "deviation": plain(deviation)}
            for tag, auc, deviation in zip(predictions.tags, scores.auc, deviations, strict=True)
        ],
    }


def _warnings(row: dict[str, Any]) -> list[str]:
    """A line if a shortcut predicts tags that are not about loudness."""
    found = [
        entry
        for entry in row["tags"]
        if entry["auc"] is not None
        and not _LOUDNESS & set(entry["tag"].lower().split())
        and entry["auc"] > _NOTABLE_AUC
        and entry["auc"] - _NOTABLE_DEVIATIONS * entry["deviation"] > 0.5
    ]
    if not found:
        return []
    found.sort(key=lambda entry: -entry["auc"])
    named = ", ".join(f"{entry['tag']} {entry['auc']:.2f}" for entry in found[:5])
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    meaning = "is loudness part of the music there?" if row["name"] in ("RMS", "peak") else "which cannot be music"
    return [f"{row['name']} alone predicts {len(found)} of {len(row['tags'])} tags ({named}{more}): {meaning}"]


def baselines_text(values: dict[str, Any]) -> str:
    """What `measure_baselines` found, for a terminal."""
    clips = ", ".join(f"{count} {split}" for split, count in values["clips"].items())
    lines = [
        f"{values['data']}: {clips} clips; logistic regression, mean test AUC over tags and its 95 % interval; log-mel "
        f"statistics are of {values['spectrogram']}"
    ]
    for row in values["baselines"]:
        auc = "-" if row["mean_auc"] is None else f"{row['mean_auc']:.4f}"
        bounds = row["mean_auc_interval"]
        lines.append(f"{row['name']:<46} {auc:>7}" + (f"  {bounds[0]:.4f} to {bounds[1]:.4f}" if bounds else ""))
    return "\n".join([*lines, *(f"warning: {warning}" for warning in values["warnings"])])


def stored_baselines(
    folder: Path, dataset: Dataset, report: Report = lambda *_: None
) -> tuple[dict[str, Any], Predictions]:
    """What `measure_baselines` finds, kept in a folder; measured again if that is missing, damaged, or of other clips.

    Parameters
    ----------
    folder : Path
        Of ``baselines.json`` and ``regression.npz``.
    dataset : Dataset
    report : callable, optional
        Of `measure_baselines`.
    """
    try:
        values: dict[str, Any] = read_json(folder / "baselines.json")
        kept, test = read_predictions(folder / "regression.npz"), dataset.rows("test")
        same = kept.is_of(dataset.ids[test], dataset.labels[test], dataset.tags)
        if same and (values["data"], values["fingerprint"]) == (dataset.path.name, dataset.fingerprint()):
            return values, kept
    except (InputError, TypeError, KeyError):  # what a hand has damaged
        pass
    values, regression = measure_baselines(dataset.path, report)
    write_predictions(folder / "regression.npz", regression)
    write_json(folder / "baselines.json", values)
    return values, regression

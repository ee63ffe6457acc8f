"""Baselines on clips whose labels are made from one feature each, so that it is known what must find them."""

import json

import h5py
import numpy as np
import pytest

from theanoish.errors import InputError
from theanoish.experiments.baselines import _loudness_of, baselines_text, measure_baselines, read_baselines

TAGS = ["offset", "strong", "long", "high", "coin", "loud"]
CLIPS, SPLITS = 160, ["train"] * 80 + ["validation"] * 30 + ["test"] * 50


def write_data(path, representations=("raw",)):
    """Noise around 500 or 3000 Hz; each tag has one cause, "coin" has none, "loud" is as "strong"."""
    generator = np.random.default_rng(2)
    labels = generator.integers(0, 2, (CLIPS, len(TAGS)), dtype=np.uint8)
    labels[:, 5] = labels[:, 1]
    clips = []
    for offset, strong, long, high, _, _ in labels.tolist():
        time = np.arange(int(generator.integers(48_000, 52_000)) + 4_000 * long) / 16_000
        tone = np.sin(2 * np.pi * (3000 if high else 500) * time) + 0.5 * generator.standard_normal(len(time))
        level = generator.uniform(1000, 1200) * (1.5 if strong else 1)
        clips.append(((tone + 0.1 * offset) * level).astype(np.int16))
    counts = np.array([len(clip) for clip in clips])
    with h5py.File(path, "w") as file:
        file.attrs.update({"format": "theanoish", "format_version": 2, "sample_rate": 16_000, "tags_kept": "all"})
        file["tags"], file["labels"], file["clips/id"], file["clips/split"] = TAGS, labels, np.arange(CLIPS), SPLITS
        file["clips/samples"] = counts
        for name in ("path", "artist", "album", "title"):
            file[f"clips/{name}"] = [f"{name} {i}" for i in range(CLIPS)]
        if "raw" in representations:
            group = file.create_group("raw")
            group["values"], group["start"], group["count"] = np.concatenate(clips), np.cumsum(counts) - counts, counts
        if "mel_1024_1024" in representations:  # not the mel scale, which is not asked for here
            frames = [abs(np.fft.rfft(clip[: len(clip) // 1024 * 1024].reshape(-1, 1024)))[:, :256:2] for clip in clips]
            counts = np.array([len(each) for each in frames])
            group = file.create_group("mel_1024_1024")
            group["values"] = np.log1p(np.concatenate(frames)).astype(np.float32)
            group["start"], group["count"] = np.cumsum(counts) - counts, counts
    return path


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    steps = []
    values = measure_baselines(write_data(tmp_path_factory.mktemp("data") / "d.h5"), lambda *step: steps.append(step))
    return values, steps


def test_each_feature_predicts_what_it_causes_and_nothing_else(found):
    aucs = {row["name"]: {tag["tag"]: tag["auc"] for tag in row["tags"]} for row in found[0]["baselines"]}
    causes = {"mean / RMS": {"offset"}, "RMS": {"strong", "loud"}, "peak": {"strong", "loud"}, "length": {"long"}}
    for name, tags in causes.items():
        for tag in TAGS:
            assert aucs[name][tag] > 0.9 if tag in tags else 0.2 < aucs[name][tag] < 0.8, (name, tag)
    assert min(aucs["these four together"][tag] for tag in ("offset", "strong", "long", "loud")) > 0.9
    assert aucs["log-mel statistics"]["high"] > 0.95
    assert aucs["log-mel statistics"]["coin"] < 0.8


def test_a_mean_that_no_network_would_find_is_none():
    """Of a thousandth of the RMS or less, as high-passed music has, which tells drums nevertheless."""
    samples = np.tile(np.array([1000, -1000], np.int16), 1000)
    samples[:1000] += 1
    assert _loudness_of(samples)[0] == 0
    assert _loudness_of(samples + np.int16(10))[0] == pytest.approx(0.01, rel=0.1)


def test_shuffled_labels_score_nothing(found):
    row = found[0]["baselines"][-1]
    assert row["name"].endswith("shuffled")
    assert row["mean_auc_interval"][0] < 0.5 < row["mean_auc_interval"][1]


def test_warnings_name_what_is_not_about_loudness(found):
    warnings = found[0]["warnings"]
    assert [warning.split(" alone")[0] for warning in warnings] == ["mean / RMS", "RMS", "peak", "length"]
    assert "offset" in warnings[0]
    assert "cannot be music" in warnings[0]
    assert "strong" in warnings[1]
    assert all("loud 0" not in warning and "loud 1" not in warning for warning in warnings)


def test_report_and_json(found):
    values, steps = found
    assert json.loads(json.dumps(values)) == values
    assert values["clips"] == {"train": 80, "validation": 30, "test": 50}
    text = baselines_text(values)
    assert f"{values['baselines'][5]['mean_auc']:.4f}" in text
    assert text.count("warning: ") == 4
    assert ("clips", CLIPS, CLIPS) in steps
    assert steps[-1] == ("baselines", 7, 7)


def test_a_file_with_spectrograms_only(tmp_path):
    values = measure_baselines(write_data(tmp_path / "d.h5", ["mel_1024_1024"]))
    assert [row["name"] for row in values["baselines"]] == [
        "length",
        "log-mel statistics",
        "log-mel statistics, training labels shuffled",
    ]
    assert values["baselines"][1]["tags"][3]["auc"] > 0.95
    assert "no raw samples" in values["warnings"][0]


def test_data_that_cannot_be_used(tmp_path):
    with pytest.raises(InputError, match="neither raw samples nor a spectrogram"):
        measure_baselines(write_data(tmp_path / "none.h5", []))
    path = write_data(tmp_path / "test_only.h5")
    with h5py.File(path, "a") as file:
        file["clips/split"][:] = ["test"] * CLIPS
    with pytest.raises(InputError, match="no clip in split 'train'"):
        measure_baselines(path)


@pytest.mark.parametrize(
    "damaged",
    [{}, {"data": "other.h5"}, {"warnings": [1]}, {"baselines": [{"name": "x"}]}, {"baselines": 3}, {"clips": []}],
)
def test_stored_baselines_are_taken_up_unless_damaged(tmp_path, damaged):
    row = {"name": "length", "mean_auc": 0.5, "mean_auc_interval": [0.4, 0.6]}
    values = {"data": "d.h5", "clips": {"train": 3}, "baselines": [row], "warnings": ["few"]}
    (tmp_path / "baselines.json").write_text(json.dumps(values | damaged))
    assert read_baselines(tmp_path / "baselines.json", "d.h5") == (None if damaged else values)

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from theanoish.tagging.tables import as_dict, as_text, parts_as_text
from theanoish.tagging.taggram import Taggram, clock, tick_seconds


def taggram(probabilities, begins=(0, 3, 6, 7), seconds=10.0, tags=("low", "high"), path="a/song.mp3"):
    values = np.array(probabilities, np.float32)
    return Taggram(Path(path), seconds, list(tags), np.array(begins, float), values)


SONG = taggram([[0.1, 0.5], [0.2, 0.2], [0.1, 0.3], [0.09, 0.8]])


def test_every_moment_belongs_to_the_window_whose_middle_is_nearest():
    assert SONG.edges.tolist() == [0, 3, 6, 8, 10]
    moments = np.linspace(0.001, 9.999, 997)
    nearest = abs(moments[:, None] - (SONG.begins + 1.5)).argmin(axis=1)
    np.testing.assert_array_equal(np.searchsorted(SONG.edges, moments, side="right") - 1, nearest)


def test_strong_is_half_of_the_highest():
    assert SONG.strong(0) == [(0, 8)]  # 0.1, 0.2 and 0.1 of at least 0.1, which is half of 0.2
    assert SONG.strong(1) == [(0, 3), (8, 10)]
    assert taggram(np.full((4, 2), 0.3)).strong(0) == [(0, 10)]
    faint = np.zeros((4, 2))
    assert taggram(faint).strong(0) == []
    assert parts_as_text([], 10.0) == "nowhere"
    faint[1:] = 0.009, 0.012
    faint[3, 0] = 0.02
    assert [taggram(faint).strong(column) for column in (0, 1)] == [[(8, 10)], [(3, 10)]]


def test_tags_come_by_falling_mean():
    assert SONG.order.tolist() == [1, 0]
    np.testing.assert_allclose(SONG.means, [0.1225, 0.45])
    assert taggram(np.full((4, 2), 0.3)).order.tolist() == [0, 1]


def test_text():
    assert as_text(SONG, top=5).splitlines() == [
        "a/song.mp3 (0:10)",
        "  0.45  high  0:00-0:03, 0:08-0:10",
        "  0.12  low   0:00-0:08",
    ]
    assert len(as_text(SONG, top=1).splitlines()) == 2
    short = taggram([[0.1, 0.5]], begins=[0], seconds=1.2)
    assert "shorter than a window" in as_text(short, top=1)
    assert "throughout" in as_text(short, top=1)
    odd = replace(SONG, remark="damaged: holds 0:10 of 0:20")
    assert as_text(odd, top=1).startswith("a/song.mp3 (0:10, damaged: holds 0:10 of 0:20)")
    assert as_dict(odd)["remark"] == odd.remark
    flicker = taggram(np.tile([[0.9], [0.1]], (6, 1)), begins=range(0, 36, 3), seconds=36, tags=["on"])
    assert as_text(flicker, top=1).endswith("  on  0:00-0:03, 0:06-0:09, 0:12-0:15 and 3 shorter")


def test_plain_values():
    values = as_dict(SONG)
    assert values["tags"][0] == {"tag": "high", "probability": 0.45, "strong": [[0.0, 3.0], [8.0, 10.0]]}
    assert values["windows"]["begins"] == [0, 3, 6, 7]
    assert values["windows"]["probabilities"] == {"low": [0.1, 0.2, 0.1, 0.09], "high": [0.5, 0.2, 0.3, 0.8]}
    assert (values["seconds"], values["padded"]) == (10, False)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3599.7, "1:00:00"), (36_061, "10:01:01")]
)
def test_clock(seconds, text):
    assert clock(seconds) == text


@pytest.mark.parametrize("seconds", [0.5, 3, 29.1, 240, 3600, 40_000, 1e6])
def test_ticks_are_few_and_within(seconds):
    ticks = tick_seconds(seconds, 6)
    assert ticks[0] == 0
    assert len(ticks) <= 7
    assert ticks[-1] <= seconds
    assert seconds < 2 or len(ticks) > 1

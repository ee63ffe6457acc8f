from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from theanoish.tagging.tables import as_dict, as_text, parts_as_text
from theanoish.tagging.taggram import Taggram, clock, tick_seconds


def taggram(probabilities, begins=(0, 3, 6, 7), seconds=10.0, tags=("low", "high")):
    values = np.array(probabilities, np.float32)
    return Taggram(Path("a/song.mp3"), seconds, list(tags), np.array(begins, float), values)


SONG = taggram([[0.1, 0.5], [0.2, 0.2], [0.1, 0.3], [0.09, 0.8]])


def test_every_moment_belongs_to_the_window_whose_middle_is_nearest():
    assert SONG.edges.tolist() == [0, 3, 6, 8, 10]
    moments = np.linspace(0.001, 9.999, 997)
    nearest = abs(moments[:, None] - (SONG.begins + 1.5)).argmin(axis=1)
    np.testing.assert_array_equal(np.searchsorted(SONG.edges, moments, side="right") - 1, nearest)


def test_strong_is_half_of_the_highest_and_one_percent():
    faint = [[0, 0], [0.009, 0.009], [0.009, 0.012], [0.02, 0.012]]
    # 0.1, 0.2 and 0.1 of at least 0.1, which is half of 0.2
    for song, parts in ((SONG, [[(0, 8)], [(0, 3), (8, 10)]]), (taggram(faint), [[(8, 10)], [(6, 10)]])):
        assert [song.strong(column) for column in (0, 1)] == parts
    equal = taggram(np.full((4, 2), 0.3))
    assert (equal.strong(0), equal.order.tolist()) == ([(0, 10)], [0, 1])
    assert taggram(np.zeros((4, 2))).strong(0) == [] and parts_as_text([], 10.0) == "nowhere"


def test_text():
    assert as_text(SONG, top=5).splitlines() == [
        "a/song.mp3 (0:10)",
        "  0.45  high  0:00-0:03, 0:08-0:10",
        "  0.12  low   0:00-0:08",
    ]
    short = as_text(taggram([[0.1, 0.5]], begins=[0], seconds=1.2), top=1)
    assert "shorter than a window" in short and "throughout" in short and "low " not in short
    odd = replace(SONG, remark="damaged: holds 0:10 of 0:20")
    assert as_text(odd, top=1).startswith("a/song.mp3 (0:10, damaged: holds 0:10 of 0:20)")
    assert as_dict(odd)["remark"] == odd.remark
    flicker = taggram(np.tile([[0.9], [0.1]], (6, 1)), begins=range(0, 36, 3), seconds=36, tags=["on"])
    assert as_text(flicker, top=1).endswith("  on  0:00-0:03, 0:06-0:09, 0:12-0:15 and 3 shorter")


def test_plain_values():
    values = as_dict(SONG)
    assert values["tags"][0] == {"tag": "high", "probability": 0.45, "strong": [[0.0, 3.0], [8.0, 10.0]]}
    assert values["windows"] == {
        "begins": [0, 3, 6, 7],
        "probabilities": {"low": [0.1, 0.2, 0.1, 0.09], "high": [0.5, 0.2, 0.3, 0.8]},
    }
    assert (values["seconds"], values["padded"]) == (10, False)


def test_clock():
    times = {0: "0:00", 59.6: "1:00", 61: "1:01", 3599.7: "1:00:00", 36_061: "10:01:01"}
    assert {seconds: clock(seconds) for seconds in times} == times


@pytest.mark.parametrize("seconds", [0.5, 3, 29.1, 240, 3600, 40_000, 1e6])
def test_ticks_are_few_and_within(seconds):
    ticks = tick_seconds(seconds, 6)
    assert ticks[0] == 0 and ticks[-1] <= seconds
    assert (1 if seconds < 2 else 2) <= len(ticks) <= 7


def test_as_many_ticks_as_there_may_be():
    assert tick_seconds(60, 6) == [0, 10, 20, 30, 40, 50, 60]

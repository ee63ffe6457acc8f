import numpy as np
import pytest
from scipy.stats import chisquare

from theanoish.training.sampling import draw_examples, draw_masks

COUNTS = np.array([5, 1, 100_000, 7, 3, 12, 40], dtype=np.int64)


def test_every_clip_once_an_epoch():
    clips, _ = draw_examples(COUNTS, seed=1, first=0, count=70, minibatch=7)
    epochs = clips.reshape(10, 7)
    assert (np.sort(epochs, axis=1) == np.arange(7)).all()
    assert len({tuple(epoch) for epoch in epochs}) == 10  # each in an order of its own


@pytest.mark.parametrize("minibatch", [1, 2, 3, 5, 7])
def test_no_minibatch_has_a_clip_twice(minibatch):
    """Not even where one epoch ends and the next begins; and what an epoch leaves over is drawn in others."""
    clips, _ = draw_examples(COUNTS, seed=1, first=0, count=200 * minibatch, minibatch=minibatch)
    assert all(len(set(one)) == minibatch for one in clips.reshape(-1, minibatch).tolist())
    assert np.bincount(clips, minlength=7).min() > 0.7 * len(clips) / 7


def test_fewer_clips_than_a_minibatch_are_all_drawn():
    clips, _ = draw_examples(COUNTS, seed=1, first=0, count=70, minibatch=10)
    assert (np.bincount(clips) == 10).all()


@pytest.mark.parametrize(
    "draw",
    [lambda *span: np.stack(draw_examples(COUNTS, 1, *span, 3)).T, lambda *span: draw_masks((9, 13), 0.5, 1, *span)],
)
def test_draws_do_not_depend_on_how_they_are_split(draw):
    whole = draw(0, 100)
    for parts in ([1] * 100, [13, 7, 50, 30]):
        drawn = [draw(int(first), count) for first, count in zip(np.cumsum([0, *parts[:-1]]), parts, strict=True)]
        np.testing.assert_array_equal(np.concatenate(drawn), whole)


def test_windows_are_uniform():
    clips, windows = draw_examples(COUNTS, seed=3, first=0, count=7 * 4000, minibatch=7)
    assert ((windows >= 0) & (windows < COUNTS[clips])).all()
    for clip in (0, 3, 4, 5):
        counts = np.bincount(windows[clips == clip], minlength=COUNTS[clip])
        assert chisquare(counts).pvalue > 1e-3
    long = windows[clips == 2]
    assert chisquare(np.histogram(long, bins=20, range=(0, 100_000))[0]).pvalue > 1e-3


def test_masks_differ_between_updates_and_seeds():
    masks = [*draw_masks((10, 132), 0.5, 1, 0, 50), *draw_masks((10, 132), 0.5, 2, 0, 50)]
    assert len({mask.tobytes() for mask in masks}) == 100
    correlation = np.corrcoef(np.stack(masks).reshape(100, -1))
    assert abs(correlation[~np.eye(100, dtype=bool)]).max() < 0.15  # 5.4 standard deviations of independent bits


def test_masks_drop_the_rate_given():
    for rate in (0.1, 0.5, 0.9):
        masks = draw_masks((10, 132), rate, seed=5, first=0, count=200)
        assert masks.shape == (200, 10, 132) and masks.dtype == np.uint8 and set(np.unique(masks)) == {0, 1}
        assert abs(masks.mean() - (1 - rate)) < 5 * np.sqrt(rate * (1 - rate) / masks.size)
    assert draw_masks((3, 4), 0.0, 1, 0, 2).all()


def test_first_draws_of_each_stream():
    """As they were when this was written: whoever changes a stream or its number gives every seed another network."""
    clips, windows = draw_examples(COUNTS, seed=1, first=0, count=10, minibatch=3)
    assert clips.tolist() == [6, 1, 4, 0, 3, 2, 1, 5, 3, 4]
    assert windows.tolist() == [6, 0, 2, 4, 3, 1886, 0, 1, 3, 0]
    clips, windows = draw_examples(COUNTS, seed=5, first=70_000, count=4, minibatch=3)
    assert (clips.tolist(), windows.tolist()) == ([4, 5, 6, 3], [1, 4, 29, 5])
    bits = [mask.ravel().tolist() for mask in draw_masks((2, 10), 0.5, seed=1, first=0, count=2)]
    assert bits[0] == [0, 1, 1, 1, 0, 1, 1, 1, 0, 1, 0, 0, 0, 1, 0, 1, 1, 0, 0, 1]
    assert bits[1] == [1, 1, 1, 1, 1, 0, 1, 0, 1, 1, 1, 1, 1, 0, 1, 0, 1, 1, 0, 0]
    late = draw_masks((2, 10), 0.3, seed=5, first=1_000_000, count=1)
    assert late.ravel().tolist() == [0, 1, 0, 1, 1, 1, 0, 1, 1, 1, 1, 1, 0, 1, 0, 0, 0, 1, 0, 1]

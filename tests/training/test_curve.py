import matplotlib.image
import numpy as np
import pytest

from theanoish.training.curve import draw_curve


def red_column(path):
    """Where the best update is marked, from 0 at the left edge of the axes to 1 at the right."""
    picture = matplotlib.image.imread(path)[..., :3]
    red = (picture[..., 0] > 0.8) & (picture[..., 1:].max(axis=2) < 0.3)
    frame = np.flatnonzero((picture.max(axis=2) < 0.2).mean(axis=0) > 0.7)
    return (red.sum(axis=0).argmax() - frame[0]) / (frame[-1] - frame[0]), red


@pytest.mark.parametrize(("aucs", "best"), [([0.6, 0.8, 0.7, 0.8], 2), ([0.5], 1), (np.linspace(0.9, 0.5, 300), 1)])
def test_the_best_update_is_marked_in_both_panels(tmp_path, aucs, best):
    history = [{"update": 10 * i, "loss": 1 / i, "validation_auc": auc} for i, auc in enumerate(aucs, 1)]
    draw_curve(tmp_path / "curve.png", r"raw_256_256, $\x$.h5", history)  # a name, and no formula
    place, red = red_column(tmp_path / "curve.png")
    assert place == pytest.approx(best / (1.03 * len(aucs)), abs=0.01)
    rows = np.flatnonzero(red.any(axis=1))
    assert rows[0] < 0.2 * len(red)
    assert rows[-1] > 0.8 * len(red)

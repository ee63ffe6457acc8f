from dataclasses import replace

import pytest

from theanoish.experiments.cost import cost
from theanoish.settings import Settings


@pytest.mark.parametrize(
    ("settings", "millions"),  # counted elsewhere, by hand
    [
        (Settings(frontend="raw", length=256, stride=256), 620),
        (Settings(frontend="mel", length=256, stride=256), 257),
        (Settings(frontend="raw", length=1024, stride=1024), 320),
        (Settings(frontend="raw", length=256, stride=256, pooling="l2", pool_size=2), 443),
        # 187 frames of 256 samples once for the fixed filters, the first convolution twice, the rest three times
        (Settings(fixed_filters=True), 20 * (187 * 256 * 128 + 2 * 180 * 8 * 128 * 32 + 3 * 348_296) / 1e6),
        (Settings(pooling="l2", pool_size=2, strided_filters=256), 865),
    ],
)
def test_operations_of_an_update(settings, millions):
    assert cost(settings).operations / 1e6 == pytest.approx(millions, abs=0.5)
    assert cost(replace(settings, minibatch=20)).operations == 2 * cost(settings).operations


def test_parameters():
    first, second, dense = 128 * 8 * 32 + 32, 32 * 8 * 32 + 32, 320 * 100 + 100 + 100 * 50 + 50
    for settings in (Settings(frontend="mel"), Settings(fixed_filters=True)):  # which are not learned
        assert cost(settings).parameters == first + second + dense
    assert cost(Settings(frontend="raw", seed=9)).parameters == 128 * 256 + 128 + first + second + dense

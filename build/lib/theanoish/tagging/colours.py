"""Colours of probabilities: ten steps from none to most, even in lightness, so that no kind of colour blindness or
a black-and-white printer loses their order."""

ON_LIGHT = [
    "#e8f2f6", "#bce1e9", "#8ed0d9", "#62b7cb", "#3d99bf",
    "#297bb2", "#2b5da2", "#30408c", "#2e2b72", "#281657",
]  # fmt: skip
ON_DARK = [
    "#1f242e", "#253149", "#2c3d66", "#2e5483", "#266f9f",
    "#188eb3", "#27adbe", "#55cac4", "#95e4c9", "#cefcd6",
]  # fmt: skip
STEPS = len(ON_LIGHT)
LOWEST_SCALE = 0.1  # probability that the darkest colour stands for at least, lest noise look like a finding


def scale_of(highest: float) -> float:
    """The probability that the last colour ends at, for a song whose highest is `highest`."""
    return max(highest, LOWEST_SCALE)

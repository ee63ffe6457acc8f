"""The tags of a song over time, and what follows from them: its tags, and where each is strong."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from theanoish.tagging.songs import WINDOW_SECONDS, name_of

STRONG = 0.5  # of a tag's highest probability in the song
FAINT = 0.01  # below, nothing is strong: it would be the strongest of nothing


@dataclass(frozen=True)
class Taggram:
    """The probabilities of a song's windows.

    Attributes
    ----------
    path : Path
    seconds : float
        Length of the song.
    tags : list of str
    begins : float array (windows,)
        Where each window begins, in seconds; it lasts 3 s.
    probabilities : float32 array (windows, tags)
    remark : str
        What is odd about its file, or "".
    title, artist : str
        As the file's own tags say, or "".
    units : float32 array (units,)
        Mean of the network's hidden units over the windows; of no units, if nobody asked for it.
    """

    path: Path
    seconds: float
    tags: list[str]
    begins: NDArray[np.float64]
    probabilities: NDArray[np.float32]
    remark: str = ""
    title: str = ""
    artist: str = ""
    units: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))

    @property
    def name(self) -> str:
        """The file's name without folder and ending, to be shown."""
        return name_of(Path(self.path.stem))

    @property
    def padded(self) -> bool:
        """Whether the song is shorter than a window, which silence then fills."""
        return self.seconds < WINDOW_SECONDS

    @cached_property
    def means(self) -> NDArray[np.float32]:
        """Mean probability of each tag over the windows, (tags,)."""
        return self.probabilities.mean(axis=0, dtype=np.float64).astype(np.float32)

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """Columns of the tags by falling mean probability, (tags,)."""
        return np.argsort(-self.means, kind="stable")

    @cached_property
    def edges(self) -> NDArray[np.float64]:
        """Seconds between which each window stands for the song, (windows + 1,).

        Every moment belongs to the window whose middle is nearest.
        """
        middles = self.begins + WINDOW_SECONDS / 2
        return np.concatenate([[0.0], (middles[:-1] + middles[1:]) / 2, [self.seconds]])

    def strong(self, column: int) -> list[tuple[float, float]]:
        """Where a tag is strong, in seconds: from, to.

        A tag is strong where its probability is at least half of its highest in this song, and not below 0.01.
        """
        values = self.probabilities[:, column]
        is_strong = np.concatenate([[False], values >= max(STRONG * float(values.max()), FAINT), [False]])
        changes = np.flatnonzero(np.diff(is_strong))
        return [(float(a), float(b)) for a, b in self.edges[changes].reshape(-1, 2)]


def clock(seconds: float) -> str:
    """Seconds as m:ss, or h:mm:ss from an hour on."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"


def tick_seconds(seconds: float, most: int) -> list[float]:
    """Round moments to mark on an axis of `seconds`, at most `most` and the beginning."""
    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
    step = next((step for step in steps if seconds / step <= most), 3600 * (1 + int(seconds / 3600 / most)))
    return [float(tick) for tick in range(0, int(seconds) + 1, step)]

"""End-to-end learning for music audio (Dieleman & Schrauwen, ICASSP 2014) on PyTensor."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from theanoish.api import evaluate, train, write_dataset
    from theanoish.tagging.tagger import Tagger

__all__ = ["evaluate", "load", "train", "write_dataset"]
__version__ = "0.1.0"


def load(path: "str | Path | None" = None, all_tags: bool = False) -> "Tagger":
    """Load a trained network to use on audio files.

    Parameters
    ----------
    path : path, optional
        A checkpoint, or the run folder that holds it; "mel", "raw" or "instruments" for the weights that come with this
        project, by default the first.
    all_tags : bool
        Also tags too rare to trust, or no better than chance in the test.

    Returns
    -------
    Tagger

    Raises
    ------
    theanoish.errors.InputError
        If the file is no checkpoint; where it is missing, a FileNotFoundError as well.

    Examples
    --------
    >>> import theanoish
    >>> model = theanoish.load("checkpoint.pkl")
    >>> model.tags
    ['low', 'middle', 'high', 'loud']
    >>> for tag, probability in model.tag("song.wav").items():  # the likeliest first
    ...     print(f"{probability:.2f} {tag}")
    0.60 high
    0.40 loud
    0.20 low
    0.10 middle
    >>> windows = model.windows("song.wav", hop=1.5)
    >>> windows.begins, windows.probabilities.shape
    (array([0. , 1.5, 3. , 4. ]), (4, 4))
    >>> model.embed("song.wav").shape  # the 100 units below the output layer, for windows every 3 s
    (3, 100)
    >>> model.filters.shape  # of a network that takes raw audio
    (128, 1024)
    """
    from theanoish.tagging.tagger import load_tagger  # imports the backends, which a mere import of theanoish spares

    return load_tagger(None if path is None else Path(path), all_tags)


def __getattr__(name: str) -> Any:
    if name in ("evaluate", "train", "write_dataset"):
        from theanoish import api  # as above

        return getattr(api, name)
    raise AttributeError(f"module 'theanoish' has no attribute {name!r}")

"""The weights that come with theanoish, by the names that commands and `load` know."""

from pathlib import Path

MODELS = Path(__file__).resolve().parent / "models"
OWN = {"mel": MODELS / "mel_256_256.pkl", "raw": MODELS / "raw_256_256.pkl", "instruments": MODELS / "instruments.pkl"}
DEFAULT_MODEL = OWN["mel"]


def checkpoint_at(path: Path) -> Path:
    """The checkpoint that a path names: itself, that of a run folder, or one of our own if nothing else is there."""
    in_run = path / "checkpoint.pkl"
    if in_run.exists():
        return in_run
    return path if path.is_file() else OWN.get(str(path), path)

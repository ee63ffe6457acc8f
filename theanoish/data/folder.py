"""The audio files of a folder."""

import os
import stat
from collections import Counter
from pathlib import Path

# What files of music end in; some of these no decoder here can read, so that they are named and not passed over.
SUFFIXES = {
    ".3g2", ".3ga", ".3gp", ".aa", ".aac", ".aax", ".ac3", ".adts", ".aif", ".aifc", ".aiff", ".alac", ".amr",
    ".ape", ".asf", ".au", ".avi", ".caf", ".dff", ".dsf", ".dts", ".dtshd", ".eac3", ".f4a", ".f4v", ".flac",
    ".flv", ".gsm", ".m2ts", ".m4a", ".m4b", ".m4p", ".m4r", ".m4v", ".mka", ".mkv", ".mlp", ".mov", ".mp+", ".mp1",
    ".mp2", ".mp3", ".mp4", ".mpa", ".mpc", ".mpeg", ".mpg", ".mts", ".oga", ".ogg", ".ogv", ".ogx", ".oma",
    ".opus", ".ra", ".rf64", ".rm", ".shn", ".snd", ".sph", ".spx", ".tak", ".thd", ".tta", ".vob", ".voc", ".w64",
    ".wav", ".wave", ".weba", ".webm", ".wma", ".wmv", ".wv", ".xwma",
}  # fmt: skip


def audio_files(folder: Path, others: Counter[str] | None = None) -> list[Path]:
    """Every audio file below a folder, by its ending, sorted; hidden ones, such as macOS's companions, are left out.

    Links to nowhere and folders that must not be read are among them, so that who reads them names them.

    Parameters
    ----------
    folder : Path
    others : Counter of str, optional
        Counts the files that are passed over, by their ending.
    """
    files: list[Path] = []
    seen = set()
    for parent, folders, names in os.walk(
        folder, onerror=lambda error: files.append(Path(error.filename)), followlinks=True
    ):
        status = os.stat(parent)
        if (status.st_dev, status.st_ino) in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = [name for name in folders if not _is_hidden(name)]
        for path in (Path(parent, name) for name in names if not _is_hidden(name)):
            if path.suffix.lower() in SUFFIXES and _may_be_read(path):
                files.append(path)
            elif others is not None:
                others[path.suffix.lower() or "without an ending"] += 1
    return sorted(files)


def _may_be_read(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:  # a link to nowhere, or in a folder that must not be entered
        return True


def _is_hidden(name: str) -> bool:
    return name.startswith(".") and not name.startswith("..")  # as some albums and songs are called

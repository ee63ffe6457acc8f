"""The tags of a song over time as a picture."""

import textwrap
import warnings
from pathlib import Path

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, fontManager
from matplotlib.ft2font import FT2Font

from theanoish.errors import InputError
from theanoish.files import written_whole
from theanoish.tagging.colours import ON_LIGHT, STEPS, scale_of
from theanoish.tagging.taggram import Taggram, clock, tick_seconds
from theanoish.tagging.worth import DOUBTED, UNKNOWN, Worth

FORMATS = sorted(FigureCanvasAgg.filetypes.keys() - {"pgf"})  # which needs LaTeX
INK, GREY = "#1b2230", "#667085"


def check_format(path: Path) -> None:
    """Find before long work that a picture cannot be written.

    Raises
    ------
    InputError
        If the file's ending names no kind of picture.
    """
    if path.suffix[1:].lower() not in FORMATS:
        raise InputError(f"{path}: no kind of picture; its name may end in .{', .'.join(FORMATS)}")


def draw_picture(path: Path, taggram: Taggram, about: str, worth: Worth = UNKNOWN) -> None:
    """Draw a row per tag, the likeliest at the top, with its mean probability, over the time of the song.

    Tags that are nowhere likely enough to show a colour are named in a note below.

    Parameters
    ----------
    path : Path
        Its ending says what kind of picture.
    taggram : Taggram
    about : str
        A line below the title.
    worth : Worth
        Of the tags: each one's AUC stands beside it, the rest below the picture.
    """
    with (
        rc_context({"font.family": _families("".join([taggram.name, about, *worth.sentences, *taggram.tags]))}),
        written_whole(path) as beside,
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", "Glyph .* missing")  # letters that no font here has show as boxes
        _drawn(taggram, about, worth).savefig(beside, format=path.suffix[1:].lower())


def _families(text: str) -> list[str]:
    """The usual font, and some of those that are there for the letters that it lacks, plain ones first."""
    families = ["DejaVu Sans"]
    usual = FT2Font(findfont(families[0]))
    missing = {ord(letter) for letter in text if letter.isprintable() and not usual.get_char_index(ord(letter))}
    for font in sorted(fontManager.ttflist, key=lambda f: (f.style != "normal", f.weight != 400, "Serif" in f.name)):
        if not missing:
            break
        if font.name.startswith("Last Resort"):  # Matplotlib's own, whose letters are all boxes
            continue
        try:
            face = FT2Font(font.fname)
        except (OSError, RuntimeError):  # removed since, or no font
            continue
        if found := {letter for letter in missing if face.get_char_index(letter)}:
            families.append(font.name)
            missing -= found
    return families


def _drawn(taggram: Taggram, about: str, worth: Worth) -> Figure:
    top = scale_of(float(taggram.probabilities.max()))
    seen = taggram.probabilities.max(axis=0) >= top / STEPS
    columns = [column for column in taggram.order if seen[column]] or taggram.order[:1]
    unseen = ", ".join(taggram.tags[column] for column in taggram.order if column not in columns)
    sentences = [f"Never above {top / STEPS:.2f}: {unseen}."] if unseen else []
    note = [line for sentence in [*sentences, *worth.sentences] for line in textwrap.wrap(sentence, 150)]
    rows = len(columns)
    below = 0.45 + 0.13 * len(note)  # inches
    height = 0.75 + 0.19 * rows + below
    figure = Figure(figsize=(10, height), dpi=150)
    axes = figure.add_axes((0.13, below / height, 0.79, 0.19 * rows / height))
    colours = ListedColormap(ON_LIGHT)
    edges = [*range(rows + 1)]
    mesh = axes.pcolormesh(taggram.edges, edges, taggram.probabilities[:, columns].T, cmap=colours, vmin=0, vmax=top)
    axes.hlines(edges, 0, taggram.seconds, "white", linewidth=1.5)
    axes.set(xlim=(0, taggram.seconds), ylim=(rows, 0))
    names = [taggram.tags[column] for column in columns]
    aucs = [worth.aucs.get(name) for name in names]
    texts = [name if auc is None else f"{name} ({auc:.2f})" for name, auc in zip(names, aucs, strict=True)]
    axes.set_yticks([row + 0.5 for row in range(rows)], texts, fontsize=8, parse_math=False)
    ticks = tick_seconds(taggram.seconds, 10)
    axes.set_xticks(ticks, [clock(tick) for tick in ticks], fontsize=8)
    axes.tick_params(length=0, colors=INK)
    axes.tick_params(axis="x", length=3, color=GREY)
    for label, auc in zip(axes.get_yticklabels(), aucs, strict=True):
        label.set_alpha(1 if auc is None or auc >= DOUBTED else 0.5)
    for spine in axes.spines.values():
        spine.set_visible(False)
    for row, column in enumerate(columns):
        mean = f"{taggram.means[column]:.2f}"
        axes.annotate(mean, (1.006, row + 0.5), xycoords=("axes fraction", "data"), va="center", fontsize=8, color=GREY)
    axes.annotate("mean", (1.006, 1), (0, 4), "axes fraction", "offset points", fontsize=7, color=GREY, va="bottom")
    figure.text(0.13, (below - 0.4) / height, "\n".join(note), fontsize=7, color=GREY, va="top", parse_math=False)
    figure.text(0.13, 1 - 0.3 / height, taggram.name, fontsize=13, weight="bold", color=INK, parse_math=False)
    figure.text(0.13, 1 - 0.52 / height, about, fontsize=8, color=GREY, parse_math=False)
    bar = figure.colorbar(
        mesh, cax=figure.add_axes((0.77, 1 - 0.36 / height, 0.15, 0.1 / height)), orientation="horizontal"
    )
    bar.set_ticks([0, top], labels=["0", f"{top:.2f}"], fontsize=7)
    bar.ax.tick_params(length=0, colors=GREY, pad=2)
    bar.outline.set_visible(False)
    figure.text(0.76, 1 - 0.36 / height, "probability", fontsize=7, color=GREY, ha="right")
    return figure

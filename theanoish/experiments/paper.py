"""The paper's experiments and results (section 4, Tables 1 to 3): nothing else knows these numbers."""

from dataclasses import dataclass
from functools import partial

from theanoish.settings import Settings


@dataclass(frozen=True)
class Cell:
    """One result of the paper.

    Attributes
    ----------
    row : tuple of str
        What the table's row and column are named by.
    settings : Settings
        Of the experiment, with the paper's defaults for the rest.
    auc : float or None
        Mean test AUC on MagnaTagATune; None where the paper gives no number.
    """

    row: tuple[str, ...]
    settings: Settings
    auc: float | None


_TABLE_1 = (
    (1024, 1024, 0.8690, 0.8366),
    (1024, 512, 0.8726, 0.8365),
    (512, 512, 0.8793, 0.8386),
    (512, 256, 0.8793, 0.8408),
    (256, 256, 0.8815, 0.8487),
)
_TABLE_2 = (
    ("rectified linear", "max(0, x)", "relu", 0.8366),
    ("logarithmic", "log(1 + C·x²)", "log-square", 0.7508),
    ("logarithmic", "log(1 + C·|x|)", "log-absolute", 0.7487),
)
_TABLE_3 = (
    ("no pooling", "none", 1, 0.8366),
    ("L2 pooling", "l2", 2, 0.8387),
    ("L2 pooling", "l2", 4, 0.8387),
    ("max-pooling", "max", 2, 0.8183),
    ("max-pooling", "max", 4, 0.8280),
)
_raw_1024 = partial(Settings, frontend="raw", length=1024, stride=1024)

# Table 1: the five input resolutions, and which front end in the second part of the row's name.
TABLE_1 = tuple(
    Cell((str(length), str(stride), frontend), Settings(frontend=frontend, length=length, stride=stride), auc)
    for length, stride, mel, raw in _TABLE_1
    for frontend, auc in (("mel", mel), ("raw", raw))
)
TABLE_2 = tuple(
    Cell((name, formula), _raw_1024(nonlinearity=nonlinearity), auc) for name, formula, nonlinearity, auc in _TABLE_2
)
TABLE_3 = tuple(
    Cell((name, str(size)), _raw_1024(pooling=pooling, pool_size=size), auc) for name, pooling, size, auc in _TABLE_3
)
# Section 4.1: dropout in the dense layers "did not affect performance significantly"; there are no numbers with it.
DROPOUT = tuple(
    Cell((frontend, str(dropout)), Settings(frontend=frontend, length=256, stride=256, dropout=dropout), auc)
    for frontend, dropout, auc in (("mel", 0.0, 0.8815), ("mel", 0.5, None), ("raw", 0.0, 0.8487), ("raw", 0.5, None))
)
# Networks that the figures show: the architecture in its three variants, learned filters, pools of learned filters.
FIGURE_1 = (_raw_1024(frontend="mel"), _raw_1024(), _raw_1024(pooling="l2", pool_size=4))
FIGURES_2_AND_3 = Settings(frontend="raw", length=512, stride=512)
FIGURE_4 = FIGURE_1[2]
TABLES = {"1": TABLE_1, "2": TABLE_2, "3": TABLE_3, "dropout": DROPOUT}


def paper_auc(settings: Settings) -> float | None:
    """The paper's test AUC for the same network; None where it has none.

    Training settings, such as the learning rate, which the paper does not give, do not matter.
    """
    for cells in TABLES.values():
        for cell in cells:
            if cell.settings.name == settings.name:
                return cell.auc
    return None

"""The paper's figures from a checkpoint, with the numbers behind them: python figures.py checkpoint.pkl"""

import argparse

from theanoish.command import checkpoint_path, user_path
from theanoish.experiments.figures import make_figures
from theanoish.experiments.filters import as_text


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=checkpoint_path, help="checkpoint.pkl, or its run folder")
    parser.add_argument("--output", type=user_path, metavar="FOLDER", help="default: figures/ beside the checkpoint")
    parser.add_argument("--data", type=user_path, help="HDF5 data set that it was trained on, if it has been moved")
    parser.add_argument("--log-frequency", action="store_true", help="give Fig. 2 a logarithmic axis")
    parser.add_argument("--with-initial", action="store_true", help="Fig. 2 before training beside after training")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    args = parse(arguments)
    folder = args.output or args.checkpoint.parent / "figures"
    names, numbers = make_figures(args.checkpoint, folder, args.data, args.log_frequency, args.with_initial)
    if numbers:
        print(as_text(numbers))
    print(f"{', '.join(names)} as PNG and PDF in {folder}")
    return 0

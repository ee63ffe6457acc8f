#!/usr/bin/env python3
"""The paper's figures from a checkpoint, with the numbers behind them: python figures.py checkpoint.pkl"""

import argparse
import json
import sys
from pathlib import Path

from theanoish.errors import InputError
from theanoish.experiments.figures import draw_architectures, draw_filters
from theanoish.experiments.filters import as_text, describe, filters_of
from theanoish.files import written_whole
from theanoish.training.run import load_network


def parse(arguments: list[str] | None) -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="checkpoint.pkl of a run folder")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="default: figures/ beside the checkpoint")
    return parser, parser.parse_args(arguments)


def make_figures(checkpoint: Path, folder: Path) -> list[str]:
    """Draw what the checkpoint's network allows; names of the files, without their endings."""
    saved, network = load_network(checkpoint)
    folder.mkdir(parents=True, exist_ok=True)
    draw_architectures(folder, [network.settings], len(saved["tags"]))
    if network.settings.frontend == "mel":
        return ["figure1"]
    filters = filters_of(network)
    numbers = describe(network.settings, filters)
    with written_whole(folder / "filters.json") as beside:
        beside.write_text(json.dumps(numbers, indent=2) + "\n")
    print(as_text(numbers))
    return ["figure1", *draw_filters(folder, network.settings, filters)]


def main(arguments: list[str] | None = None) -> int:
    parser, args = parse(arguments)
    folder = args.output or args.checkpoint.parent / "figures"
    try:
        names = make_figures(args.checkpoint, folder)
    except (InputError, OSError) as error:
        parser.exit(2, f"{parser.prog}: error: {error}\n")
    print(f"{', '.join(names)} as PNG and PDF in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Test a checkpoint, tag by tag: python evaluate.py checkpoint.pkl"""

import argparse
import sys
from pathlib import Path

from theanoish.data.dataset import SPLITS
from theanoish.errors import InputError
from theanoish.experiments.evaluation import Evaluation, evaluate, write_csv, write_json
from theanoish.files import check_writable
from theanoish.model.compile import BACKENDS, DEFAULT_BACKEND


def parse(arguments: list[str] | None) -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="checkpoint.pkl of a run folder")
    parser.add_argument("--data", type=Path, help="HDF5 data set (default: the one it was trained on)")
    parser.add_argument("--split", choices=SPLITS, default="test", help="which clips (default: test)")
    parser.add_argument(
        "--backend", choices=BACKENDS, default=DEFAULT_BACKEND, help="what compiles the graph (default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all scores as JSON")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the table of tags as CSV")
    return parser, parser.parse_args(arguments)


def report(evaluation: Evaluation) -> str:
    """The table of tags and the means as text."""
    values = evaluation.as_dict()
    lines = [f"{'tag':<20} {'AUC':>7} {'AP':>7} {'positives':>10}"]
    for row in values["tags"]:
        auc, precision = number(row["auc"]), number(row["average_precision"])
        lines.append(f"{row['tag']:<20} {auc:>7} {precision:>7} {row['positives']:>10}")
    means = f"{number(values['mean_auc']):>7} {number(values['mean_average_precision']):>7}"
    lines += [f"{'mean':<20} {means}", ""]
    if values["undefined_tags"]:
        lines.append(
            f"left out of the means, having no positive or no negative clip: {', '.join(values['undefined_tags'])}"
        )
    lines.append(
        f"{evaluation.settings.name}, update {values['update']}, {values['data']}: {values['clips']} clips of split "
        f"{values['split']} ({values['clips_kept']} clips kept)"
    )
    if values["artist_filtered_clips"]:
        clips, auc = values["artist_filtered_clips"], number(values["artist_filtered_mean_auc"])
        lines.append(f"mean AUC on the {clips} of them by artists not heard in training: {auc}")
    else:
        lines.append("all of them are by artists heard in training")
    if values["paper_auc"] is not None:
        lines.append(f"the paper's mean test AUC for these settings, on MagnaTagATune: {values['paper_auc']:.4f}")
    return "\n".join(lines)


def number(score: float | None) -> str:
    return "-" if score is None else f"{score:.4f}"


def main(arguments: list[str] | None = None) -> int:
    parser, args = parse(arguments)
    try:
        for output in filter(None, (args.json, args.csv)):
            check_writable(output)
        evaluation = evaluate(args.checkpoint, args.data, args.split, args.backend)
        print(report(evaluation))
        if args.json:
            write_json(args.json, evaluation)
        if args.csv:
            write_csv(args.csv, evaluation)
    except (InputError, OSError) as error:
        parser.exit(2, f"{parser.prog}: error: {error}\n")
    except KeyboardInterrupt:
        parser.exit(130, f"{parser.prog}: stopped; nothing was written\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Test a checkpoint, tag by tag, or two and their difference: python evaluate.py runs/RUN/checkpoint.pkl"""

import argparse
from functools import partial
from typing import Any

from theanoish.command import checkpoint_path, escaped, progress, user_path
from theanoish.data.hdf5 import SPLITS
from theanoish.errors import InputError
from theanoish.files import check_outputs, write_json
from theanoish.machine import BACKENDS, DEFAULT_BACKEND
from theanoish.settings import Settings


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    checkpoint_help = "checkpoint.pkl, or its run folder; state.pkl: the last parameters, not those that validated best"
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("checkpoint", type=checkpoint_path, nargs="?", help=checkpoint_help)
    what.add_argument(
        "--baselines",
        type=user_path,
        metavar="DATA",
        help="instead of a checkpoint: what loudness, offsets and logistic regression reach on this HDF5 data set",
    )
    other_help = "a second one: what the first scores less this one, on the same clips"
    add("other", type=checkpoint_path, nargs="?", metavar="checkpoint", help=other_help)
    add("--data", type=user_path, help="HDF5 data set (default: the one it was trained on)")
    add("--split", choices=SPLITS, help="which clips (default: test)")
    add("--backend", choices=BACKENDS, help=f"what compiles the graph (default: {DEFAULT_BACKEND})")
    add("--json", type=user_path, metavar="FILE", help="write all scores as JSON")
    add("--csv", type=user_path, metavar="FILE", help="write the table of tags as CSV")
    add(
        "--predictions",
        type=user_path,
        metavar="FILE",
        help="write each clip's probabilities and labels as .npz; with --baselines those of the regression",
    )
    return parser.parse_args(arguments)


def report(values: dict[str, Any]) -> str:
    """The table of tags and the means as text."""
    from theanoish.training.metrics import FEW_CLIPS, FEW_POSITIVES

    lines = [f"{'tag':<20} {'AUC':>7} {'AP':>7} {'positives':>10}"]
    for row in values["tags"]:
        auc, precision = number(row["auc"]), number(row["average_precision"])
        lines.append(f"{escaped(row['tag']):<20} {auc:>7} {precision:>7} {row['positives']:>10}")
    lines += [f"{'mean':<20} {number(values['mean_auc']):>7} {number(values['mean_average_precision']):>7}"]
    lines += [*interval_lines(values), ""]
    if values["missing_tags"]:
        names = ", ".join(values["missing_tags"])
        lines.append(f"the data set has {len(values['tags'])} of the checkpoint's tags; it lacks {names}")
    if values["undefined_tags"]:
        names = ", ".join(values["undefined_tags"])
        lines.append(f"left out of the means, having no positive or no negative clip: {names}")
    few = [tag for tag in values["tags"] if min(tag["positives"], values["clips"] - tag["positives"]) < FEW_POSITIVES]
    if values["clips"] < FEW_CLIPS or 2 * len(few) > len(values["tags"]):
        rare = len(few) - len(values["undefined_tags"])
        lines.append(
            f"few clips: {values['clips']}, and {rare} tags that fewer than {FEW_POSITIVES} clips have or lack; a "
            "single tag's score means little here"
            + (", and the interval says what the mean is worth" if values["mean_auc_interval"] else "")
        )
    lines.append(
        f"{Settings.from_dict(values['settings']).name}, update {values['update']}, {values['data']}: "
        f"{values['clips']} clips of split {values['split']} ({values['clips_kept']} clips kept)"
    )
    lines += artist_lines(values)
    if silent := ", ".join(f"{share:.0%} of {layer}" for layer, share in values["silent"].items() if share):
        lines.append(f"units that are silent for all of them: {silent}")
    if values["paper_auc"] is not None:
        lines.append(f"the paper's mean test AUC for these settings, on MagnaTagATune: {values['paper_auc']:.4f}")
    return "\n".join(lines)


def interval_lines(values: dict[str, Any]) -> list[str]:
    lines = []
    resampled = f"{values['resampled']['units']} {values['resampled']['by']}s drawn with replacement"
    for name, key in (("AUC", "mean_auc_interval"), ("AP", "mean_average_precision_interval")):
        if values[key]:
            low, high = values[key]
            lines.append(f"95 % interval of the mean {name}: {low:.4f} to {high:.4f} ({resampled})")
    return lines


def artist_lines(values: dict[str, Any]) -> list[str]:
    if not values["artist_strings_filtered_clips"]:
        return ["none of them is known to be by artists not heard in training"]
    lines = []
    for prefix, how in (("artist_filtered", "by people"), ("artist_strings_filtered", "by exact names")):
        clips, auc = values[f"{prefix}_clips"], number(values[f"{prefix}_mean_auc"])
        lines.append(f"mean AUC on the {clips} of them by artists not heard in training, compared {how}: {auc}")
    return lines


def number(score: float | None) -> str:
    return "-" if score is None else f"{score:.4f}"


def main(arguments: list[str] | None = None) -> int:
    args = parse(arguments)
    check_outputs((args.json, args.csv, args.predictions), (args.checkpoint, args.other, args.baselines, args.data))
    if args.baselines:
        return print_baselines(args)
    if args.other:
        return print_difference(args)
    # not above, as it takes long: whoever asks for help or mistypes waits for nothing
    from theanoish.experiments.evaluation import evaluate, write_csv, write_predictions

    with progress() as update:
        split, backend = args.split or "test", args.backend or DEFAULT_BACKEND
        values, predictions = evaluate(args.checkpoint, args.data, split, backend, partial(update, "windows"))
    if args.json:
        write_json(args.json, values)
    if args.csv:
        write_csv(args.csv, values["tags"])
    if args.predictions:
        write_predictions(args.predictions, predictions)
    print(report(values))
    return 0


def print_baselines(args: argparse.Namespace) -> int:
    for name in ("data", "csv", "split", "backend"):
        if getattr(args, name):
            raise InputError(
                f"--baselines names its data set and takes only --json and --predictions beside; leave out --{name}"
            )
    from theanoish.experiments.baselines import baselines_text, measure_baselines
    from theanoish.experiments.evaluation import write_predictions

    with progress() as update:
        values, regression = measure_baselines(args.baselines, update)
    if args.json:
        write_json(args.json, values)
    if args.predictions:
        write_predictions(args.predictions, regression)
    print(baselines_text(values))
    return 0


def print_difference(args: argparse.Namespace) -> int:
    if args.predictions:
        raise InputError("--predictions are those of one checkpoint; leave it out, or the second checkpoint")
    from theanoish.experiments.comparison import compare_checkpoints, write_differences

    paths, split = (args.checkpoint, args.other), args.split or "test"
    values = compare_checkpoints(paths, args.data, split, args.backend or DEFAULT_BACKEND)
    if args.json:
        write_json(args.json, values)
    if args.csv:
        write_differences(args.csv, values["tags"])
    print(difference_text(values))
    return 0


def difference_text(values: dict[str, Any]) -> str:
    """The AUCs of two checkpoints and their differences as text."""
    lines = [f"{'tag':<20} {'first':>7} {'second':>7} {'difference':>10}  {'95 % interval':<18} {'positives':>9}"]
    for row in [*values["tags"], {"tag": "mean", **values["mean"], "positives": ""}]:
        first, second = map(number, row["auc"])
        difference = "-" if row["difference"] is None else f"{row['difference']:+.4f}"
        bounds = " to ".join(f"{bound:+.4f}" for bound in row["interval"] or [])
        lines.append(
            f"{escaped(row['tag']):<20} {first:>7} {second:>7} {difference:>10}  {bounds:<18} {row['positives']:>9}"
        )
    lines.append("")
    for which, one in zip(("first", "second"), values["checkpoints"], strict=True):
        lines.append(f"{which}: {escaped(one['path'])}, {one['network']}, update {one['update']}")
    units = f"{values['resampled']['units']} {values['resampled']['by']}s"
    lines.append(
        f"AUC on {values['clips']} clips of split {values['split']} of {values['data']}; intervals over these clips "
        f"({units} drawn with replacement, alike for both), not over seeds; one of 20 misses the truth"
    )
    return "\n".join(lines)

"""Write a page that tags songs in a browser: theanoish app [CHECKPOINT] OUT.html; open it and drop a song on it."""

import argparse

from theanoish.command import checkpoint_path, user_path
from theanoish.files import check_outputs


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add(
        "checkpoint",
        nargs="?",
        type=checkpoint_path,
        help="checkpoint.pkl of a run, or its folder; or raw or instruments, of theanoish's own weights (default: mel)",
    )
    add("output", type=user_path, metavar="OUT.html", help="the page")
    add("--all-tags", action="store_true", help="also tags too rare to trust, or no better than chance in the test")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    args = parse(arguments)
    check_outputs([args.output], [args.checkpoint])
    from theanoish.tagging.app import write_app  # slow

    write_app(args.output, args.checkpoint, args.all_tags)
    print(f"{args.output}: open it in a browser, and drop a song on it")
    return 0

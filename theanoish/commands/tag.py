"""Tag songs: python tag.py SONG.mp3 --html song.html, or whole folders of them."""

import argparse
import os
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tqdm import tqdm

from theanoish.command import checkpoint_path, escaped, positive, user_path
from theanoish.data.folder import SUFFIXES
from theanoish.errors import InputError
from theanoish.files import check_outputs
from theanoish.machine import usable_cores
from theanoish.tagging.songs import WINDOW_SECONDS, Failure, check_hop, find_songs, name_of
from theanoish.tagging.tables import as_text, csv_file, json_file
from theanoish.tagging.taggram import Taggram

Add = Callable[[Taggram | Failure], None]
_LONGEST_STEM = 200  # bytes, of 255 that a name may have


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("songs", nargs="*", type=user_path, metavar="FILE_OR_FOLDER", help="songs, or folders of them")
    add(
        "--checkpoint",
        type=checkpoint_path,
        help="checkpoint.pkl of a run (default: theanoish's own weights)",
    )
    add("--top", type=positive, default=5, metavar="N", help="tags to print per song (default: 5)")
    add("--all-tags", action="store_true", help="also tags that the model's card calls too rare to trust")
    add(
        "--hop",
        type=float,
        default=WINDOW_SECONDS,
        metavar="SECONDS",
        help="between two windows (default: 3, a window)",
    )
    add("--json", type=user_path, metavar="FILE", help="write everything, window by window, as JSON")
    add("--csv", type=user_path, metavar="FILE", help="write a row per song and a column per tag")
    add("--picture", type=user_path, metavar="FILE", help="draw tags over time, as PNG, SVG or PDF")
    add("--html", type=user_path, metavar="FILE", help="write a page to hear the song and see its tags")
    add("--app", type=user_path, metavar="FILE", help="write a page that tags songs itself, in any browser")
    parser.epilog = "With several songs, or a folder of them, --picture and --html name folders."
    args = parser.parse_args(arguments)
    if not args.songs and not args.app:
        parser.error("name a song, a folder of them, or --app")
    return args


def prepare_outputs(args: argparse.Namespace, songs: list[Path], several: bool) -> None:
    """Find before any work what cannot be written."""
    pages = [args.picture, args.html]
    for path in filter(None, [args.json, args.csv, *pages]):  # such as the first song, after an option without a name
        if path.suffix.lower() in SUFFIXES:
            raise InputError(f"{path}: is the name of an audio file; name another file to write to")
    check_outputs([args.json, args.csv, *([] if several else pages)], [*songs, args.checkpoint])
    for path in filter(None, pages if several else []):
        if path.exists() and not path.is_dir():
            raise InputError(f"{path}: is a file; with several songs or a folder, --picture and --html name folders")
        else:
            path.mkdir(parents=True, exist_ok=True)
    if args.picture and not several:
        from theanoish.tagging.picture import check_format

        check_format(args.picture)


def names_within(songs: list[Path]) -> dict[Path, str]:
    """A name for each song's file in a folder for all of them, even on disks that know no capital letters."""
    names: dict[Path, str] = {}
    taken = {"index"}
    for song in songs:
        stem = _shortened(song.stem)
        name, number = stem, 1
        while name.casefold() in taken:
            number += 1
            name = f"{stem} {number}"
        taken.add(name.casefold())
        names[song] = name
    return names


def _shortened(stem: str) -> str:
    """A name cut between letters, which accents, joiners and the like belong to."""
    letters = os.fsencode(stem).decode(errors="replace")
    name = letters.encode()[:_LONGEST_STEM].decode(errors="ignore")
    while (
        name
        and len(name) < len(letters)
        and (name[-1] == "\u200d" or unicodedata.category(letters[len(name)]) in ("Mn", "Mc", "Me", "Cf", "Sk"))
    ):
        name = name[:-1]
    return name


def picture_files(path: Path, names: dict[Path, str], about: str) -> Add:
    from theanoish.tagging.picture import draw_picture

    def add(song: Taggram | Failure) -> None:
        if isinstance(song, Taggram):
            draw_picture(path / f"{names[song.path]}.png" if names else path, song, about)

    return add


@contextmanager
def html_files(path: Path, names: dict[Path, str], network: str) -> Iterator[Add]:
    from theanoish.tagging.page import index_row, write_index, write_page

    rows: list[str] = []

    def add(song: Taggram | Failure) -> None:
        if isinstance(song, Taggram):
            page = path / f"{names[song.path]}.html" if names else path
            write_page(page, song, network)
            rows.append(index_row(page, song))

    yield add
    if names:
        write_index(path / "index.html", rows, network)


def write_app(args: argparse.Namespace) -> None:
    check_outputs([args.app], [*args.songs, args.checkpoint])
    from theanoish.tagging import app

    app.write_app(args.app, args.checkpoint, args.all_tags)


def main(arguments: list[str] | None = None) -> int:
    args = parse(arguments)
    check_hop(args.hop)
    if args.app:
        write_app(args)
        if not args.songs:
            return 0
    others: Counter[str] = Counter()
    songs = find_songs(args.songs, others)
    if others:
        print("passed over:", ", ".join(f"{count} {kind}" for kind, count in others.most_common()), file=sys.stderr)
    several = len(songs) > 1 or any(path.is_dir() for path in args.songs)
    prepare_outputs(args, songs, several)
    from theanoish.tagging.tagger import load_tagger, tag_songs  # slow, and every worker imports what stands at the top

    tagger = load_tagger(args.checkpoint, args.all_tags)
    names = names_within(songs) if several else {}
    failures = []
    with ExitStack() as stack, tqdm(total=len(songs), unit=" songs", disable=None if len(songs) > 1 else True) as bar:
        adds: list[Add] = []
        if args.json:
            adds.append(stack.enter_context(json_file(args.json, tagger.name)))
        if args.csv:
            adds.append(stack.enter_context(csv_file(args.csv, tagger.tags)))
        if args.picture:
            adds.append(picture_files(args.picture, names, tagger.name))
        if args.html:
            adds.append(stack.enter_context(html_files(args.html, names, tagger.name)))
        for song in tag_songs(tagger, songs, args.hop, workers=len(usable_cores())):
            if isinstance(song, Failure):
                failures.append(song)
                bar.write(escaped(f"{name_of(song.path)}: cannot be read: {song.reason}"), file=sys.stderr)
            else:
                bar.write(as_text(song, args.top))
            for add in adds:
                add(song)
            bar.update()
    if failures:
        raise InputError(f"{len(failures)} of {len(songs)} songs could not be read; see above")
    return 0

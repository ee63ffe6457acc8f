"""Tag songs: python tag.py SONG.mp3 --html song.html, or whole folders of them."""

import argparse
import os
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, BinaryIO, cast

from tqdm import tqdm

from theanoish.command import checkpoint_path, escaped, positive, user_path
from theanoish.data.folder import SUFFIXES
from theanoish.errors import InputError
from theanoish.files import check_outputs, lock
from theanoish.machine import usable_cores
from theanoish.tagging.likeness import nearest
from theanoish.tagging.songs import WINDOW_SECONDS, Failure, check_hop, find_songs, name_of
from theanoish.tagging.tables import as_text, write_songs_csv, write_songs_json
from theanoish.tagging.taggram import Taggram
from theanoish.tagging.unfinished import Unfinished

if TYPE_CHECKING:
    from theanoish.tagging.tagger import Tagger

_LONGEST_STEM = 200  # bytes, of 255 that a name may have


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("songs", nargs="*", type=user_path, metavar="FILE_OR_FOLDER", help="songs, or folders of them")
    add(
        "--checkpoint",
        type=checkpoint_path,
        help="checkpoint.pkl of a run, or its folder; or raw or instruments, of theanoish's own weights (default: mel)",
    )
    add("--top", type=positive, default=5, metavar="N", help="tags to print per song (default: 5)")
    add("--all-tags", action="store_true", help="also tags too rare to trust, or no better than chance in the test")
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
    add("--dask", metavar="ADDRESS", help="have the workers of a Dask cluster tag, by its scheduler's address")
    add("--again", action="store_true", help="begin anew, not behind what an interrupted command has tagged")
    parser.epilog = """With several songs, or a folder of them, --picture and --html name folders. If that is
    interrupted, the same command goes on: what is done is kept beside the first file to write, as FILE.unfinished."""
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


def pages_of(args: argparse.Namespace, song: Path, names: dict[Path, str]) -> list[Path]:
    """The page and the picture of a song, as far as they are asked for."""
    kinds = [(args.html, ".html"), (args.picture, ".png")]
    return [path / (names[song] + ending) if names else path for path, ending in kinds if path]


def write_pages(pages: list[Path], song: Taggram, args: argparse.Namespace, tagger: "Tagger") -> None:
    if args.html:
        from theanoish.tagging.page import write_page

        write_page(pages[0], song, tagger.name, tagger.worth)
    if args.picture:
        from theanoish.tagging.picture import draw_picture

        draw_picture(pages[-1], song, tagger.name, tagger.worth)


@contextmanager
def kept_beside(args: argparse.Namespace, several: bool) -> Iterator[BinaryIO]:
    """The file that keeps what is done: beside the first output if that is a file, in it if it is a folder."""
    outputs = [path for path in (args.csv, args.json, args.html, args.picture) if path]
    place = next((path for path in outputs if path.is_file() or path.is_dir() or not path.exists()), None)
    if not several or place is None:
        with SpooledTemporaryFile(2**26) as file:  # on disk from 64 MB on: a machine may have none to write to
            yield cast(BinaryIO, file)
        return
    path = place / "songs.unfinished" if place.is_dir() else Path(f"{os.path.realpath(place)}.unfinished")
    with lock(path, f"{place}: another process tags songs into it at the moment") as file:
        if args.again:
            file.truncate(0)
        yield file
        path.unlink()


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
        passed = ", ".join(f"{count} {kind}" for kind, count in others.most_common())
        print("passed over:", escaped(passed), file=sys.stderr)
    several = len(songs) > 1 or any(map(os.path.isdir, args.songs))
    prepare_outputs(args, songs, several)
    from theanoish.tagging.tagger import load_tagger  # slow, and not needed where the input is refused

    tagger = load_tagger(args.checkpoint, args.all_tags)
    with kept_beside(args, several) as file:
        failures = tag_all(args, tagger, songs, names_within(songs) if several else {}, file)
    if tagger.worth.sentences and len(failures) < len(songs):
        print(*tagger.worth.sentences, sep="\n")
    if failures:
        raise InputError(f"{len(failures)} of {len(songs)} songs could not be read; see above")
    return 0


def tag_all(
    args: argparse.Namespace, tagger: "Tagger", songs: list[Path], names: dict[Path, str], file: BinaryIO
) -> list[Failure]:
    """Tag the songs that `file` does not keep, write everything, and return which cannot be read."""
    from theanoish.tagging.tagger import tag_songs

    kept = Unfinished(file, {"network": tagger.digest, "hop": args.hop, "tags": tagger.tags, "aucs": tagger.worth.aucs})
    todo = [song for song in songs if not kept.holds(song, pages_of(args, song, names))]
    done = len(songs) - len(todo)
    if done:
        print(f"{done} of {len(songs)} songs are tagged already; --again begins anew", file=sys.stderr)
    failures: list[Failure] = []
    if args.dask:
        from theanoish.tagging.cluster import tag_at

        results = tag_at(args.dask, tagger, todo, args.hop)
    else:
        results = tag_songs(tagger, todo, args.hop, workers=len(usable_cores()))
    with tqdm(total=len(songs), initial=done, unit=" songs", disable=None if len(songs) > 1 else True) as bar:
        for song in results:
            if isinstance(song, Failure):
                failures.append(song)
                bar.write(escaped(f"{name_of(song.path)}: cannot be read: {song.reason}"), file=sys.stderr)
            else:
                bar.write(as_text(song, args.top, tagger.worth.aucs))
                pages = pages_of(args, song.path, names)
                write_pages(pages, song, args, tagger)
                kept.add(song)
            bar.update()
    unread = {failure.path for failure in failures}
    tagged = [song for song in songs if song not in unread]
    alike = nearest([song.units for song in kept.songs(tagged)]) if args.json or args.html else []
    if args.json:
        write_songs_json(args.json, tagger.name, tagger.worth, kept.songs(tagged), failures, alike, tagged)
    if args.csv:
        write_songs_csv(args.csv, tagger.tags, kept.songs(tagged))
    if args.html and names:
        from theanoish.tagging.index import write_index

        rows = ((pages_of(args, song.path, names)[0], song) for song in kept.songs(tagged))
        write_index(args.html / "index.html", rows, alike, tagger.tags, tagger.name, tagger.worth)
    return failures

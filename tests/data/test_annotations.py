import gzip
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from conftest import INFO_COLUMNS, write_csv, write_tables
from theanoish.data.annotations import most_frequent_tags, read_annotations
from theanoish.errors import InputError

OFFICIAL = Path(__file__).resolve().parents[3] / "shared" / "magnatagatune"
PATHS = ["f/a-0-29.mp3", "0/b-0-29.mp3", "c/c-29-58.mp3"]
LABELS = [[1, 0, 1], [0, 0, 1], [1, 0, 0]]
TAGS = ["no piano", "quiet", "sitar"]


@pytest.fixture
def folder(tmp_path):
    write_tables(tmp_path, PATHS, LABELS, TAGS)
    return tmp_path


def replace_in(file, old, new):
    text = file.read_bytes()
    assert old in text
    file.write_bytes(text.replace(old, new, 1))


def refused(words, folder):
    with pytest.raises(InputError, match=words):
        read_annotations(folder)


def test_reads_what_the_tables_say(folder):
    table = read_annotations(folder)
    assert table.ids.tolist() == [1, 2, 3] and table.paths == PATHS and table.tags == TAGS
    assert table.labels.tolist() == LABELS and table.labels.dtype == np.uint8
    assert table.splits.tolist() == ["test", "train", "validation"]
    assert table.artists == ["artist 1", "artist 2", "artist 3"]
    assert table.titles[0] == "Título 1" and table.albums == ["album"] * 3


def test_two_dots_in_a_name_lead_nowhere(folder):
    replace_in(folder / "annotations_final.csv", b'"0/b-0-29.mp3"', b'"0/b..c-0-29.mp3"')
    assert read_annotations(folder).paths[1] == "0/b..c-0-29.mp3"


def test_split_is_that_of_the_folder(tmp_path):
    write_tables(tmp_path, [f"{folder}/x.mp3" for folder in "0123456789abcdef"], [[1]] * 16, ["tag"])
    assert read_annotations(tmp_path).splits.tolist() == ["train"] * 12 + ["validation"] + ["test"] * 3


def test_compressed_tables_and_byte_order_marks(folder):
    for name in ("annotations_final.csv", "clip_info_final.csv"):
        (folder / f"{name}.gz").write_bytes(gzip.compress(b"\xef\xbb\xbf" + (folder / name).read_bytes()))
        (folder / name).unlink()
    assert read_annotations(folder).labels.tolist() == LABELS


def test_clips_without_path_are_passed_over(folder):
    replace_in(folder / "annotations_final.csv", b'"0/b-0-29.mp3"', b'""')
    table = read_annotations(folder)
    assert table.ids.tolist() == [1, 3] and table.artists == ["artist 1", "artist 3"]


def test_tags_by_falling_count_ties_by_column_and_those_that_occur_only():
    labels = np.array([[0, 1, 1, 0, 1], [1, 1, 0, 0, 1], [0, 1, 1, 0, 0]], np.uint8)
    assert most_frequent_tags(labels).tolist() == [1, 2, 4, 0]
    assert most_frequent_tags(labels, 2).tolist() == [1, 2]
    assert most_frequent_tags(np.ones((1, 60), np.uint8)).tolist() == list(range(50))  # "the 50 most frequent"
    many = np.repeat(np.uint8([[1, 1], [0, 1]]), [250, 50], axis=0)
    assert most_frequent_tags(many).tolist() == [1, 0]  # counts beyond 255 do not wrap


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'"mp3_path"', b'"path"', "line 1: has no column 'mp3_path'"),
        (b'"sitar"', b'"quiet"', "more than one column 'quiet'"),
        (b'\t"0"\t"1"\t"f', b'\t"2"\t"1"\t"f', "line 2: tag 'quiet' is '2'"),
        (b'\t"0"\t"1"\t"f', b'\t"1"\t"f', "line 2: has 4 fields, not 5"),
        (b'"2"\t', b'"1"\t', "line 3: 'clip_id' 1 occurs a second time"),
        (b'"2"\t', b'"two"\t', "line 3: 'clip_id' is 'two'"),
        (b'"c/c-29-58', b'"0/b-0-29', "line 4: 'mp3_path' is '0/b-0-29.mp3', as in line 3"),
        (b'"no piano"', b'""', "line 1: column 2 has no name; remove it (an index, perhaps) or name it"),
        (b'"2"\t', b'"' + b"9" * 19 + b'"\t', "line 3: 'clip_id'"),  # more than 64 bits
        (b'"2"\t', b'"' + b"9" * 5000 + b'"\t', "line 3: 'clip_id'"),
        (b'"c/c', b'"g/c', "line 4: 'mp3_path' is 'g/c-29-58.mp3'"),
        (b'"c/c', b'"c/../../c', "leaves its folder"),
        (b'"sitar"', b'"sit\xff"', "is not UTF-8"),
    ],
)
def test_broken_annotations_are_named(folder, old, new, message):
    replace_in(folder / "annotations_final.csv", old, new)
    refused(rf"annotations_final\.csv.*{re.escape(message)}", folder)


def test_damaged_compressed_table_is_named(folder):
    packed = gzip.compress((folder / "annotations_final.csv").read_bytes())
    (folder / "annotations_final.csv").unlink()
    for broken in (packed[: len(packed) // 2], b"no gzip", packed[:20] + b"\xff" * 20 + packed[40:]):
        (folder / "annotations_final.csv.gz").write_bytes(broken)
        refused(r"annotations_final\.csv\.gz", folder)


def test_tables_that_lack_tags_clips_or_rows_and_one_that_is_missing(folder):
    write_csv(folder / "clip_info_final.csv", [INFO_COLUMNS, [1, 1, "t", "a", "b", "", 0, 29, "", PATHS[0]]])
    refused("no row for clip 2", folder)
    (folder / "clip_info_final.csv").unlink()
    refused(r"holds no clip_info_final\.csv", folder)
    write_csv(folder / "annotations_final.csv", [["clip_id", "tag", "mp3_path"]])
    refused("no clip", folder)
    write_csv(folder / "annotations_final.csv", [["clip_id", "mp3_path"], [1, "0/a.mp3"]])
    refused("no tag column", folder)


def test_ids_of_unannotated_clips_may_be_anything(folder):
    replace_in(folder / "clip_info_final.csv", b'"9999"', b'"' + b"9" * 5000 + b'"')
    assert read_annotations(folder).ids.tolist() == [1, 2, 3]


def test_clips_in_mp3_beside_the_tables_or_in_their_folder(folder):
    (folder / "mp3").mkdir()
    assert read_annotations(folder).folder == folder
    (folder / "mp3" / "0").mkdir()
    (folder / "mp3" / "0" / "b-0-29.mp3").touch()
    assert read_annotations(folder).folder == folder / "mp3"


@pytest.mark.skipif(not OFFICIAL.is_dir(), reason="the official CSV files are not beside the repository")
def test_official_tables():
    """Counts of the specification, section 1, and two clips looked up by hand."""
    table = read_annotations(OFFICIAL)
    assert len(table.ids) == 25_863 and len(table.tags) == 188
    assert Counter(table.splits.tolist()) == {"train": 18_709, "validation": 1_825, "test": 5_329}
    order = most_frequent_tags(table.labels, 51)
    counts = table.labels.sum(axis=0, dtype=int)[order].tolist()
    names = [table.tags[i] for i in order]
    assert names[:2] == ["guitar", "classical"] and counts[0] == 4852
    assert (names[49], counts[49]) == ("choral", 490) and (names[50], counts[50]) == ("electro", 474)
    for first, second in (("no vocal", "pop"), ("male voice", "female vocal"), ("metal", "female voice")):
        i, j = names.index(first), names.index(second)
        assert counts[i] == counts[j] and (i < j) == (table.tags.index(first) < table.tags.index(second))
    tagged = table.labels[:, order[:50]].any(axis=1) & ~np.isin(table.ids, [35644, 55753, 57881])
    assert Counter(table.splits[tagged].tolist()) == {"train": 15_247, "validation": 1_529, "test": 4_332}
    test_artists = np.array(table.artists)[table.splits == "test"]
    train_artists = set(np.array(table.artists)[table.splits == "train"])
    assert sum(artist in train_artists for artist in test_artists) == 3_284

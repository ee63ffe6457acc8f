"""The pages' tables are those of results/*.json, and what their sentences say stands in a table beside them."""

import re
from pathlib import Path

import pytest

from results.tables import PAGES, ROOT, rewritten

_DECIMAL = re.compile(r"(?<![\w./-])[-+]?\d*\.\d+(?![\w/])")
# the smallest difference that the paper calls one; settings
CONSTANTS = {"0.0086", "0.001", "0.1", "0.2", "0.5"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tables_are_those_of_the_results(page):
    text = page.read_text()
    assert rewritten(text) == text, "run python results/tables.py"


def lines_of(text):
    """Lines of tables, and all others without code."""
    text = re.sub(r"^(    |\t).*$|`[^`]*`|\]\([^)]*\)", "", text, flags=re.MULTILINE)
    lines = text.splitlines()
    return [line for line in lines if line.startswith("|")], [line for line in lines if not line.startswith("|")]


def plain(number):
    return number.lstrip("+-").lstrip("0")


def missing(text):
    """Decimal numbers of sentences that no table has."""
    tables, sentences = lines_of(text)
    known = {plain(number) for line in tables for number in _DECIMAL.findall(line)} | set(map(plain, CONSTANTS))
    return [number for line in sentences for number in _DECIMAL.findall(line) if plain(number) not in known]


def test_a_number_that_no_table_has_is_found():
    assert missing("| a | 0.906 ± 0.013 |\n\nIt is .906, 0.0086 or `0.3`, as [x](1.5).\n\n    code 0.7\n") == []
    assert missing("| a | 0.906 |\n\nIt has 0.907, by +.013.\n") == ["0.907", "+.013"]


@pytest.mark.parametrize("name", ["docs/results.md", "docs/future-work.md", "README.md"])
def test_numbers_of_sentences_stand_in_a_table(name):
    text = (ROOT / name).read_text()
    if name == "README.md":
        text = re.search(r"\n## Results\n.*?(?=\n## )", text, re.DOTALL)[0]
    assert missing(text) == []


@pytest.mark.parametrize(("name", "most"), [("README.md", 150), ("docs/results.md", 150), ("docs/future-work.md", 120)])
def test_pages_stay_short(name, most):
    assert len((ROOT / name).read_text().splitlines()) <= most


def anchors(page):
    """What the headings of a page are called in links."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", page.read_text()):
        linked = Path(page.parent, target) if target else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), f"{target}#{anchor}"

"""Rewrite the tables of the pages from the numbers in this folder: python results/tables.py

A page holds a table between the lines `<!-- table NAME -->` and `<!-- end -->`; NAME is a function of `of_paper`,
`of_recipe`, `of_songs` or `costs`, with its arguments.
"""

import re
from pathlib import Path

from results import costs, of_paper, of_recipe, of_songs

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"(<!-- table ([^>]*?) -->\n).*?(<!-- end -->)", re.DOTALL)


def rewritten(text: str) -> str:
    """A page with its tables made anew."""

    def make(found: re.Match[str]) -> str:
        name, *arguments = found[2].split()
        make_table = next(getattr(each, name) for each in (of_paper, of_recipe, of_songs, costs) if hasattr(each, name))
        return f"{found[1]}{make_table(*arguments)}{found[3]}"

    return _BLOCK.sub(make, text)


def main() -> None:
    for page in PAGES:
        before = page.read_text()
        if (after := rewritten(before)) != before:
            page.write_text(after)
            print(f"{page.relative_to(ROOT)}: rewritten")


if __name__ == "__main__":
    main()

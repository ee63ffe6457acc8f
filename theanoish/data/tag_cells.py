"""How people and programs write a song's tags into a table."""

import ast
import re
from collections import Counter
from contextlib import suppress

# As people, and spreadsheets in their languages, write 1 and 0 in a tag's column.
YES = (
    "1", "true", "yes", "y", "t", "x", "on", "✓", "✔", "wahr", "ja", "vrai", "oui", "vero", "sì", "verdadero", "sí",
)  # fmt: skip
NO = (
    "", "0", "false", "no", "n", "f", "-", "off", "na", "nan", "null", "none", "falsch", "nein", "faux", "non", "falso",
)  # fmt: skip


def plain(cell: str) -> str:
    """A cell of a tag's column, with 1 and 0 of any number of decimals as such."""
    return re.sub(r"^([01])[.,]0+$", r"\1", cell.strip().casefold())


def separator_of(cells: list[str], notes: list[str]) -> str:
    """What stands between the tags of a song: a comma if no row has a semicolon and it makes fewer or shared tags."""
    if not any(";" in cell for cell in cells) and any("|" in cell for cell in cells):
        notes.append("tags: separated at |, since no row has a semicolon")
        return "|"
    if any(";" in cell for cell in cells) or not any("," in cell for cell in cells):
        return ";"
    songs_of = Counter(tag for cell in cells for tag in {part.strip() for part in cell.split(",")} - {""})
    if min(songs_of.values(), default=0) > 1 or len(songs_of) < len(set(cells)):
        notes.append("tags: separated at commas, since no row has a semicolon")
        return ","
    notes.append(
        "warning: 'tags' has commas but no semicolon, and what a comma separates is often one song's alone: "
        "each row was taken as one tag"
    )
    return ";"


def unlisted(cell: str) -> str:
    """A list of tags as pandas and JSON write it, ['rock', 'pop'], with semicolons; anything else as it is."""
    if not cell.strip().startswith(("[", "(", "{")):
        return cell
    with suppress(ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        items = ast.literal_eval(re.sub(r"""(['"])\s+(['"])""", r"\1, \2", cell.strip()))  # NumPy has no commas
        if isinstance(items, list | tuple | set):
            return ";".join(map(str, items))
    return cell

"""Markdown tables, and blocks of generated text between two marks."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

#: A block starts with its name and ends with a mark that is the same for all.
_BLOCK: Final = re.compile(r"(<!-- generated: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(head: Sequence[str], rows: Iterable[Sequence[str]], names: int = 1) -> str:
    """A table whose first columns hold names, and whose other columns are figures and aligned right.

    Args:
        head: the titles of the columns.
        rows: the cells of each row, as many as there are titles.
        names: how many columns hold names.
    """
    lines = [head, [*["---"] * names, *["---:"] * (len(head) - names)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def fill(text: str, blocks: Mapping[str, Callable[[], str]]) -> str:
    """Replace what stands between the marks `<!-- generated: NAME -->` and `<!-- end -->`.

    Args:
        text: of a Markdown file.
        blocks: what makes each block's content, by name.

    Raises:
        KeyError: a mark names a block that does not exist.
    """
    return _BLOCK.sub(lambda found: f"{found[1]}{blocks[found[2]]()}{found[3]}", text)


def percent(share: float, digits: int = 1) -> str:
    """A share as a percentage."""
    return f"{100 * share:.{digits}f} %"

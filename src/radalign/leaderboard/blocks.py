"""The parts of a page, said once for Markdown and for HTML: texts, lists, tables, pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Cell:
    """A number or a word of a table.

    Args:
        text: What stands large.
        small: What stands below it or in brackets: an interval, a spread.
        mark: `best`, `better`, `worse`, `tie` or "" decides how HTML shows it.
        bar: An SVG drawing for HTML.
    """

    text: str
    small: str = ""
    mark: str = ""
    bar: str = ""

    @property
    def plain(self) -> str:
        """For Markdown; the best is bold.

        >>> Cell("12.5", "10.0–15.0", "best").plain
        '**12.5** (10.0–15.0)'
        """
        text = f"**{self.text}**" if self.mark == "best" else self.text
        return f"{text} ({self.small})" if self.small else text


@dataclass(frozen=True)
class Grid:
    """A table whose first column names the row.

    Args:
        header: Of the columns.
        rows: Cells, the first of each row is its name.
        caption: How the numbers were made.
        title: What the numbers are, where the header does not say it: a narrow page hides the header.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    title: str = ""


@dataclass(frozen=True)
class Picture:
    """A drawing that only HTML shows.

    Args:
        html: Self-contained: inline SVG, or an image as data.
        caption: In words, also for those who do not see it.
        is_headed: The caption is what was asked, and stands above the answer.
    """

    html: str
    caption: str = ""
    is_headed: bool = False


@dataclass(frozen=True)
class Listing:
    """Sentences, one per line."""

    lines: Sequence[str]


@dataclass(frozen=True)
class Side:
    """Blocks that stand side by side where the page is wide enough."""

    blocks: Sequence[Block]


@dataclass(frozen=True)
class Folded:
    """Blocks that HTML shows when a reader asks for them; Markdown and paper always show them.

    Args:
        title: What is inside.
        blocks: The content.
    """

    title: str
    blocks: Sequence[Block]


Block = str | Grid | Picture | Listing | Side | Folded


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    title: str
    blocks: Sequence[Block] = field(default_factory=tuple)


def to_markdown(title: str, sections: Sequence[Section]) -> str:
    """The page as Markdown, without its pictures."""
    parts = [f"# {title}"]
    for section in sections:
        written = [text for block in section.blocks if (text := _markdown(block))]
        if written:
            parts += [f"## {section.title}", *written]
    return "\n\n".join(parts) + "\n"


def _markdown(block: Block) -> str:
    if isinstance(block, str):
        return block
    if isinstance(block, Listing):
        return "\n".join(f"- {line}" for line in block.lines)
    if isinstance(block, Grid):
        return _table(block)
    if isinstance(block, Side | Folded):
        return "\n\n".join(text for inner in block.blocks if (text := _markdown(inner)))
    return ""


def _table(grid: Grid) -> str:
    rule = "|" + "|".join(["---", *["---:"] * (len(grid.header) - 1)]) + "|"
    rows = [list(grid.header), *[[cell.plain for cell in row] for row in grid.rows]]
    lines = ["| " + " | ".join(text.replace("|", "\\|") for text in row) + " |" for row in rows]
    table = "\n".join([*([f"### {grid.title}", ""] if grid.title else []), lines[0], rule, *lines[1:]])
    return f"{table}\n\n{grid.caption}" if grid.caption else table

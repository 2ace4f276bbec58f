"""The page as one HTML file: its style and drawings inside, no script, nothing fetched."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib import resources

from radalign.leaderboard.blocks import Block, Cell, Folded, Grid, Listing, Picture, Section, Side
from radalign.leaderboard.plan import slug

WIDE_FROM, MANY_FROM = 4, 12
TOP = "top"
BACK = f'<p class="back"><a href="#{TOP}">Back to top</a></p>\n'


def to_html(title: str, sections: Sequence[Section]) -> str:
    """The whole page."""
    style = (resources.files("radalign.leaderboard") / "page.css").read_text(encoding="utf-8")
    shown = [section for section in sections if section.blocks]
    links = " ".join(f'<a href="#{slug(s.title)}">{escape(s.title)}</a>' for s in shown)
    body = "\n".join(_section(section) for section in shown)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f'<h1 id="{TOP}">{escape(title)}</h1>\n<nav>{links}</nav>\n{body}\n</body>\n</html>\n'
    )


def _section(section: Section) -> str:
    inside = "\n".join(_block(block) for block in section.blocks)
    return (
        f'<section id="{slug(section.title)}">\n<h2>{escape(section.title)}</h2>\n{inside}\n{BACK}</section>'
    )


def _block(block: Block) -> str:
    if isinstance(block, str):
        return f"<p>{escape(block)}</p>"
    if isinstance(block, Listing):
        return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in block.lines) + "</ul>"
    if isinstance(block, Grid):
        return _table(block)
    if isinstance(block, Side):
        return '<div class="side">' + "".join(f"<div>{_block(b)}</div>" for b in block.blocks) + "</div>"
    if isinstance(block, Folded):
        inside = "\n".join(map(_block, block.blocks))
        return f"<details><summary>{escape(block.title)}</summary>\n{inside}\n</details>"
    return _picture(block)


def _picture(picture: Picture) -> str:
    caption = f"<figcaption>{escape(picture.caption)}</figcaption>" if picture.caption else ""
    if picture.is_headed:
        return f'<figure class="headed">{caption}{picture.html}</figure>'
    return f"<figure>{picture.html}{caption}</figure>"


def _table(grid: Grid) -> str:
    size = len(grid.header)
    kind = f' class="wide{" many" if size >= MANY_FROM else ""}"' if size >= WIDE_FROM else ""
    caption = f"<caption>{escape(grid.caption)}</caption>" if grid.caption else ""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in grid.header)
    rows = "\n".join(_row(grid.header, row) for row in grid.rows)
    inside = f"{caption}<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>"
    title = f"<h3>{escape(grid.title)}</h3>" if grid.title else ""
    return f'{title}<div class="scroll"><table{kind}>{inside}</table></div>'


def _row(header: Sequence[str], row: Sequence[Cell]) -> str:
    first = f'<th scope="row">{escape(row[0].text)}</th>'
    return f"<tr>{first}" + "".join(_cell(n, c) for n, c in zip(header[1:], row[1:], strict=True)) + "</tr>"


def _cell(name: str, cell: Cell) -> str:
    kinds = " ".join(filter(None, (cell.mark, "drawn" if cell.bar else "")))
    kind = f' class="{kinds}"' if kinds else ""
    text = f"<b>{escape(cell.text)}</b>" if cell.mark == "best" else escape(cell.text)
    small = f"<small>{escape(cell.small)}</small>" if cell.small else ""
    inside = f"{text}{small}" if not (text and small) else f"<span>{text}{small}</span>"
    return f'<td{kind} data-label="{escape(name, quote=True)}">{inside}{cell.bar}</td>'

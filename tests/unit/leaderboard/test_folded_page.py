"""What is looked up, not read, is folded on the page, without a script; Markdown and paper show it."""

from __future__ import annotations

import re

import pytest

from radalign.leaderboard.blocks import Folded, Section, to_markdown
from radalign.leaderboard.html import to_html
from tests.unit.leaderboard.test_board import rules, style

pytestmark = pytest.mark.timeout(600)  # the first test waits for the board of all


def sections(board):
    text = board.files["page.html"].read_text()
    return dict(re.findall(r'<section id="([^"]+)">(.*?)</section>', text, re.DOTALL))


@pytest.mark.parametrize("name", ["by-finding", "all-numbers"])
def test_tables_that_are_looked_up_are_folded(board, name):
    inside = sections(board)[name]
    folded = re.search(r"<details><summary>(\d+) tables</summary>(.*)</details>", inside, re.DOTALL)
    assert folded[2].count("<table") == inside.count("<table") == int(folded[1])


@pytest.mark.parametrize("name", ["systems-and-tasks", "differences-to-heads", "ablations-and-variations"])
def test_every_test_set_but_the_first_is_folded(board, name):
    inside = sections(board)[name]
    seen, _, rest = inside.partition("<details>")
    assert "<table" in seen
    assert "with frontal" not in seen
    assert rest.startswith("<summary>Test set: with frontal</summary>")
    assert "<table" in rest.partition("</details>")[0]
    assert "<details" not in rest


def test_every_section_leads_back_to_the_top(board):
    text = board.files["page.html"].read_text()
    assert text.count('id="top"') == 1
    found = sections(board)
    assert len(found) > 8
    assert all(inside.rstrip().endswith('<a href="#top">Back to top</a></p>') for inside in found.values())


def test_paper_shows_what_is_folded_and_no_links_to_the_top():
    printed = rules(style(), "print")
    assert printed["details::details-content"]["content-visibility"] == "visible"
    assert printed[".back"]["display"] == "none"


def test_markdown_has_it_as_if_it_were_not_folded():
    blocks = ["first", "second"]
    plain, folded = (to_markdown("t", [Section("s", b)]) for b in (blocks, [Folded("more", blocks)]))
    assert plain == folded
    assert "<details><summary>more &lt;x&gt;</summary>" in to_html(
        "t", [Section("s", [Folded("more <x>", blocks)])]
    )

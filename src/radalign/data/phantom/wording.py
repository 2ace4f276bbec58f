"""Filling phrases with the truth: slots, plurals, articles, abbreviations.

Placed + template "{Size} {side} pleural effusion{s}." ──> "Small left pleural effusion."
"""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np

from radalign.data.phantom.truth import Placed


@lru_cache(maxsize=1)
def phrases() -> dict[str, Any]:
    """The tables of `phrases.toml`."""
    text = resources.files(__package__).joinpath("phrases.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def pick(rng: np.random.Generator | None, options: list[str]) -> str:
    """One of several phrases at random; the first without random numbers."""
    return options[0 if rng is None else int(rng.integers(len(options)))]


def slots(p: Placed, rng: np.random.Generator | None, suffix: str = "") -> dict[str, str]:
    """What the slots of a template become for one finding; their names end in `suffix`."""
    table = phrases()[p.name]
    both = p.side == "both"
    words = {
        "side": "bilateral" if both else p.side,
        "other": {"left": "right", "right": "left"}.get(p.side, ""),
        "base": "bibasilar" if both else f"{p.side} basilar",
        "lobe": "lingula" if p.location == "lingula" else f"{p.side} {p.location}".strip(),
        "route": pick(rng, table[p.location]) if p.name == "Central line" else "",
        "size": pick(rng, table.get(p.severity, [""])),
        "mm": f"{p.size_mm:.0f}",
        "cm": f"{p.size_mm / 10:.1f}",
        "s": "s" if both else "",
        "is": "are" if both else "is",
        "has": "have" if both else "has",
        "a": "" if both else "a",
    }
    return {name + suffix: word for name, word in words.items()}


def fill(template: str, words: dict[str, str]) -> str:
    """A template with its slots filled, spaces and articles mended, the first letter capital.

    >>> fill("there {is} {a} {size} {side} effusion{s}.",
    ...      {"is": "is", "a": "a", "size": "extensive", "side": "left", "s": ""})
    'There is an extensive left effusion.'
    """
    capital = {name[0].upper() + name[1:]: word[:1].upper() + word[1:] for name, word in words.items()}
    text = template.format(**words, **capital)
    text = re.sub(r"\s+([.,])", r"\1", re.sub(r"\s+", " ", text)).strip()
    text = re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", text)
    return text[:1].upper() + text[1:]


def phrase(p: Placed, kind: str, rng: np.random.Generator) -> str:
    """One sentence about a finding.

    Args:
        p: The finding.
        kind: A list of `phrases.toml`: `present`, `hedged`, `short`, `new`, `worse`, ...
        rng: Random numbers.
    """
    table = phrases()[p.name]
    options = list(table[kind])
    if kind == "present" and p.side != "both":
        options += table.get(f"present_{p.severity}", [])
    return fill(pick(rng, options), slots(p, rng))


def statement(p: Placed, number: int = 0) -> str:
    """A plain sentence that a finding is there, always the same for the same number.

    >>> statement(Placed("Effusion", "left", extent=0.9))
    'Large left pleural effusion.'
    >>> statement(Placed("Atelectasis", "both", extent=0.1))
    'Mild bibasilar atelectasis.'
    """
    options = phrases()[p.name][p.change or "present"]
    return fill(options[number % len(options)], slots(p, None))


def denial(name: str, number: int = 0) -> str:
    """A plain sentence that a finding is not there, always the same for the same number.

    >>> denial("Effusion"), denial("Endotracheal tube", 1)
    ('No pleural effusion.', 'There is no endotracheal tube.')
    """
    template = phrases()["negative"]["one"]
    return fill(template[number % len(template)], {"list": phrases()[name]["absent"][0]})


def enumerate_words(words: list[str], last: str = "or") -> str:
    """A list in words.

    >>> enumerate_words(["a"]), enumerate_words(["a", "b"]), enumerate_words(["a", "b", "c"])
    ('a', 'a or b', 'a, b, or c')
    """
    if len(words) < 3:
        return f" {last} ".join(words)
    return f"{', '.join(words[:-1])}, {last} {words[-1]}"


def abbreviate(text: str) -> str:
    """The same text in a hurried hand.

    >>> abbreviate("Small right lower lobe consolidation with effusion.")
    'Small RLL consolidation w/ effusion.'
    """
    for long, short in phrases()["abbreviations"].items():
        text = re.sub(rf"\b{long}\b", short, text, flags=re.IGNORECASE)
    return text[:1].upper() + text[1:]

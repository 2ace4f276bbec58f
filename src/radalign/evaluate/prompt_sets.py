"""Prompt sets: which sentences stand for a finding or a class, read from TOML files that name their source.

    [[finding]]  present and absent sentences  ──> PromptSet.findings   two-way scores
    [[class]]    sentences or parts to combine ──> PromptSet.classes    C-way scores
    [[template]] sentences with a gap {}       ──> PromptSet.templates  filled with a name

The packaged sets lie in `evaluate/prompts/`; any other file may be named by its path.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from itertools import product
from pathlib import Path
from typing import Any

from radalign.evaluate.pooling import Pooling
from radalign.evaluate.provenance import sha256_of


class PromptError(ValueError):
    """A prompt set cannot be read; the message says what to do."""


@dataclass(frozen=True)
class FindingPrompts:
    """Sentences that say a finding is present, and sentences that say it is absent.

    Args:
        name: How results name it.
        labels: The manifest's labels that mean it; present when any of them is.
        present: At least one sentence.
        absent: At least one sentence.
    """

    name: str
    labels: tuple[str, ...]
    present: tuple[str, ...]
    absent: tuple[str, ...]


@dataclass(frozen=True)
class PromptSet:
    """Findings (present against absent), or classes (one against the others), with their source.

    Args:
        name: Of the set.
        source: Where the sentences come from.
        pooling: How several sentences become one score unless the caller says otherwise.
        findings: Two-way prompts.
        classes: Class to its sentences.
        sha256: Of the file's text, recorded with every result.
        templates: What is said to sentences with a gap `{}`.
    """

    name: str
    source: str
    pooling: Pooling
    findings: tuple[FindingPrompts, ...]
    classes: Mapping[str, tuple[str, ...]]
    sha256: str
    templates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def facts(self) -> dict[str, str]:
        """What a result records of the set."""
        return {"prompts": self.name, "prompts_sha256": self.sha256, "prompts_source": self.source}

    def filled(self, template: str, word: str) -> tuple[str, ...]:
        """The sentences of a template about a finding or a class.

        >>> load_prompts("few-shot-template").filled("class", "normal chest")
        ('a photo of a normal chest.',)
        """
        return tuple(sentence.format(word) for sentence in self.templates[template])


def prompt_set_names() -> list[str]:
    """Names of the packaged sets, sorted."""
    folder = resources.files("radalign.evaluate.prompts")
    return sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml"))


def load_prompts(name_or_path: str | Path) -> PromptSet:
    """Read a packaged set by name or any set by path.

    Raises:
        PromptError: If there is no such set or it is not complete.

    >>> {name: len(prompts) for name, prompts in load_prompts("gloria-classes").classes.items()}
    {'Atelectasis': 210, 'Cardiomegaly': 15, 'Consolidation': 192, 'Edema': 18, 'Pleural Effusion': 54}
    """
    text = _text(name_or_path)
    try:
        table = tomllib.loads(text)
        return PromptSet(
            name=table["name"],
            source=table["source"],
            pooling=Pooling(table["pooling"]),
            findings=tuple(_finding(row) for row in table.get("finding", [])),
            classes={row["name"]: _sentences(row) for row in table.get("class", [])},
            sha256=sha256_of(text),
            templates={row["name"]: tuple(row["sentences"]) for row in table.get("template", [])},
        )
    except (tomllib.TOMLDecodeError, KeyError, ValueError) as error:
        raise PromptError(
            f"The prompt set {name_or_path} is not complete ({error}); it needs name, source, pooling, and "
            "[[finding]] or [[class]] tables."
        ) from error


def _text(name_or_path: str | Path) -> str:
    packaged = resources.files("radalign.evaluate.prompts") / f"{name_or_path}.toml"
    if str(name_or_path) in prompt_set_names():
        return packaged.read_text(encoding="utf-8")
    path = Path(name_or_path)
    if not path.is_file():
        known = ", ".join(prompt_set_names())
        raise PromptError(f"There is no prompt set {str(name_or_path)!r}; use {known} or a TOML file.")
    return path.read_text(encoding="utf-8")


def _finding(row: Mapping[str, Any]) -> FindingPrompts:
    present, absent = tuple(row["present"]), tuple(row["absent"])
    if not present or not absent:
        raise PromptError(f"{row['name']!r} needs at least one present and one absent sentence.")
    return FindingPrompts(row["name"], tuple(row.get("labels", [row["name"]])), present, absent)


def _sentences(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Every combination of a class's parts, first part slowest, joined by spaces and stripped."""
    return tuple(" ".join(parts).strip() for parts in product(*(row[part] for part in row["order"])))

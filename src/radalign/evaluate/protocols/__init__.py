"""Published evaluations, one file each: `paper` mode as published, `strict` mode as it ought to be."""

from __future__ import annotations

from importlib import import_module

from radalign.evaluate.embeddings import EvaluationError
from radalign.evaluate.protocols.protocol import Protocol

PROTOCOLS = (
    "chexpert-8x200",
    "chexpert-5x200",
    "rsna",
    "nih",
    "ms-cxr-t",
    "few-shot",
    "base-to-novel",
    "ms-cxr",
    "openi",
    "report-to-report",
)


def find_protocol(name: str) -> Protocol:
    """The protocol with this name.

    Raises:
        EvaluationError: If there is none.

    >>> find_protocol("rsna").name
    'rsna'
    """
    if name not in PROTOCOLS:
        raise EvaluationError(f"There is no protocol {name!r}; choose one of {', '.join(PROTOCOLS)}.")
    module = import_module(f"radalign.evaluate.protocols.{name.replace('-', '_')}")
    protocol: Protocol = module.PROTOCOL
    return protocol

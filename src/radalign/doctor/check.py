"""One thing that was looked at: fine, worth a note, or broken, and how to mend it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

State = Literal["fine", "note", "broken"]


@dataclass(frozen=True)
class Check:
    """What was found.

    Args:
        name: What was looked at.
        state: `note` is something that is not there and that only some need.
        found: What is there, or what is wrong.
        mend: What to do about it.
    """

    name: str
    state: State
    found: str
    mend: str = ""

    def line(self, width: int = 20) -> str:
        """For a person.

        >>> Check("codecs", "note", "pyjpegls is missing", 'pip install -e ".[codecs]"').line(8)
        'note    codecs   pyjpegls is missing; pip install -e ".[codecs]"'
        """
        return f"{self.state:7} {self.name:{width}} {'; '.join(filter(None, (self.found, self.mend)))}"


def summary(checks: Iterable[Check]) -> str:
    """The last line.

    >>> summary([Check("a", "fine", ""), Check("b", "note", "")])
    'Nothing is broken: 1 fine, 1 to note.'
    """
    counts = Counter(check.state for check in checks)
    verdict = f"{counts['broken']} broken" if counts["broken"] else "Nothing is broken"
    return f"{verdict}: {counts['fine']} fine, {counts['note']} to note."

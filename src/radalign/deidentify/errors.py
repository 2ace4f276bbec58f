"""The errors of this package."""

from __future__ import annotations


class DeidentifyError(ValueError):
    """A file cannot be de-identified safely, or a setting would break the promise; says what to do."""


class RetryableError(DeidentifyError):
    """A file cannot be de-identified here and now (no decoder, say): it is tried again the next time."""


class OutputError(DeidentifyError):
    """Nothing can be written any more: the run ends, instead of blaming file after file."""


def is_of_a_file(error: BaseException) -> bool:
    """Whether an error says that a file is broken, rather than that somebody stops the run.

    A decoder written in Rust panics with an exception that is no `Exception`.

    >>> is_of_a_file(NotImplementedError()), is_of_a_file(KeyboardInterrupt())
    (True, False)
    """
    return not isinstance(error, (KeyboardInterrupt, SystemExit, GeneratorExit, OutputError))

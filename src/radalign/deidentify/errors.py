"""The error of this package."""

from __future__ import annotations


class DeidentifyError(ValueError):
    """A file cannot be de-identified safely, or a setting would break the promise; says what to do."""

"""What goes wrong with an index, as sentences that end with what to do."""

from __future__ import annotations


class SearchError(ValueError):
    """A search or a change of an index cannot be done as asked."""


class IndexDamaged(SearchError):
    """A file of an index is missing, cut short or altered."""


class IndexBusy(SearchError):
    """Another process is writing to the index."""


class OtherSystem(SearchError):
    """Vectors of one system meet an index of another."""


class StorageError(SearchError):
    """The disk refused a write; the index keeps its last acknowledged state."""

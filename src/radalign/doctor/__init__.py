"""Whether this installation can do what it should, and what to do where it cannot."""

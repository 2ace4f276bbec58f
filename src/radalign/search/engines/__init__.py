"""Engines behind the contract of `search/index.py`; `flat` is exact and keeps its vectors in files."""

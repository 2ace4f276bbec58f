"""Pixels in, pictures out: reading, windows, geometry, contact sheets; nothing here knows of studies."""

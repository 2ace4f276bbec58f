"""A chest phantom: simulated frontal and lateral radiographs with reports and the exact truth.

anatomy ─> thorax ─> organs, skeleton, vessels ─┐
truth (Placed) ─> disease, devices ─────────────┴─> chest ─> camera ─> exposure ─> render
course (who is ill, what changes) ─> case ─┬─> render ─> files (PNG, DICOM)
                                           └─> report (grammar) ─> Study ─> simulate ─> Manifest
"""

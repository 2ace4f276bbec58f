"""A chest phantom: simulated frontal and lateral radiographs with reports and the exact truth.

anatomy ─> thorax ─> organs, skeleton, vessels ─┐
truth (Placed) ─> disease, devices ─────────────┴─> chest ─> camera ─> exposure ─> render
course (who is ill, what changes) ─> case ─┬─> render ─> files (PNG, DICOM)
                                           └─> report (grammar) ─> Study ─> simulate ─> Manifest
"""

from radalign.data.phantom.case import Case
from radalign.data.phantom.course import patient_cases
from radalign.data.phantom.render import render
from radalign.data.phantom.report import write_report
from radalign.data.phantom.simulate import Settings, simulate
from radalign.data.phantom.truth import FINDINGS, Placed

__all__ = ["FINDINGS", "Case", "Placed", "Settings", "patient_cases", "render", "simulate", "write_report"]

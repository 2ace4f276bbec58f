"""The reports of MIMIC-CXR: one text file per study, in a tree or still in the distributor's zip."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

from radalign.data.sources.source import SourceError

ARCHIVE = "mimic-cxr-reports.zip"


class ReportFault(ValueError):
    """A report is there but cannot be read; the message says why."""


class ReportShelf:
    """Reports by patient and study.

    Args:
        place: A folder that holds `files/p10/p10000032/s50414267.txt` (or `p10/...`), a zip of the same, or
            None: then every report is missing.

    Raises:
        SourceError: If the place is neither a folder nor a zip, or the zip is damaged.
    """

    def __init__(self, place: Path | None) -> None:
        self.place = place
        self.archive = _opened(place) if place is not None and zipfile.is_zipfile(place) else None
        if place is not None and self.archive is None and not place.is_dir():
            raise SourceError(
                f"{place} is neither a folder of reports nor a zip; give {ARCHIVE} or its folder."
            )
        self.prefix = self._prefix()

    def text(self, subject_id: str, study_id: str) -> str | None:
        """The report as written, or None when there is no file.

        Raises:
            ReportFault: If the file is damaged.
        """
        name = f"{self.prefix}p{subject_id[:2]}/p{subject_id}/s{study_id}.txt"
        try:
            if self.archive is not None:
                return self.archive.read(name).decode("utf-8", errors="replace")
            if self.place is not None:
                return (self.place / name).read_text(encoding="utf-8", errors="replace")
        except (KeyError, FileNotFoundError):
            return None
        except (OSError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
            raise ReportFault(f"{name}: {error}") from error
        return None

    def _prefix(self) -> str:
        if self.archive is not None:
            first = next((name for name in self.archive.namelist() if name.endswith(".txt")), "")
            return first[: max(first.rfind("/p1") - 3, 0)] if "/p1" in first else ""
        for prefix in ("files/", "mimic-cxr-reports/files/", "mimic-cxr-reports/", ""):
            if self.place is not None and any((self.place / prefix).glob("p1?")):
                return prefix
        return "files/"


def _opened(place: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(place)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        raise SourceError(f"{place} is a damaged zip ({error}); fetch it again.") from error


def find_reports(folder: Path, told: Path | None) -> Path | None:
    """Where the reports are: as told, else the zip or the tree in or beside the folder, else None."""
    if told is not None:
        inner = told / ARCHIVE
        return inner if inner.is_file() else told
    for place in (folder, folder.parent):
        for candidate in (place / ARCHIVE, place / "mimic-cxr-reports"):
            if candidate.exists():
                return candidate
    tree = next(iter(sorted((folder / "files").glob("p1?/p1*"))), None)
    return folder if tree is not None and any(tree.glob("s*.txt")) else None

"""Fetching what is public: resumable, checked, unpacked; the only part of `data` that touches a network.

    url ──> name.part (grows, resumes) ──> size and SHA-256 right? ──> name ──> unpacked beside it
                                                                                 └── name.sha256 + .unpacked

Open-i publishes no checksums. So the first download is held against the size that the server states and
against the archive's own checksums. Only when it was unpacked is its SHA-256 kept, and a later download must
give the same: a web page that a portal sends instead of the file must not become what is expected.
"""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path

_BLOCK_BYTES = 1 << 20
_TIMEOUT_S = 60
Report = Callable[[str, int, int], None]


class DownloadError(ValueError):
    """A file cannot be fetched, or is not what it should be; the message says what to do."""


@dataclass(frozen=True)
class Remote:
    """One file of a distribution.

    Args:
        name: The file's name, behind the base address.
        sha256: What the publisher states, "" when nothing.
    """

    name: str
    sha256: str = ""


@dataclass(frozen=True)
class Distribution:
    """What is fetched for one data set.

    Args:
        base: Address that the names follow.
        files: In the order of fetching, small ones first.
        terms: The licence, shown before anything is fetched.
    """

    base: str
    files: tuple[Remote, ...]
    terms: str


PUBLIC: Mapping[str, Distribution] = {
    "openi": Distribution(
        "https://openi.nlm.nih.gov/imgs/collections/",
        (Remote("NLMCXR_reports.tgz"), Remote("NLMCXR_png.tgz")),
        "Open-i, Indiana University Chest X-ray Collection: CC BY-NC-ND 4.0, non-commercial, no derivatives.",
    )
}


def download(
    name: str, folder: Path, base: str = "", report: Report | None = None, tries: int = 5, pause_s: float = 5
) -> list[Path]:
    """Fetch and unpack a public data set; what is already there and right is not fetched again.

    Args:
        name: One of `PUBLIC`.
        folder: Where the archives and their content go.
        base: Another address with the same files (a mirror), "" for the publisher's.
        report: Called with a file's name, the bytes there and the bytes in all (0 = unknown).
        tries: How often a broken connection is taken up again, from where it broke.
        pause_s: Wait before the second try; it doubles from try to try.

    Returns:
        The archives.

    Raises:
        DownloadError: If the set is unknown, a file cannot be fetched, or is not what it should be.
    """
    if name not in PUBLIC:
        raise DownloadError(
            f"{name!r} cannot be downloaded; {', '.join(PUBLIC)} can. Others need an agreement."
        )
    distribution = PUBLIC[name]
    folder.mkdir(parents=True, exist_ok=True)
    archives = []
    for remote in distribution.files:
        archive = fetch(remote, folder, base or distribution.base, report, tries, pause_s)
        unpack(archive, folder)
        archives.append(archive)
    return archives


def fetch(
    remote: Remote, folder: Path, base: str, report: Report | None = None, tries: int = 5, pause_s: float = 5
) -> Path:
    """Fetch one file into a folder, resuming a part that is there.

    Raises:
        DownloadError: If it cannot be fetched, or is not what it should be.
    """
    target = folder / remote.name
    expected = _expected(remote, target)
    if target.is_file() and (not expected or _sha256(target) == expected):
        return target
    part, url = target.with_name(target.name + ".part"), base.rstrip("/") + "/" + remote.name
    for attempt in range(tries):
        try:
            _continue(url, part, remote.name, report)
            break
        except (OSError, HTTPException) as error:
            if attempt + 1 == tries or _is_refusal(error):
                raise DownloadError(
                    f"{url} cannot be fetched ({error}); run the command again to go on."
                ) from error
            time.sleep(pause_s * 2**attempt)
    _accept(part, target, remote)
    return target


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a tar archive and keep its SHA-256; again only when its content is no longer there.

    Nothing is written outside the folder. A file that is no archive is removed with its sum, so that the next
    download starts from nothing.

    Raises:
        DownloadError: If it cannot be unpacked.
    """
    done, seen = archive.with_name(archive.name + ".unpacked"), _sha256(archive)
    if _is_unpacked(done, seen, folder):
        return
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
            names = tar.getnames()
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        for path in (archive, _sum_file(archive), done):
            path.unlink(missing_ok=True)
        why = " ".join(str(error).split())
        raise DownloadError(
            f"{archive} cannot be unpacked ({why}): it is damaged, or a web page was sent instead. It "
            "was removed; download it again, or look at the address in a browser."
        ) from error
    except OSError as error:
        raise DownloadError(
            f"{archive} cannot be unpacked to {folder} ({error}); make room, then run the command again."
        ) from error
    done.write_text("\n".join([seen, *names]), encoding="utf-8")
    _sum_file(archive).write_text(f"{seen}  {archive.name}\n", encoding="utf-8")


def _is_unpacked(done: Path, seen: str, folder: Path) -> bool:
    """Whether the mark is of this archive and all that it names is still there."""
    marked, *names = done.read_text(encoding="utf-8").split("\n") if done.is_file() else [""]
    return marked == seen and bool(names) and all((folder / name).exists() for name in names)


def _continue(url: str, part: Path, name: str, report: Report | None) -> None:
    """Append to a part what is missing; start over when the server's file is another one by now."""
    tag = part.with_name(part.name + ".etag")
    there = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(url)
    if there:
        request.add_header("Range", f"bytes={there}-")
        if tag.is_file() and (seen := tag.read_text(encoding="utf-8")):
            request.add_header("If-Range", seen)
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:
            _store(response, part, tag, there if response.status == 206 else 0, name, report)
    except urllib.error.HTTPError as error:
        with error:
            if error.code != 416:
                raise
            # The range is behind the end: the part is whole, or it is a longer one of something else.
            if error.headers.get("Content-Range", "").strip() == f"bytes */{there}":
                return
        part.unlink()
        _continue(url, part, name, report)


def _store(
    response: HTTPResponse, part: Path, tag: Path, there: int, name: str, report: Report | None
) -> None:
    tag.write_text(response.headers.get("ETag", ""), encoding="utf-8")
    length = response.headers.get("Content-Length")
    total = there + int(length) if length else 0
    with part.open("ab" if there else "wb") as file:
        while block := response.read(_BLOCK_BYTES):
            file.write(block)
            there += len(block)
            if report:
                report(name, there, total)
    if total and there < total:
        raise ConnectionError(f"the connection broke at {there:,} of {total:,} bytes")


def _accept(part: Path, target: Path, remote: Remote) -> None:
    seen, expected = _sha256(part), _expected(remote, target)
    if expected and seen != expected:
        part.unlink()
        raise DownloadError(
            f"{remote.name} has SHA-256 {seen}, but {expected} was expected; "
            "fetch it again, or delete its .sha256 file if the publisher changed it."
        )
    part.replace(target)
    part.with_name(part.name + ".etag").unlink(missing_ok=True)


def _expected(remote: Remote, target: Path) -> str:
    return remote.sha256 or _kept_sum(target)


def _kept_sum(target: Path) -> str:
    path = _sum_file(target)
    return path.read_text(encoding="utf-8").split()[0] if path.is_file() else ""


def _sum_file(target: Path) -> Path:
    return target.with_name(target.name + ".sha256")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_refusal(error: Exception) -> bool:
    """Whether trying again is of no use: the server says that the file is not there or not for us."""
    return (
        isinstance(error, urllib.error.HTTPError) and 400 <= error.code < 500 and error.code not in (408, 429)
    )

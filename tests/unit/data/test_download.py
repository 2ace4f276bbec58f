"""Downloads from a server on this machine that drops connections, ignores ranges, and changes its files."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from radalign.data import download as module
from radalign.data.download import DownloadError, Remote, download, fetch


def archive(names: list[str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name in names:
            data = name.encode() * 2000
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


class Server(ThreadingHTTPServer):
    """Serves `files`; breaks off after `break_after` bytes while `breaks` are left; may ignore ranges."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.break_after, self.breaks, self.ranges = 0, 0, True
        self.tells_size = True
        self.asked: list[str] = []

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        data = self.server.files.get(self.path.strip("/"))
        wanted = self.headers.get("Range", "")
        self.server.asked.append(wanted)
        if data is None:
            self.send_error(404)
            return
        tag = hashlib.md5(data).hexdigest()
        start = 0
        if wanted and self.server.ranges and self.headers.get("If-Range", tag) == tag:
            start = int(wanted.removeprefix("bytes=").partition("-")[0])
            if start >= len(data):
                self.send_response(416)
                if self.server.tells_size:
                    self.send_header("Content-Range", f"bytes */{len(data)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.send_header("ETag", tag)
        self.end_headers()
        body = data[start:]
        if self.server.breaks:
            self.server.breaks -= 1
            body = body[: self.server.break_after]
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def openi(server: Server) -> Server:
    server.files["NLMCXR_reports.tgz"] = archive(["ecgen-radiology/1.xml"])
    server.files["NLMCXR_png.tgz"] = archive(["CXR1_1_IM-0001-3001.png", "CXR1_1_IM-0001-4001.png"])
    return server


def test_a_set_is_fetched_unpacked_and_not_fetched_again(openi: Server, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    download("openi", tmp_path, openi.base, lambda *progress: seen.append(progress))
    assert (tmp_path / "ecgen-radiology" / "1.xml").is_file()
    assert (tmp_path / "CXR1_1_IM-0001-4001.png").is_file()
    assert seen[-1][1] == seen[-1][2] == len(openi.files["NLMCXR_png.tgz"])
    sums = (tmp_path / "NLMCXR_png.tgz.sha256").read_text().split()
    assert sums == [hashlib.sha256(openi.files["NLMCXR_png.tgz"]).hexdigest(), "NLMCXR_png.tgz"]
    asked = len(openi.asked)
    download("openi", tmp_path, openi.base)
    assert len(openi.asked) == asked
    assert not list(tmp_path.glob("*.part*"))


def test_a_broken_connection_is_taken_up_where_it_broke(openi: Server, tmp_path: Path) -> None:
    openi.break_after, openi.breaks = 50, 3
    path = fetch(Remote("NLMCXR_png.tgz"), tmp_path, openi.base, pause_s=0)
    assert path.read_bytes() == openi.files["NLMCXR_png.tgz"]
    assert openi.asked == ["", "bytes=50-", "bytes=100-", "bytes=150-"]


def test_it_resumes_after_the_process_ended(openi: Server, tmp_path: Path) -> None:
    openi.break_after, openi.breaks = 50, 1
    with pytest.raises(DownloadError, match="run the command again to go on"):
        fetch(Remote("NLMCXR_png.tgz"), tmp_path, openi.base, tries=1)
    assert (tmp_path / "NLMCXR_png.tgz.part").stat().st_size == 50
    fetch(Remote("NLMCXR_png.tgz"), tmp_path, openi.base)
    assert (tmp_path / "NLMCXR_png.tgz").read_bytes() == openi.files["NLMCXR_png.tgz"]


@pytest.mark.parametrize("why", ["ignores ranges", "changed the file"])
def test_it_starts_over_when_the_part_is_of_no_use(openi: Server, tmp_path: Path, why: str) -> None:
    openi.break_after, openi.breaks = 50, 1
    with pytest.raises(DownloadError):
        fetch(Remote("NLMCXR_png.tgz"), tmp_path, openi.base, tries=1)
    openi.ranges = why != "ignores ranges"
    if why == "changed the file":
        openi.files["NLMCXR_png.tgz"] = archive(["another.png"])
    path = fetch(Remote("NLMCXR_png.tgz"), tmp_path, openi.base)
    assert path.read_bytes() == openi.files["NLMCXR_png.tgz"]


def test_a_whole_part_needs_no_further_byte(openi: Server, tmp_path: Path) -> None:
    (tmp_path / "NLMCXR_png.tgz.part").write_bytes(openi.files["NLMCXR_png.tgz"])
    fetch(Remote("NLMCXR_png.tgz"), tmp_path, openi.base)
    assert (tmp_path / "NLMCXR_png.tgz").is_file()
    assert len(openi.asked) == 1


@pytest.mark.parametrize("tells_size", [True, False])
def test_a_part_longer_than_the_file_is_of_something_else(
    openi: Server, tmp_path: Path, tells_size: bool
) -> None:
    openi.tells_size = tells_size
    (tmp_path / "NLMCXR_png.tgz.part").write_bytes(b"q" * 100_000)
    path = fetch(Remote("NLMCXR_png.tgz"), tmp_path, openi.base)
    assert path.read_bytes() == openi.files["NLMCXR_png.tgz"]


def test_a_web_page_in_place_of_the_file_does_not_become_what_is_expected(
    openi: Server, tmp_path: Path
) -> None:
    right = openi.files["NLMCXR_reports.tgz"]
    openi.files["NLMCXR_reports.tgz"] = b"<html>Sign in to the network</html>"
    with pytest.raises(DownloadError, match=r"a web page was sent instead\. It was removed"):
        download("openi", tmp_path, openi.base)
    assert list(tmp_path.iterdir()) == []
    openi.files["NLMCXR_reports.tgz"] = right
    download("openi", tmp_path, openi.base)
    assert (tmp_path / "ecgen-radiology" / "1.xml").is_file()


def test_an_archive_that_was_not_unpacked_yet_is_not_fetched_again(openi: Server, tmp_path: Path) -> None:
    fetch(Remote("NLMCXR_reports.tgz"), tmp_path, openi.base)
    assert not (tmp_path / "NLMCXR_reports.tgz.sha256").exists()
    download("openi", tmp_path, openi.base)
    assert len(openi.asked) == 2
    assert (tmp_path / "NLMCXR_reports.tgz.sha256").exists()


def test_content_that_was_removed_is_unpacked_again(openi: Server, tmp_path: Path) -> None:
    download("openi", tmp_path, openi.base)
    (tmp_path / "CXR1_1_IM-0001-4001.png").unlink()
    download("openi", tmp_path, openi.base)
    assert (tmp_path / "CXR1_1_IM-0001-4001.png").is_file()
    assert len(openi.asked) == 2


def test_a_wrong_checksum_is_refused_and_nothing_is_kept(openi: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="but abc was expected"):
        fetch(Remote("NLMCXR_png.tgz", sha256="abc"), tmp_path, openi.base)
    assert not list(tmp_path.iterdir()) or not (tmp_path / "NLMCXR_png.tgz").exists()


def test_a_damaged_copy_is_fetched_again_and_held_against_what_was_seen(
    openi: Server, tmp_path: Path
) -> None:
    path = download("openi", tmp_path, openi.base)[1]
    path.write_bytes(b"damaged")
    fetch(Remote("NLMCXR_png.tgz"), tmp_path, openi.base)
    assert path.read_bytes() == openi.files["NLMCXR_png.tgz"]
    path.unlink()
    openi.files["NLMCXR_png.tgz"] = archive(["changed.png"])
    with pytest.raises(DownloadError, match=r"delete its \.sha256 file if the publisher changed it"):
        fetch(Remote("NLMCXR_png.tgz"), tmp_path, openi.base)


def test_a_missing_file_is_not_tried_again(openi: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="cannot be fetched"):
        fetch(Remote("nothing.tgz"), tmp_path, openi.base, pause_s=100)
    assert len(openi.asked) == 1


def test_a_broken_archive_and_one_that_leaves_its_folder_are_refused(server: Server, tmp_path: Path) -> None:
    for data in (b"not a tar", archive(["../../outside.txt"])):
        server.files = {"NLMCXR_reports.tgz": data, "NLMCXR_png.tgz": data}
        with pytest.raises(DownloadError, match="cannot be unpacked"):
            download("openi", tmp_path / hashlib.md5(data).hexdigest(), server.base)
    assert not (tmp_path.parent / "outside.txt").exists()


def test_an_unknown_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="'mimic' cannot be downloaded; openi can"):
        download("mimic", tmp_path)
    assert module.PUBLIC["openi"].base.startswith("https://")

"""Compressed frames without what no decoder needs: comments, EXIF, what follows the end of the image.

A JPEG stream keeps the two application segments that tell its colours (JFIF's first fields, Adobe's); a JPEG
2000 stream keeps its length, with its comments blanked.

References:
    ITU-T T.81 B.1 (markers of JPEG), T.87 C.1 (JPEG-LS), T.800 A.2 and A.9.2 (JPEG 2000, its comments), T.800
    Annex I (boxes).
"""

from __future__ import annotations

from radalign.deidentify.errors import DeidentifyError

_SOI, _EOI, _SOS, _COM = 0xD8, 0xD9, 0xDA, 0xFE
_ADOBE_BYTES, _JFIF_BYTES = 12, 12
_SOC_J2K, _SOT, _SOD, _EOC, _COM_J2K = b"\xff\x4f", 0x90, 0x93, b"\xff\xd9", 0x64
_BOXES = b"\x00\x00\x00\x0cjP  "


def bare_jpeg(frame: bytes) -> bytes:
    """A JPEG or JPEG-LS stream without comments, application data and trailing bytes.

    >>> bare_jpeg(bytes.fromhex("ffd8 fffe0004 4142 ffd9") + b"more").hex()
    'ffd8ffd9'

    Raises:
        DeidentifyError: If the stream cannot be followed.
    """
    if frame[:2] != bytes((0xFF, _SOI)):
        raise DeidentifyError("The JPEG stream has no beginning; repair the file or leave it out.")
    out, at = [frame[:2]], 2
    while at < len(frame):
        marker, at = _next_marker(frame, at)
        if marker == _EOI:
            break
        length = int.from_bytes(frame[at : at + 2], "big")
        payload = frame[at + 2 : at + length]
        if length < 2 or len(payload) != length - 2:
            raise DeidentifyError(
                "The JPEG stream is cut off in its header; repair the file or leave it out."
            )
        at += length
        out.append(_segment(marker, payload))
        if marker == _SOS:
            end = _end_of_scan(frame, at)
            out.append(frame[at:end])
            at = end
    return b"".join(out) + bytes((0xFF, _EOI))


def bare_jpeg_2000(frame: bytes) -> bytes:
    r"""A JPEG 2000 codestream with blank comments, without boxes around it and bytes behind it.

    >>> head = bytes.fromhex("ff4f ff64 0006 0001 4142 ff90 000a 0000 0000000e 0001 ff93")
    >>> bare_jpeg_2000(head + b"\xff\xd9 more").hex()[:24]
    'ff4fff64000600012020ff90'

    Raises:
        DeidentifyError: If the codestream cannot be followed.
    """
    stream = bytearray(_codestream(frame))
    if stream[:2] != _SOC_J2K:
        raise DeidentifyError("The JPEG 2000 codestream has no beginning; repair the file or leave it out.")
    at, part_end = 2, len(stream)
    while at + 4 <= len(stream) and stream[at : at + 2] != _EOC:
        if stream[at] != 0xFF:
            raise DeidentifyError(
                "The JPEG 2000 codestream cannot be followed; repair the file or leave it out."
            )
        marker, length = stream[at + 1], int.from_bytes(stream[at + 2 : at + 4], "big")
        if marker == _SOT:
            size = int.from_bytes(stream[at + 6 : at + 10], "big")
            part_end = at + size if size else _last_end(stream)
        if marker == _SOD:
            if part_end <= at:
                raise DeidentifyError(
                    "A tile of the JPEG 2000 codestream has a wrong length; repair the file."
                )
            at = part_end
            continue
        if marker == _COM_J2K:
            blank = max(0, min(length, len(stream) - at - 2) - 4)
            stream[at + 6 : at + 6 + blank] = b" " * blank
        at += 2 + length
    return bytes(stream[:at]) + _EOC


def _next_marker(frame: bytes, at: int) -> tuple[int, int]:
    """The marker at or after a place (fill bytes may come first), and the place behind it."""
    while at + 1 < len(frame) and frame[at] == 0xFF and frame[at + 1] == 0xFF:
        at += 1
    if at + 1 >= len(frame):
        return _EOI, len(frame)
    if frame[at] != 0xFF:
        raise DeidentifyError("The JPEG stream cannot be followed; repair the file or leave it out.")
    return frame[at + 1], at + 2


def _segment(marker: int, payload: bytes) -> bytes:
    """A marker segment, or nothing where only a person would miss it."""
    if marker == 0xE0 and payload.startswith(b"JFIF\0") and len(payload) >= _JFIF_BYTES:
        payload = payload[:_JFIF_BYTES] + b"\0\0"  # no thumbnail
    elif marker == 0xEE and payload.startswith(b"Adobe"):
        payload = payload[:_ADOBE_BYTES]
    elif marker == 0xE8 and payload.startswith(b"mrfx"):
        payload = payload[:5]  # JPEG-LS: the colour transform
    elif marker == _COM or 0xE0 <= marker <= 0xEF:
        return b""
    return bytes((0xFF, marker)) + (len(payload) + 2).to_bytes(2, "big") + payload


def _end_of_scan(frame: bytes, at: int) -> int:
    """Where the next marker stands that is neither a restart nor a stuffed byte."""
    while (at := frame.find(b"\xff", at)) >= 0 and at + 1 < len(frame):
        if frame[at + 1] >= 0x80 and not 0xD0 <= frame[at + 1] <= 0xD7 and frame[at + 1] != 0xFF:
            return at
        at += 1
    return len(frame)


def _codestream(frame: bytes) -> bytes:
    """The codestream out of its boxes, where there are any (DICOM allows none, some files have them)."""
    at = 0
    while frame.startswith(_BOXES) and at + 8 <= len(frame):
        size, kind = int.from_bytes(frame[at : at + 4], "big"), frame[at + 4 : at + 8]
        head = 16 if size == 1 else 8
        size = int.from_bytes(frame[at + 8 : at + 16], "big") if size == 1 else size
        if kind == b"jp2c":
            return frame[at + head : at + size if size else len(frame)]
        if size < head:
            break
        at += size
    return frame


def _last_end(stream: bytearray) -> int:
    """The last tile may leave its length open: it ends with the codestream."""
    end = stream.rfind(_EOC)
    return end if end >= 0 else len(stream)

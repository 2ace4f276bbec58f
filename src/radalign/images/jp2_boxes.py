"""The boxes of a JP2 file around a JPEG 2000 codestream: walked before a decoder does, which trusts them.

DICOM wants a bare codestream, but some writers leave the JP2 wrapper on. A box whose length is 0 "goes on to
the end of the file"; a reader that adds that length to its place never gets further.
"""

from __future__ import annotations

_SIGNATURE = b"\x00\x00\x00\x0cjP  "
_CODESTREAM = b"jp2c"
_HEADER_BYTES = 8  # length and type


def has_sound_boxes(data: bytes) -> bool:
    r"""Whether the boxes before the codestream have lengths that lead to it; True without a wrapper.

    References:
        ISO/IEC 15444-1 I.4 (Box definition: a length of 0 is for the last box, 1 for an extended length,
        2 to 7 are reserved). DICOM PS3.5 A.4.4 (no wrapper).

    >>> wrapper = b"\x00\x00\x00\x0cjP  \r\n\x87\n"
    >>> [has_sound_boxes(wrapper + bytes(4) + kind + b"\xff\x4f") for kind in (b"jp2c", b"uuid")]
    [True, False]
    >>> has_sound_boxes(b"\xff\x4f\xff\x51")
    True
    """
    if not data.startswith(_SIGNATURE):
        return True
    at = 0
    while at + _HEADER_BYTES <= len(data):
        if data[at + 4 : at + 8] == _CODESTREAM:
            return True
        length = int.from_bytes(data[at : at + 4], "big")
        if length < _HEADER_BYTES:
            return False
        at += length
    return False

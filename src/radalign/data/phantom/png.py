"""Grey PNG files, three times as fast as a general writer and as small: one filter, run lengths only.

Radiographs are noisy, so that neither trying every filter nor searching for repeats gains anything.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_FILTER_UP = 2


def grey_png(grey: npt.NDArray[np.uint8], text: Mapping[str, str]) -> bytes:
    """An 8-bit grey PNG with text chunks.

    Args:
        grey: uint8 [H, W].
        text: Keyword to text, both Latin-1.

    References:
        PNG specification (third edition), 11.2 (IHDR, IDAT, IEND), 11.3.3.2 (tEXt), 9.2 (filter type 2, Up).

    >>> grey_png(np.zeros((1, 1), np.uint8), {})[:8] == _SIGNATURE
    True
    """
    height, width = grey.shape
    rows = np.empty((height, width + 1), np.uint8)
    rows[:, 0] = _FILTER_UP
    rows[0, 1:] = grey[0]
    np.subtract(grey[1:], grey[:-1], out=rows[1:, 1:])  # modulo 256, as the filter wants
    squeeze = zlib.compressobj(6, zlib.DEFLATED, 15, 8, zlib.Z_RLE)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))]
    chunks += [(b"tEXt", f"{key}\0{value}".encode("latin-1")) for key, value in text.items()]
    chunks += [(b"IDAT", squeeze.compress(rows.tobytes()) + squeeze.flush()), (b"IEND", b"")]
    return _SIGNATURE + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

"""Write `deidentify/basic_profile.tsv`: the Basic Profile's action for every attribute, and where it is from.

    pip install dicom-anonymizer==2.1.0
    python scripts/basic_profile.py DATABASE.py src/radalign/deidentify/basic_profile.tsv

DATABASE.py is `dicomanonymizer/dicom_anonymization_databases/dicomfields_2026c.py` of that package, which
lists the attributes of DICOM PS3.15 Table E.1-1 by their action. The file is read as text, not run.
"""

from __future__ import annotations

import argparse
import ast
from pathlib import Path

from pydicom.datadict import keyword_for_tag

ACTIONS = {
    "D_TAGS": "D", "Z_TAGS": "Z", "X_TAGS": "X", "U_TAGS": "U", "Z_D_TAGS": "Z/D", "X_Z_TAGS": "X/Z",
    "X_D_TAGS": "X/D", "X_Z_D_TAGS": "X/Z/D", "X_Z_U_STAR_TAGS": "X/Z/U*",
}  # fmt: skip
# Repeating groups, which the database gives with a mask.
REPEATING = {(0x5000, 0x0000): ("50xxxxxx", "CurveData"), (0x6000, 0x3000): ("60xx3000", "OverlayData"),
             (0x6000, 0x4000): ("60xx4000", "OverlayComments")}  # fmt: skip
HEADER = """\
DICOM PS3.15 Table E.1-1, Application Level Confidentiality Profile Attributes: what the Basic Profile
does to each attribute (edition 2026c). X remove, Z empty, D dummy, U new UID; "X/Z/D" = X unless Z is
needed, Z unless D is needed. "x" in a tag is any hexadecimal digit; "-" is an attribute younger than
our dictionary. Private attributes (odd groups) are removed and are not listed. What the options change
is in options.py.

Where the columns are from:
tag, basic: dicom-anonymizer 2.1.0, dicomfields_2026c.py (licence below), by scripts/basic_profile.py,
unchanged
keyword: pydicom's data dictionary (MIT)

dicom-anonymizer: Copyright 2020, Kitware Europe

{licence}"""
LICENCE = """\
Redistribution and use in source and binary forms, with or without modification, are permitted provided
that the following conditions are met:
1. Redistributions of source code must retain the above copyright notice, this list of conditions and
the following disclaimer.
2. Redistributions in binary form must reproduce the above copyright notice, this list of conditions and
the following disclaimer in the documentation and/or other materials provided with the distribution.
3. Neither the name of the copyright holder nor the names of its contributors may be used to endorse or
promote products derived from this software without specific prior written permission.

THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND ANY EXPRESS OR IMPLIED
WARRANTIES, INCLUDING, BUT NOT LIMITED TO, THE IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A
PARTICULAR PURPOSE ARE DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT HOLDER OR CONTRIBUTORS BE LIABLE FOR
ANY DIRECT, INDIRECT, INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL DAMAGES (INCLUDING, BUT NOT
LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR SERVICES; LOSS OF USE, DATA, OR PROFITS; OR BUSINESS
INTERRUPTION) HOWEVER CAUSED AND ON ANY THEORY OF LIABILITY, WHETHER IN CONTRACT, STRICT LIABILITY, OR
TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE OF THIS SOFTWARE, EVEN IF
ADVISED OF THE POSSIBILITY OF SUCH DAMAGE."""


def rows(database: Path) -> list[tuple[str, str, str]]:
    """(tag, keyword, action) of every attribute, by tag."""
    found = []
    for node in ast.parse(database.read_text(encoding="utf-8")).body:
        name = node.targets[0].id if isinstance(node, ast.Assign) else ""
        for group, element, *mask in ast.literal_eval(node.value) if name in ACTIONS else ():
            tag = f"{group:04x}{element:04x}"
            keyword = keyword_for_tag(int(tag, 16)) or "-"
            tag, keyword = REPEATING[group, element] if mask else (tag, keyword)
            found.append((tag, keyword, ACTIONS[name]))
    return sorted(found)


def main() -> None:
    """Write the table with its provenance."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("database", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    head = [f"# {line}".rstrip() for line in HEADER.format(licence=LICENCE).splitlines()]
    table = ["tag\tkeyword\tbasic", *("\t".join(row) for row in rows(options.database))]
    options.out.write_text("\n".join([*head, *table]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

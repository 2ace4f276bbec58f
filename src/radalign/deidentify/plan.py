"""What to de-identify and how: the plan, checked before a file is touched."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from radalign.deidentify.errors import DeidentifyError
from radalign.deidentify.keys import Key, new_key, read_key
from radalign.deidentify.profile import Profile
from radalign.images.burned_in import Reader, choose_reader

RULES = 6
"""Version of the rules. Raise it when a change makes the same file come out otherwise: tags, text, masks."""

_DATES = {"shift": "modified-dates", "remove": "", "keep": "full-dates"}


@dataclass(frozen=True)
class Plan:
    """What to de-identify and how.

    Args:
        source: Folder with DICOM files (and reports as .txt), any tree.
        out: Folder for the de-identified files and the audit.
        key: The secret.
        ledger: The local record; must lie outside `out`.
        profile: The options.
        mask_pixels: Whether burned-in text is masked.
        reader: OCR, None without.
        band: Width of the searched border bands, as a share of each side; 0.5 is everything.

    Raises:
        DeidentifyError: If folders overlap, or the ledger would travel with the files.
    """

    source: Path
    out: Path
    key: Key
    ledger: Path
    profile: Profile
    mask_pixels: bool = True
    reader: Reader | None = None
    band: float = 0.5

    def __post_init__(self) -> None:
        _need_apart(self.source, self.out, self.ledger)

    @property
    def fingerprint(self) -> str:
        """Tells apart runs whose results must not be mixed, without giving the key away."""
        settings = f"{sorted(self.profile.options)} {self.mask_pixels} {self.band} {self.reader is not None}"
        how = f"rules {RULES} {settings}"
        return self.key.pseudonym("ledger", hashlib.sha256(how.encode()).hexdigest())


def _need_apart(source: Path, out: Path, ledger: Path) -> None:
    real, clean = source.resolve(), out.resolve()
    if not real.exists():
        raise DeidentifyError(f"There is nothing at {source}; give a folder or a file.")
    if clean == real or clean.is_relative_to(real) or real.is_relative_to(clean):
        raise DeidentifyError(f"{out} and {source} overlap; give an output folder of its own.")
    if ledger.resolve().is_relative_to(clean):
        raise DeidentifyError(f"The ledger {ledger} names patients; keep it outside {out}.")


def make_plan(
    source: Path,
    out: Path,
    key_file: Path,
    make_key: bool = False,
    ledger: Path | None = None,
    dates: str = "shift",
    retain: Sequence[str] = (),
    mask_pixels: bool = True,
    ocr: str = "auto",
    band: float = 0.5,
) -> Plan:
    """Check the settings, read or make the key, find OCR.

    Args:
        source: Input folder or file.
        out: Output folder.
        key_file: The secret; must lie outside `out`.
        make_key: Whether to make it first.
        ledger: Default `<key file>.ledger.jsonl`.
        dates: `shift`, `remove` or `keep`.
        retain: Retain and clean options beside the dates, as `profile.OPTION_CODES` names them.
        mask_pixels: Whether to mask burned-in text.
        ocr: `auto` uses it where it is installed, `on` needs it, `off` does without.
        band: Share of each side that is searched for burned-in text.

    Raises:
        DeidentifyError: If a setting is unknown or unsafe.
    """
    if dates not in _DATES:
        raise DeidentifyError(f"dates is {dates!r}; use one of {', '.join(_DATES)}.")
    if not 0 < band <= 0.5:
        raise DeidentifyError(f"The border band is {band} of each side; use a share above 0 and up to 0.5.")
    if key_file.resolve().is_relative_to(out.resolve()):
        raise DeidentifyError(f"The key {key_file} would travel with the files; keep it outside {out}.")
    options = frozenset({*retain, _DATES[dates]} - {""})
    profile = Profile(options)
    record = ledger or key_file.with_name(key_file.name + ".ledger.jsonl")
    reader = _reader(ocr) if mask_pixels else None
    _need_apart(source, out, record)  # before a key is made, which a second try would find in its way
    key = new_key(key_file) if make_key else read_key(key_file)
    return Plan(source, out, key, record, profile, mask_pixels, reader, band)


def _reader(ocr: str) -> Reader | None:
    try:
        return choose_reader(ocr)
    except ValueError as error:
        raise DeidentifyError(str(error)) from error

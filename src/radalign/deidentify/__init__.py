"""De-identification: DICOM files and reports in, pseudonymous ones out, and an audit of what is unchecked.

    profile.py      the table of the standard (basic_profile.tsv): an action per attribute
    keys.py         one key file: pseudonyms, UIDs, date shifts
    ledger.py       who became whom, and what is done; stays local
    header.py       one dataset, attribute by attribute; dates.py shifts its dates
    identities.py   what a header says about who and where
    freetext.py     text without names (names.py, everyday.py, titles.py), dates, phones, numbers (shapes.py)
    pixel_bytes.py  Pixel Data cut to the image; streams.py: JPEG and JPEG 2000 without comments
    pixels.py       burned-in text masked and read again
    residue.py      a written file searched again, in two ways
    audit.py        what is left, and what could not be checked
    plan.py         what to do, checked first; run.py does it: a folder, resumable, with quarantine

Nothing here claims completeness: the audit says what a person still has to look at.
"""

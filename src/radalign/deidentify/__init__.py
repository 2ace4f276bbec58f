"""De-identification: DICOM files and reports in, pseudonymous ones out, and an audit of what is unchecked.

    profile.py   the table of the standard (basic_profile.tsv): an action per attribute
    keys.py      one key file: pseudonyms, UIDs, date shifts
    ledger.py    who became whom, and what is done; stays local
    header.py    one dataset, attribute by attribute; dates.py shifts its dates
    freetext.py  names, dates, phones, record numbers out of text
    pixels.py    burned-in text masked and read again
    audit.py     what is left, and what could not be checked
    plan.py      what to do, checked first; run.py does it: a folder, resumable, with quarantine

Nothing here claims completeness: the audit says what a person still has to look at.
"""

"""Report text in, clean sections, sentences and assertions out; no torch, no pixels.

sections.py    headings -> Report                 sentences.py   text -> sentences
clean.py       options -> clean text              terms.py       abbreviations -> words (terms.toml, UMLS)
measures.py    "2 x 3 cm" -> numbers in mm        truncate.py    whole sentences up to a token limit
hedges.py      doubts marked or removed            senses.py     which meaning of an abbreviation
assertions.py  each finding: present, absent, unsure; new, better, worse, same

Every function is pure; the data files beside them (`*.toml`, `*.tsv`) are meant to be edited.
"""

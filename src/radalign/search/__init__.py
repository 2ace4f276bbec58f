"""Search: an index of embedded studies, asked by words, by image and by study.

build.py ── embeds a manifest ──> index.py (the contract) <── query.py, hybrid.py ── words, image, study
                                  engines/flat.py (files)
"""

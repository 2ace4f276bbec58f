"""Many systems under one budget, judged by the same rules: a page, a table, and comparisons of two.

plan (TOML) ── arms x seeds ──> cells, each trained and judged in a process of its own
cells ── result.json, draws.npz ──> scores of arms, paired by patient ──> page.html, table.md
compare(A, B) ── the same draws ──> differences, wins and losses by query, settings that differ
"""

"""Rule-made edits of report sentences: each turns one fact round, and the assertions check that.

words.toml    which word stands against which           swaps.py      side, severity, size, change
negation.py   present <-> absent, as whole sentences    devices.py    in place <-> removed
sentence.py   one sentence, one kind -> Edit or None
"""

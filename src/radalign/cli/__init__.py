"""The command line: one file per verb, no logic of its own, nothing heavy imported until a verb runs."""

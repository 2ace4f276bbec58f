"""The training loop: schedule, checkpoints that survive a kill, the log and the run card."""

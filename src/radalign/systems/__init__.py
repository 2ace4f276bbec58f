"""The published systems, one file each; everything above knows only `base.System`."""

"""The packaged prompt sets: TOML files that name their source."""

"""Packaged recipes: one TOML file each; `extends` names the one it starts from."""

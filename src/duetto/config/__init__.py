"""Experiments: TOML files → one frozen configuration; the systems that come with duetto lie in `systems/`."""

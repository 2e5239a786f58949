"""Experiments: a TOML file → one frozen configuration; `systems/` has those that come with duetto."""

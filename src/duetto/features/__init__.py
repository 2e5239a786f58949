"""Acoustic features: samples → (frames, dim), one registry of extractors, and the store that caches a corpus."""

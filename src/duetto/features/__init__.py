"""Acoustic features: waveform → (frames, dimensions), and the store that keeps those of a corpus."""

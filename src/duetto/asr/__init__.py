"""The words of an utterance: recognising and aligning them, their vocabulary, their vectors, and how good those are.

Import the modules directly (`from duetto.asr import vectors`); this package imports nothing.
"""

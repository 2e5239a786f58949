"""Automatic speech recognition: find the words of a recording and their times.

Import the modules directly (`from duetto.asr import align`); this package imports nothing.
"""

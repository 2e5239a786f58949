"""Corpus folders → utterances."""

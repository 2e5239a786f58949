"""Utterances and their words and labels, manifests, the normalisation of text."""

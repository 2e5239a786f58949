"""What a corpus is made of: utterances, their words and labels, manifests, the normalisation of text."""

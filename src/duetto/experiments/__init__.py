"""From a manifest to results: the inputs of each fold, folds × seeds, rescoring, export."""

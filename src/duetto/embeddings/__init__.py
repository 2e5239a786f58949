"""Words as vectors: vocabulary, vector files, word2vec, spoken words, similarity benchmarks, probing."""

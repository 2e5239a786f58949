"""Words as vectors: vocabulary, vector files, word2vec, spoken words, benchmarks of similarity."""

"""The torch-free twins of the models: ONNX graphs, assembled from trained weights."""

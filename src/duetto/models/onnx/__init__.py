"""The ONNX twins of the PyTorch models, built from trained weights without PyTorch."""

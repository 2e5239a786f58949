"""The PyTorch models: emotion recognition and Speech2Vec. Their ONNX twins are in `models.onnx`."""

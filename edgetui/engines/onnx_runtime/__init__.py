"""ONNX Runtime, in processes of its own."""

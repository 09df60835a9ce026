"""ONNX models as networks, run by ONNX Runtime."""

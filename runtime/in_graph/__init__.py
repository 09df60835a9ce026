"""The monitor inside the graph of its model, written with standard ONNX operators."""

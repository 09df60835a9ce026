"""What the graph of an ONNX model says: its nodes, layouts, activations, attention heads, module paths."""

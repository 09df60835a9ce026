"""Where the channels of the tensors of an ONNX graph lie."""

"""A trained network as ONNX, or as a program of `torch.export`, for programs without framecast."""

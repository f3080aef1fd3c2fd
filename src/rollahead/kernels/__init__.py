"""Hand-written operators: a PyTorch reference, Triton and CUDA forms of each. Empty until the kernels are written."""

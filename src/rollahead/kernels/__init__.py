"""Hand-written operators, each with a PyTorch reference and Triton and CUDA versions.

Empty until the kernels are written.
"""

"""Policies behind the `Policy` protocol: ACT, Diffusion Policy and the flow policy."""

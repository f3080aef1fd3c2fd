"""Denoising: samplers, warm starts, prefix conditioning, guidance, and how contracting a policy is."""

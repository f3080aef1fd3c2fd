"""Denoising: samplers, warm starts, prefix conditioning, guidance, and the contraction test."""

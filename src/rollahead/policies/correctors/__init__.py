"""Correctors: small networks that correct the actions of a base policy at every tick."""

"""Correctors: small networks that correct the actions of a policy at every tick."""

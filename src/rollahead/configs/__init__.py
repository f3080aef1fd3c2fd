"""Hydra groups: what a command can be told to use. `rollahead <command> --help` lists them."""

"""The commands: each module is one Hydra application, started by `rollahead.cli`."""

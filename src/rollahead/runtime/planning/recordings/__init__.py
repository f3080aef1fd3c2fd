"""Recorded latencies that come with rollahead: text files of one latency in seconds per line.

diffusion_busy   LeRobot's Diffusion Policy, small, with 100 steps, on one thread beside two busy processes on two cores
                 (`python -m benchmarks.study recording`)
"""

from pathlib import Path

HERE = Path(__file__).parent


def path(name: str) -> Path:
    """Path of the recording `name`, whether the file exists or not."""
    return HERE / f"{name}.txt"


def names() -> list[str]:
    """Names of all recordings."""
    return sorted(file.stem for file in HERE.glob("*.txt"))

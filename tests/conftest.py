"""Puts this folder on the path, so that a process that a test starts finds `other_process` by its name."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

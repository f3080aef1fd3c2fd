"""Puts this folder on the path, so that a process that a test starts finds `other_process` by its name; and takes
signals as Python comes: a shell that runs the suite in the background has Ctrl-C ignored, and nohup a hangup."""

import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

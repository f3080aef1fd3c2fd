"""LeRobot's formats and versions: its imports, features, statistics, processors, configurations and weights."""

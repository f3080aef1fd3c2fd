"""What LeRobot needs of pyserial, where that is not installed."""


class SerialException(OSError):
    """A port that cannot be opened."""

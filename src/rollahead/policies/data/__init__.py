"""Data sets: episodes read from LeRobot data sets, decoded images, training windows."""

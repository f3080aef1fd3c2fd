"""Data sets: episodes read from LeRobot data sets, decoded images and training windows."""

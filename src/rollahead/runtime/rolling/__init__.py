"""Models of the robot and of the scene, which move a measured state forward to the tick at which a chunk takes over."""

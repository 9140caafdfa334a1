"""Motion of frames: its estimation, trajectories along it, and the coordinates in which a model works."""

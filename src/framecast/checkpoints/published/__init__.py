"""Published checkpoints and their names, led to ours."""

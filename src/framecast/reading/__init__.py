"""What is read: the gate of paths, and strict YAML and JSON."""

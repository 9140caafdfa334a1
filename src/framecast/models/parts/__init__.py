"""What models are made of: protocols, the loop over time, stacks of cells, layers."""

"""Components of models: protocols, the loop over time, stacks of cells, layers."""

"""An example package: a model, a reader and a baseline that framecast loads by entry points."""

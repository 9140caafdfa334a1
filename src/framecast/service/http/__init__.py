"""`framecast serve`: the output of a service over HTTP, and the page on top of it. Reads files only; see docs/serving.md."""

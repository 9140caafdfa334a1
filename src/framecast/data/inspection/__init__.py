"""What is in the data: `framecast inspect`."""

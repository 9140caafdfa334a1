"""Write an archive as one Zarr store: `framecast convert`."""

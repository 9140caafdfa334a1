"""The formats of products: one file each, with a record `Format`."""

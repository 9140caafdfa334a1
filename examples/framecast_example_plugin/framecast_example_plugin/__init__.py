"""A model, a reader and a baseline that framecast finds by the entry points of this package."""

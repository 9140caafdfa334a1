"""Readers: one file a format. They are listed in `formats`; importing one of them imports no other."""

"""Hamiltonians in files of other codes, and in our own: one file a code, and the table of them."""

"""Hamiltonians of our own, by density functional theory: what to compute, the calculation, many of them."""

"""Time, memory and floor of the kernels beside their peers; the cases that are compiled for cards."""

"""Calls in processes of their own, which may die: one at a time, many side by side, here or on a cluster's workers."""

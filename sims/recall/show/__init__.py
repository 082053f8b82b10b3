"""Figures, tables and report of recall runs."""

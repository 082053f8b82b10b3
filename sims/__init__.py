"""What does happen, and how close: training runs, the comparison with theory, plots and the command line."""

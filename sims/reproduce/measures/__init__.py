"""What cells measure beside the runs of other commands; a cell names a function as "module.function"."""

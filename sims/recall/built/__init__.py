"""The explicit construction, asked as a model is, and planted into one."""

"""The command `fiedler reproduce`, and what it shows."""

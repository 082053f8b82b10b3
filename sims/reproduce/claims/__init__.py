"""The claims, a file for each concept; ``reproduce.registry`` has them all."""

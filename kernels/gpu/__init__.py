"""Triton programs and their launches; nothing here knows a loss's options."""

"""Models of others that train with the fused loss by one call, everything else about them as it was."""

from .models import patch, unpatch

__all__ = ["patch", "unpatch"]

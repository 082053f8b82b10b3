"""The options of ``linear_cross_entropy``, checked once and carried as one value, and the plan of a call."""

from __future__ import annotations

from dataclasses import dataclass

from ..checks import LARGEST_INTEGER, check_choice, check_flag, check_integer, check_number, shown

REDUCTIONS = ("mean", "sum", "none")
PATHS = ("auto", "chunked", "sweep", "exponential", "recompute", "flash", "reference")

# Of numbers that multiply or divide logits in float32.
SMALLEST, LARGEST = 1e-18, 1e18


@dataclass(frozen=True)
class Options:
    """What is computed: everything that is neither a tensor nor a choice of path.

    ``label_smoothing`` e in [0, 1]; ``logit_softcap`` c > 0 replaces each logit z by c tanh(z / c), None leaves it;
    ``z_loss`` >= 0 multiplies lse^2; rows whose target is ``ignore_index`` count for nothing; ``reduction`` is "mean",
    "sum" or "none"; ``return_*`` ask for the per-token log-sum-exp and entropy and for the accuracy.

    Raises TypeError for a value of the wrong kind and ValueError for one out of range, NaN and infinity included.
    """

    label_smoothing: float = 0.0
    logit_softcap: float | None = None
    z_loss: float = 0.0
    ignore_index: int = -100
    reduction: str = "mean"
    return_lse: bool = False
    return_entropy: bool = False
    return_accuracy: bool = False

    def __post_init__(self) -> None:
        check_label_smoothing(self.label_smoothing)
        check_logit_softcap(self.logit_softcap)
        check_z_loss(self.z_loss)
        check_ignore_index(self.ignore_index)
        check_reduction(self.reduction)
        for name in ("return_lse", "return_entropy", "return_accuracy"):
            check_flag(getattr(self, name), name)

    @property
    def returns_statistics(self) -> bool:
        """Whether anything but the loss is asked for."""
        return self.return_lse or self.return_entropy or self.return_accuracy


@dataclass(frozen=True)
class Plan:
    """How a call would run: the path, the rows of one chunk of logits, the bytes of workspace beyond inputs, outputs
    and gradients, and the reason for the choice in a few words."""

    path: str
    chunk_rows: int
    workspace_bytes: int
    reason: str


def check_label_smoothing(value: float) -> None:
    """TypeError unless ``value`` is a number, ValueError for one outside [0, 1]."""
    if not 0.0 <= check_number(value, "label_smoothing") <= 1.0:
        raise ValueError(f"label_smoothing must lie in [0, 1], got {shown(value)}")


def check_logit_softcap(value: float | None) -> None:
    """TypeError unless ``value`` is a number or None, ValueError for one that cannot divide and multiply logits."""
    if value is None:
        return
    number = check_number(value, "logit_softcap")
    if not (SMALLEST <= number <= LARGEST):
        raise ValueError(
            f"logit_softcap must be a positive finite number, from {SMALLEST:g} to {LARGEST:g}, or None for no cap; "
            f"got {shown(value)}"
        )


def check_z_loss(value: float) -> None:
    """TypeError unless ``value`` is a number, ValueError for a negative one and one beyond ``LARGEST``."""
    number = check_number(value, "z_loss")
    if not 0.0 <= number <= LARGEST:
        raise ValueError(f"z_loss must be a finite number >= 0, at most {LARGEST:g}; got {shown(value)}")


def check_ignore_index(value: int) -> None:
    """TypeError unless ``value`` is an integer, ValueError for one that no int64 tensor holds."""
    check_integer(value, "ignore_index", -LARGEST_INTEGER - 1)


def check_reduction(value: str) -> None:
    """ValueError unless ``value`` is one of ``REDUCTIONS``."""
    check_choice(value, "reduction", REDUCTIONS)


def check_path(value: str) -> None:
    """ValueError unless ``value`` is one of ``PATHS``."""
    check_choice(value, "path", PATHS)

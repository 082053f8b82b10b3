"""All claims, by name, in the order of the papers."""

from __future__ import annotations

from collections.abc import Sequence

from ..suggest import did_you_mean
from .claim import Claim
from .claims import associative, dynamics, ladder, node2vec, paths, paths_data, recall, recall_built, storage, tiny

CLAIMS: dict[str, Claim] = {
    claim.name: claim
    for room in (
        paths, paths_data, associative, storage, node2vec, dynamics, tiny, recall_built, recall, ladder,
    )
    for claim in room.CLAIMS
}  # fmt: skip


def get_claim(name: str) -> Claim:
    """The claim called ``name``, whatever its case. Raises ValueError for none, with the nearest."""
    found = {known.lower(): claim for known, claim in CLAIMS.items()}.get(name.lower())
    if found is None:
        hint = did_you_mean(name, CLAIMS)
        raise ValueError(f"unknown claim {name!r}; {hint}`fiedler reproduce` lists all {len(CLAIMS)}")
    return found


def get_claims(names: Sequence[str]) -> list[Claim]:
    """Each once; a name that ends in a dot or a star stands for all that begin so: "B." is paper B."""
    found: dict[str, Claim] = {}
    for name in names:
        if name.endswith((".", "*")):
            start = name.rstrip("*").lower()
            some = {known: claim for known, claim in CLAIMS.items() if known.lower().startswith(start)}
            if not some:
                raise ValueError(f"no claim begins with {start!r}; `fiedler reproduce` lists all {len(CLAIMS)}")
            found |= some
        else:
            claim = get_claim(name)
            found[claim.name] = claim
    return list(found.values())

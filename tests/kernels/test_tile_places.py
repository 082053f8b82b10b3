"""Places of one entry a row in blocks and tiles of a matrix."""

from __future__ import annotations

import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from fiedler.kernels.tile_places import TilePlaces


@given(st.integers(0, 30), st.integers(1, 20), st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
def test_places_find_the_entries(n: int, classes: int, rows: int, columns: int, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    column = torch.randint(classes, (n,), generator=random)
    matrix = torch.rand(n, classes, generator=random)
    places = TilePlaces(column, classes, rows, columns)
    assert places.tiles == math.ceil(classes / columns)
    assert sorted(places.order.tolist()) == list(range(n))
    seen = []
    for start in range(0, n, rows):
        block = matrix[start : start + rows].reshape(-1)
        for tile in range(places.tiles):
            here = places.tile(start, tile)
            owner = places.order[here]
            assert ((owner >= start) & (owner < start + rows)).all()
            assert (column[owner] // columns == tile).all()
            assert torch.equal(block[places.place[here]], matrix[owner, column[owner]])
            seen += owner.tolist()
    assert seen == places.order.tolist()

"""Which rows are the nodes: every way of saying it gives the same rows, and every wrong one a clear line."""

from __future__ import annotations

from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from fiedler.sims.interop.node_rows import node_rows, select_rows

TABLE = np.random.default_rng(0).standard_normal((5, 3))


# From what is written to row numbers.


def test_rows_as_numbers_slices_and_files(tmp_path: Path) -> None:
    assert node_rows("3, 5,7", "abc").tolist() == [3, 5, 7]
    assert node_rows("4", [0]).tolist() == [4]
    rows = node_rows("9:24", range(15))
    assert rows.dtype == np.int64
    assert rows.tolist() == list(range(9, 24))
    (tmp_path / "rows.txt").write_text("\ufeff# made by hand\n7\n\n 2 # second\r\n0\n", encoding="utf-8")
    assert node_rows(str(tmp_path / "rows.txt"), "abc").tolist() == [7, 2, 0]
    assert node_rows(tmp_path / "rows.txt", "abc").tolist() == [7, 2, 0]


def test_rows_by_name_are_in_the_order_of_the_nodes(tmp_path: Path) -> None:
    nodes = list(nx.grid_2d_graph(2, 2))  # tuples, whose text has a blank
    (tmp_path / "map").write_text("# node row\n(1, 1)\t4\n(0, 0) 9\n(0, 1)  2\n(1, 0) 7\n")
    assert node_rows(tmp_path / "map", nodes).tolist() == [9, 2, 7, 4]
    (tmp_path / "map").write_text("b 1\n3 0\n")
    assert node_rows(tmp_path / "map", [np.int64(3), "b"]).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("3,5", "2 rows for a graph of 3 nodes: give exactly 3"),
        ("3:5", "slice '3:5': 2 rows for a graph of 3 nodes"),
        ("5:3", "slice '5:3': 0 rows for a graph of 3 nodes"),
        ("0:1000000000000000", "1000000000000000 rows for a graph of 3 nodes"),
        ("3,5,-7", "row -7 is negative"),
        ("-1:2", "row -1 is negative"),
        ("3,5,3", "row 3 is given to two nodes"),
        ("3,,5", "'' is not a row number"),
        ("3 5 7", "'3 5 7' is not a row number"),
        ("1,2,99999999999999999999", "'99999999999999999999' is not a row number"),
        ("1,2,x", "rows '1,2,x' are no numbers like 3,5,7"),
        ("1.5,2,3", "no readable file"),
        ("", "no readable file"),
        ("a\0b", "no readable file"),
    ],
)
def test_wrong_rows(spec: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        node_rows(spec, "abc")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\n2\n", "2 rows for a graph of 3 nodes"),
        ("1\n2\n1\n", "row 1 is given to two nodes"),
        ("1\n2.5\n3\n", r"line 2: '2\.5' is not a row number"),
        ("1\n-2\n3\n", "line 2: row -2 is negative"),
        ("1\nb 2\n3\n", "line 2: one column and two are mixed"),
        ("a 1\nb 2\n", "no row for 1 nodes, 'c': add a line"),
        ("a 1\nb 2\nc 3\nd 4\n", "line 4: no node 'd' in the graph"),
        ("a 1\nb 2\na 3\nc 4\n", "line 3: node 'a' is given a second time"),
        ("a 1\nb 2\nc 1\n", "row 1 is given to two nodes"),
        ("a 1\nb two\nc 1\n", "line 2: 'two' is not a row number"),
        ("a,1\nb,2\nc,3\n", "line 1: 'a,1' is not a row number"),
        ("# nothing\n", "0 rows for a graph of 3 nodes"),
    ],
)
def test_wrong_row_files(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "rows").write_text(text)
    with pytest.raises(ValueError, match=message):
        node_rows(tmp_path / "rows", "abc")


def test_rows_that_no_name_can_tell(tmp_path: Path) -> None:
    (tmp_path / "rows").write_text("1 0\n2 1\n")
    with pytest.raises(ValueError, match="two nodes are both written '1'"):
        node_rows(tmp_path / "rows", [2, 1, "1"])
    (tmp_path / "rows").write_bytes(b"\xff\xfe\x80")
    with pytest.raises(ValueError, match="not UTF-8 text"):
        node_rows(tmp_path / "rows", "abc")


# From row numbers to vectors.


def test_selecting_rows() -> None:
    np.testing.assert_array_equal(select_rows(TABLE, np.array([4, 0]), 2), TABLE[[4, 0]])
    whole = select_rows(TABLE, None, 5)
    np.testing.assert_array_equal(whole, TABLE)
    assert not np.shares_memory(whole, TABLE)


@pytest.mark.parametrize(
    ("rows", "n", "message"),
    [
        (None, 4, "the file has 5 rows but the graph has 4 nodes: .*--rows"),
        ([0, 7, 5], 3, "row 7 is not in the file, which has 5 rows"),
        ([0, 5], 2, "row 5 is not in the file"),
        ([0, -1], 2, "row -1 is not in the file"),
        ([0, 1], 3, r"shape \(2,\) .*give 3 integers"),
        ([0.0, 1.0], 2, "dtype float64: give 2 integers"),
    ],
)
def test_rows_that_the_file_has_not(rows: list[int] | None, n: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        select_rows(TABLE, None if rows is None else np.array(rows), n)

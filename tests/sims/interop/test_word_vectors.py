"""The word2vec text format, against gensim's own reader and writer, and `fiedler score` on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors

from commands import Capture, answer, refusal
from fiedler.sims.interop import read_word_vectors, write_word_vectors
from fiedler.sims.interop.embedding_files import read_embedding
from fiedler.theory import parse

DAVIS = parse("davis").nodes  # women's names, with a blank in each
ROWS = np.random.default_rng(0).standard_normal((len(DAVIS), 5)) * 10.0 ** np.arange(-2, 3)


def test_every_bit_comes_back(tmp_path: Path) -> None:
    write_word_vectors(tmp_path / "v.w2v", DAVIS, ROWS, blanks="_")
    names, found = read_word_vectors(tmp_path / "v.w2v")
    assert names == tuple(str(node).replace(" ", "_") for node in DAVIS)
    assert np.array_equal(found, ROWS)


def test_gensim_reads_what_we_write(tmp_path: Path) -> None:
    write_word_vectors(tmp_path / "v.w2v", range(len(ROWS)), ROWS)
    found = KeyedVectors.load_word2vec_format(tmp_path / "v.w2v", binary=False)
    assert found.index_to_key == [str(k) for k in range(len(ROWS))]
    assert np.array_equal(found.vectors, ROWS.astype(np.float32))


@pytest.mark.parametrize("header", [True, False])
def test_we_read_what_gensim_writes(tmp_path: Path, header: bool) -> None:
    vectors = KeyedVectors(5)
    vectors.add_vectors([f"é{k}" for k in range(len(ROWS))], ROWS.astype(np.float32))
    vectors.save_word2vec_format(tmp_path / "v.txt", binary=False, write_header=header)
    names, found = read_word_vectors(tmp_path / "v.txt")
    assert names == tuple(vectors.index_to_key)
    assert np.array_equal(found.astype(np.float32), vectors.vectors)


@pytest.mark.parametrize(
    ("names", "rows", "blanks", "message"),
    [
        (["a b", "c"], ROWS[:2], None, 'blanks="_"'),
        (["a b", "a_b"], ROWS[:2], "_", "written the same"),
        (["", "c"], ROWS[:2], None, "no names like ''"),
        (["a"], ROWS[:2], None, "shape"),
        (["a", "b"], ROWS[:2] * np.inf, None, "NaN or infinity"),
        (["a", "b"], ROWS[:2], " ", "something without one"),
    ],
)
def test_refusals_to_write(
    tmp_path: Path, names: list[str], rows: np.ndarray, blanks: str | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        write_word_vectors(tmp_path / "v.w2v", names, rows, blanks=blanks)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no vectors"),
        ("2 2\na 1 2\n", "says 2 vectors in its first line and holds 1"),
        ("2 2\na 1 2\nb 1\n", "line 3: 1 numbers after 'b' instead of 2"),
        ("2 2\na 1 2\na 1 2\n", "a second time"),
        ("a 1 2\nb x 2\n", "line 2: the vector of 'b' is not of numbers"),
        ("Evelyn Jefferson 1 2\n", "not of numbers alone"),
    ],
)
def test_refusals_to_read(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "v.vec").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_word_vectors(tmp_path / "v.vec")
    with pytest.raises(ValueError, match=message):
        read_embedding(tmp_path / "v.vec")


def test_score_matches_rows_by_name(capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    order = np.random.default_rng(1).permutation(len(DAVIS))
    names = [*(str(DAVIS[k]) for k in order), "somebody else"]
    write_word_vectors("v.w2v", names, np.vstack([ROWS[order], np.ones(5)]), blanks="_")
    np.save("v.npy", ROWS)
    plain, named = (answer(capsys, "score", "davis", f"v.{suffix}") for suffix in ("npy", "w2v"))
    assert {**named, "file": ""} == {**plain, "file": ""}
    by_number = ",".join(str(int(np.flatnonzero(order == k)[0])) for k in range(len(DAVIS)))
    assert answer(capsys, "score", "davis", "v.w2v", "--rows", by_number) == named
    message = refusal(capsys, "score", "karate", "v.w2v")
    assert "no vector for 34 of 34 nodes" in message
    Path("nan.w2v").write_text("2 1\n0 nan\n1 1\n")
    assert "NaN or infinite" in refusal(capsys, "score", "cycle:3", "nan.w2v")

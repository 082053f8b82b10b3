"""Every claim: its criterion on planted results, and what a claim has to say of itself."""

from __future__ import annotations

import dataclasses

import pytest

from fiedler.sims.disk.jsonio import to_json
from fiedler.sims.reproduce.cell import CellPoint
from fiedler.sims.reproduce.claim import Claim
from fiedler.sims.reproduce.claims.path_cells import BASE, cell
from fiedler.sims.reproduce.registry import CLAIMS, get_claim, get_claims
from fiedler.sims.reproduce.verdict import CONFIRMED, CONTRADICTED, IN_PART, NOT, NOT_MEASURED, OUT_OF_REACH
from planted_claims import PLANTED, planted

EVERY = pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)


def test_every_claim_has_planted_results() -> None:
    assert list(PLANTED) == list(CLAIMS)
    assert len(CLAIMS) >= 40


@EVERY
def test_a_true_statement_is_confirmed_and_a_false_one_is_not(claim: Claim) -> None:
    true, false = (claim.judge(planted(claim, refuting)) for refuting in (False, True))
    if claim.criterion.reach:
        assert (true.status, false.status) == (OUT_OF_REACH, OUT_OF_REACH)
        assert true.reason == claim.criterion.reach
        return
    assert true.status == CONFIRMED, true.reason
    assert false.status in (CONTRADICTED, IN_PART)
    assert any(one.holds is False for one in false.findings)
    assert "\n" not in true.reason + false.reason


@EVERY
def test_nothing_is_confirmed_on_fewer_than_five_seeds(claim: Claim) -> None:
    verdict = claim.judge(planted(claim, False, seeds=4))
    if not any(cell.seeded for cell in claim.cells):
        assert verdict.deterministic == bool(claim.cells)
    else:
        assert verdict.status in (NOT, OUT_OF_REACH)
        assert not verdict.deterministic


@EVERY
def test_a_claim_with_a_missing_cell_is_not_measured(claim: Claim) -> None:
    whole = planted(claim, False)
    for name in whole.scores:
        scores = {cell: one for cell, one in whole.scores.items() if cell != name}
        verdict = claim.judge(dataclasses.replace(whole, scores=scores, missing={name: "it broke"}))
        used = any(name in (*check.cells, check.minus) for check in claim.criterion.checks)
        assert verdict.status == (OUT_OF_REACH if claim.criterion.reach else NOT_MEASURED if used else CONFIRMED)
        assert used, f"no check looks at {name}"


@EVERY
def test_a_claim_says_what_it_is(claim: Claim) -> None:
    assert claim.paper
    assert all((claim.title, claim.where, claim.statement, claim.confirms, claim.refutes))
    assert len(claim.title) < 80
    assert len({cell.name for cell in claim.cells}) == len(claim.cells)
    assert claim.seconds > 0 or not claim.cells
    assert claim.criterion.checks or claim.criterion.reach
    to_json(claim)


@EVERY
def test_its_cells_are_points_that_can_be_run(claim: Claim) -> None:
    points = [CellPoint.of(cell) for cell in claim.cells]
    assert len({point.key for point in points}) == len(points)


def test_names() -> None:
    assert get_claim("a.OBS1a").name == "A.obs1a"
    assert [claim.name for claim in get_claims(["B.thm*", "B.thm4.1"])] == [f"B.thm4.{i}" for i in range(1, 5)]
    assert all(claim.name.startswith("F.") for claim in get_claims(["F."]))
    with pytest.raises(ValueError, match=r"unknown claim 'A.lema'; did you mean 'A.lemma'"):
        get_claim("A.lema")
    with pytest.raises(ValueError, match=r"no claim begins with 'x\.'"):
        get_claims(["X."])


def test_a_setting_that_came_later_changes_no_cell_without_it() -> None:
    plain, other = cell("a"), cell("a", path_share=0.5)
    assert "path_share" not in dict(plain.options["settings"])
    assert dict(other.options["settings"])["path_share"] == 0.5
    assert CellPoint.of(plain).key != CellPoint.of(other).key
    assert {**dict(plain.options["settings"]), "path_share": None} == dataclasses.asdict(BASE)

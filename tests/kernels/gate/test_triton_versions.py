"""What is said of versions of Triton: nothing of those that the gate compiles with, a warning once of others."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace

import pytest

pytest.importorskip("triton", reason="Triton, whose compiler this drives, is made for Linux only")

import triton

import triton_versions
from fiedler.kernels.compile_report import KernelReport
from fiedler.kernels.gpu import triton_version
from fiedler.kernels.gpu.triton_version import TESTED, untested, warn_if_untested
from fiedler.kernels.profiling.machine_code import SHARED_LIMIT


@pytest.mark.parametrize("version", [*TESTED, "3.7.0", "3.9.5", "3.8.0+git1234"])
def test_tested_versions_are_silent(version: str) -> None:
    assert untested(version) is None


@pytest.mark.parametrize("version", ["3.5.1", "2.3.0", "3.10.0", "4.0.0", "main"])
def test_other_versions_are_named_with_the_consequence(version: str) -> None:
    said = untested(version)
    assert said is not None
    assert version in said
    assert "spill registers and run slower" in said
    assert "compile_report" in said


def test_the_installed_one_is_tested() -> None:
    assert untested(triton.__version__) is None


def test_one_warning_in_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton, "__version__", "3.10.0")
    warn_if_untested.cache_clear()
    with pytest.warns(RuntimeWarning, match=r"this is 3\.10\.0"):
        warn_if_untested()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_if_untested()
    warn_if_untested.cache_clear()
    assert triton_version.TESTED == TESTED


def test_only_known_spills_pass() -> None:
    clean = KernelReport("kernel", "case", 90, "3.9.0", 8, 2, registers=200)
    spill = replace(clean, stack_bytes=80, local_loads=4)
    crash = replace(clean, failure="no")
    assert triton_versions.unknown([clean], {}) == []
    assert triton_versions.unknown([spill], {"case": 80}) == []
    assert triton_versions.unknown([spill], {"case": 72}) == [spill]
    assert triton_versions.unknown([spill], {}) == [spill]
    assert triton_versions.unknown([crash], {"case": 16}) == [crash]


def test_the_record_is_of_what_is_tested() -> None:
    known = json.loads(triton_versions.FILE.read_text())
    assert set(known) <= set(TESTED)
    assert {card for cards in known.values() for card in cards} <= set(map(str, SHARED_LIMIT))
    assert all(size > 0 for cards in known.values() for cases in cards.values() for size in cases.values())


@pytest.mark.triton
@pytest.mark.long
@pytest.mark.timeout(14400)
def test_every_version_for_every_architecture() -> None:
    assert triton_versions.main([]) == 0

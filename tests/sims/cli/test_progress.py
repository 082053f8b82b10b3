"""Progress bars: shown on a terminal, and not a byte of them anywhere else."""

from __future__ import annotations

import io
import re
import sys

import pytest

from fiedler.sims.cli.progress import Stages


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """rich looks at these before it asks the stream."""
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")


def run_stages() -> None:
    with Stages() as stages:
        stages.update("optimum", 0.0)
        stages.update("optimum", 1.0)
        stages.update("Node2Vec", 0.0)
        stages.update("Node2Vec", 0.25)


def shown(text: str) -> str:
    """The text without the terminal's control sequences."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_nothing_is_written_where_standard_error_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    run_stages()
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out == ""


def test_stages_appear_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    run_stages()
    last = shown(screen.getvalue()).splitlines()[-2:]
    assert re.match(r"optimum +\S+ 100%", last[0])
    assert re.match(r"Node2Vec +.+ 25%", last[1])
    assert capsys.readouterr().out == ""  # standard output stays free for results


def test_stages_come_in_the_order_first_named_and_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with Stages() as stages:
        for fraction in (0.0, 0.5, 1.0):
            stages.update("b", fraction)
            stages.update("a", fraction / 2)
    lines = shown(screen.getvalue()).splitlines()[-2:]
    assert [line[:2] for line in lines] == ["b ", "a "]
    assert "100%" in lines[0]
    assert " 50%" in lines[1]


def test_the_screen_is_given_back_after_an_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)

    def interrupted() -> None:
        with Stages() as stages:
            stages.update("training", 0.3)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert "\x1b[?25l" in screen.getvalue()  # the cursor was hidden,
    assert screen.getvalue().rindex("\x1b[?25h") > screen.getvalue().rindex("\x1b[?25l")  # and is back
    assert sys.stderr is screen


def test_a_stage_of_unknown_length_has_no_percentage(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with Stages() as stages:
        stages.update("optimum", 0.0)
    (line,) = shown(screen.getvalue()).splitlines()[-1:]
    assert re.fullmatch(r"optimum +\S+ +0:00:0\d *", line)


def test_transient_bars_leave_an_empty_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with Stages(transient=True) as stages:
        stages.update("optimum", 1.0)
    assert screen.getvalue().endswith("\x1b[1A\x1b[2K")


def test_where_there_is_no_terminal_a_line_comes_every_some_seconds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = iter(range(0, 1000, 6))
    monkeypatch.setattr("fiedler.sims.cli.progress.time.monotonic", lambda: next(now))
    with Stages() as stages:
        watch = stages.watch()
        for gap in ("gap 1.0e-01", "gap 1.0e-02", "gap 1.0e-03"):
            watch.note("optimum", gap)
        watch.report("Node2Vec", 0.5)
        watch.report("Node2Vec", 0.6)
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert all(
        re.fullmatch(r"fiedler: (optimum: gap 1.0e-0\d|Node2Vec: \d0 %, about \d+ s left)", one) for one in lines
    )
    assert 1 < len(lines) < 5


def test_what_is_said_of_a_stage_stands_beside_its_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with Stages() as stages:
        stages.note("optimum", "gap 1e-3")
    assert "gap 1e-3" in shown(screen.getvalue()).splitlines()[-1]

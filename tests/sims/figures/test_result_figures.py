"""Figures from results kept as JSON in the repository: legible in both widths, and with the numbers of the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fiedler.sims.figures.recall import read_scaling
from fiedler.sims.recall.scaling.report import describe_scaling, fit_curves
from figure_runs import RESULTS, draw
from figures import assert_legible

FIGURES = {
    "fig4": ("paths-cpu.json", "paths-figures.json#fig6"),
    "fig5": ("paths-figures.json#fig5", "paths-figures.json#fig5-long"),
    "fig8": ("paths-figures.json#fig8-100",),
    "fig11": ("paths-figures.json",),
    "fig19": ("paths-figures.json",),
    "recall-structure": ("recall.json",),
    "recall-hops": ("recall.json",),
    "scaling": ("recall.json",),
    "threshold": ("recall.json",),
    "headroom": ("headroom.json",),
}


# Both widths of layouts that differ; fig8, fig11 and fig5 are laid out as fig4.
@pytest.mark.parametrize(
    ("name", "width"),
    [(name, width) for name in FIGURES for width in ("single", "double")
     if width == "single" or name not in ("fig5", "fig8", "fig11")],
)  # fmt: skip
def test_legible(name: str, width: str) -> None:
    drawn, figure = draw(name, *(f"{RESULTS}/{file}" for file in FIGURES[name]), width=width)
    assert_legible(figure)
    assert all(source.command for source in drawn.sources)


def test_curves_are_the_means_of_the_file() -> None:
    drawn, figure = draw("fig4", f"{RESULTS}/paths-cpu.json", width="double", title=True)
    kept = json.loads((RESULTS / "paths-cpu.json").read_text())
    curve = [record for record in kept["curve"] if record["condition"] == "in_weights"]
    steps = sorted({record["step"] for record in curve})
    mean = [np.mean([record["path_accuracy"] for record in curve if record["step"] == step]) for step in steps]
    (line,) = [line for line in figure.axes[0].lines if line.get_label() == "in weights"]
    assert np.asarray(line.get_xdata()).tolist() == steps
    assert np.asarray(line.get_ydata()) == pytest.approx(mean)
    assert drawn.sources[0].seeds == (0, 1, 2)
    assert figure._suptitle is not None


def test_scaling_laws_are_fitted_again_to_the_kept_points() -> None:
    kept = json.loads((RESULTS / "recall.json").read_text())["scaling"]
    result = read_scaling(kept, RESULTS)
    found = describe_scaling(result, fit_curves(result))["fits"]
    for name, fits in kept["fits"].items():
        for against, fit in fits.items():
            assert found[name][against]["better"] == fit["better"]
            assert found[name][against]["power"].second == pytest.approx(fit["power"]["second"])


def test_other_entries_and_conditions_are_refused() -> None:
    figures = f"{RESULTS}/paths-figures.json"
    with pytest.raises(ValueError, match=r"has no entry 'fig55': did you mean 'fig5'\?"):
        draw("fig5", f"{figures}#fig55")
    with pytest.raises(ValueError, match="has the condition in_weights again"):
        draw("fig4", f"{RESULTS}/paths-cpu.json", f"{RESULTS}/paths-cpu.json")
    with pytest.raises(ValueError, match="trained with gpt2, and the figure is of mamba"):
        draw("fig8", f"{RESULTS}/paths-cpu.json")
    with pytest.raises(ValueError, match=r"several graphs, path-star:100x5, tree-star:32x5"):
        draw("fig4", f"{RESULTS}/paths-cpu.json", f"{figures}#fig11")
    with pytest.raises(ValueError, match="without the condition staged"):
        draw("fig23", f"{figures}#fig6")
    with pytest.raises(ValueError, match="several hops, which are not analysed"):
        draw("recall-structure", f"{RESULTS}/recall.json#held-out")


def profile(rates: list[tuple[float, float]]) -> dict[str, Any]:
    """A profile of so many shapes: (TFLOP/s, GB/s) of ours."""
    shape = {"op": "linear", "D": 64, "V": 1000, "dtype": "float32", "device": "cpu", "threads": 1}
    time = {"ms_median": 2.0, "ms_spread": [1.0, 4.0]}
    rows = [
        {**shape, **time, "N": 2**k, "tflops": rate, "gbps": bytes_, "matmul_tflops": 2 * rate,
         "peers": {"eager": {**time, "tflops": rate / 2, "gbps": bytes_ / 2}, "liger": {"absent": "not installed"}}}
        for k, (rate, bytes_) in enumerate(rates)
    ]  # fmt: skip
    return {"environment": {"command": "fiedler profile", "versions": {}}, "rows": rows}


@pytest.mark.parametrize("width", ["single", "double"])
def test_the_roofline_is_rate_over_traffic_below_the_matrix_products(tmp_path: Path, width: str) -> None:
    rates = [(4.0, 50.0), (8.0, 40.0)]
    (tmp_path / "profile.json").write_text(json.dumps(profile(rates)))
    _, figure = draw("roofline", tmp_path, width=width)
    assert_legible(figure)
    (ax,) = figure.axes
    ours, peer = (one.lines[0] for one in ax.containers)
    assert np.asarray(ours.get_ydata()).tolist() == [4.0, 8.0]
    assert np.asarray(peer.get_ydata()).tolist() == [2.0, 4.0]
    middle = np.sqrt(np.asarray(ours.get_xdata()) * np.asarray(peer.get_xdata()))  # they stand beside each other
    assert middle == pytest.approx([1e3 * rate / bytes_ for rate, bytes_ in rates])
    assert max(np.max(line.get_ydata()) for line in ax.lines) == 16.0
    bars = ax.containers[0].lines[2][0].get_segments()
    assert [bar[:, 1].tolist() for bar in bars] == [[2.0, 8.0], [4.0, 16.0]]  # half and double the time

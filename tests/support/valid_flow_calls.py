"""One small valid call of every start, flow and descent of ``fiedler.theory``; see ``valid_calls``."""

from __future__ import annotations

import numpy as np

from bad_input_oracle import Call
from valid_inputs import (
    CONTEXT,
    DIVERGED,
    EMBEDDING,
    FAILED,
    GRAM,
    LOGITS,
    NUMBER_TIMES,
    ONE_HOP,
    PAW,
    PROBLEM,
    RNG,
    SIGN,
    SPACES,
    START,
    TARGET,
    TIMED,
    TIMES,
    call,
    made,
    shrink,
)

CALLS: dict[str, Call] = {
    # Starts, flows and descents.
    "wide_tied_start": call("wide_tied_start", {"n": 3, "scale": 0.5}),
    "wide_untied_start": call("wide_untied_start", {"n": 3, "scale": 0.5}),
    "gaussian_starts": call("gaussian_starts", {"n": 3, "width": 5, "scale": 0.5, "samples": 2, "seed": 1}),
    "untied_gaussian_starts": call(
        "untied_gaussian_starts", {"n": 3, "width": 5, "scale": 0.5, "samples": 2, "seed": 1}
    ),
    "compact_start": call("compact_start", {"embedding0": RNG.standard_normal((2, 5))}, loose={"embedding0": "*"}),
    "symmetric_basis": call("symmetric_basis", {"n": 3}),
    "integrate": call(
        "integrate",
        {
            "velocity": shrink,
            "start": np.ones(2),
            "end": 1.0,
            "times": [0.0, 0.5, 1.0],
            "events": (),
            "dense_output": True,
            "rtol": 1e-8,
            "implicit_limit": 10,
            "vectorized": True,
        },
        failures=FAILED,
        loose={**TIMED, "start": "*", "events": "empty list"},
        kinds=NUMBER_TIMES | {"start": "int float"},
    ),
    "follow": call(
        "follow",
        {"equation": made("equation"), "end": 1.0, "events": (), "rtol": 1e-8, "implicit_limit": 10},
        failures=FAILED,
        loose={"events": "empty list"},
    ),
    "FlowPath.at": call("FlowPath", {"times": [0.0, 0.5]}, function=made("path").at, loose=TIMED, kinds=NUMBER_TIMES),
    "FlowPath.mode_energy": call(
        "FlowPath",
        {"times": [0.0, 0.5], "spaces": SPACES},
        function=made("path").mode_energy,
        loose=TIMED,
        kinds=NUMBER_TIMES,
    ),
    "energy_reaches": call(
        "energy_reaches",
        {
            "equation": made("equation"),
            "spaces": SPACES,
            "k": 1,
            "level": 0.5,
            "rising": True,
            "terminal": False,
            "name": "half",
        },
        loose={"level": SIGN},
    ),
    "loss_falls_below": call(
        "loss_falls_below",
        {"equation": made("equation"), "level": 0.5, "terminal": False, "name": "half"},
        loose={"level": SIGN},
    ),
    "stationary": call(
        "stationary", {"equation": made("equation"), "tolerance": 1e-3, "terminal": False, "name": "half"}
    ),
    "sharpness": call("sharpness", {"target": TARGET, "embedding": EMBEDDING, "context": CONTEXT, **PROBLEM}),
    "tied_equation": call("tied_equation", {"target": TARGET, "embedding0": EMBEDDING, **PROBLEM}, loose=START),
    "tied_flow": call(
        "tied_flow",
        {"target": TARGET, "embedding0": EMBEDDING, "times": [0.0, 0.5], "rtol": 1e-6, **PROBLEM},
        loose=START,
        kinds=NUMBER_TIMES,
        failures=FAILED,
    ),
    "tied_descent": call(
        "tied_descent",
        {"target": TARGET, "embedding0": EMBEDDING, "step_size": 0.1, "steps": np.array([0, 3]), **PROBLEM},
        loose=START,
        kinds=NUMBER_TIMES,
        failures=DIVERGED,
    ),
    "tied_gram_equation": call("tied_gram_equation", {"target": TARGET, "gram0": GRAM, **PROBLEM}),
    "tied_gram_flow": call(
        "tied_gram_flow",
        {"target": TARGET, "gram0": GRAM, "times": [0.0, 0.5], "rtol": 1e-6, **PROBLEM},
        loose=START,
        kinds=NUMBER_TIMES,
        failures=FAILED,
    ),
    "tied_gram_descent": call(
        "tied_gram_descent",
        {"target": TARGET, "gram0": GRAM, "step_size": 0.1, "steps": np.array([0, 3]), **PROBLEM},
        loose=START,
        kinds=NUMBER_TIMES,
        failures=DIVERGED,
    ),
    "untied_equation": call(
        "untied_equation", {"target": TARGET, "embedding0": EMBEDDING, "context0": CONTEXT, **PROBLEM}
    ),
    "untied_flow": call(
        "untied_flow",
        {"target": TARGET, "embedding0": EMBEDDING, "context0": CONTEXT, "times": [0.0, 0.5], "rtol": 1e-6, **PROBLEM},
        loose=TIMED,
        kinds=NUMBER_TIMES,
        failures=FAILED,
    ),
    "untied_descent": call(
        "untied_descent",
        {"target": TARGET, "embedding0": EMBEDDING, "context0": CONTEXT, "step_size": 0.1, "steps": np.array([0, 3])}
        | PROBLEM,
        loose={"steps": TIMES},
        kinds=NUMBER_TIMES,
        failures=DIVERGED,
    ),
    "untied_gram_equation": call(
        "untied_gram_equation",
        {"target": TARGET, "gram_embedding0": GRAM, "gram_context0": GRAM, "logits0": LOGITS, **PROBLEM},
    ),
    "untied_gram_flow": call(
        "untied_gram_flow",
        {"target": TARGET, "gram_embedding0": GRAM, "gram_context0": GRAM, "logits0": LOGITS, "times": [0.0, 0.5]}
        | {"rtol": 1e-6, **PROBLEM},
        loose=TIMED,
        kinds=NUMBER_TIMES,
        failures=FAILED,
    ),
    # The early phase, and finite width.
    "early_modes": call("early_modes", {"target": TARGET, "tied": True, **PROBLEM}),
    "early_gram": call(
        "early_gram",
        {"target": TARGET, "gram0": GRAM, "times": [0.0, 0.5], **PROBLEM},
        loose=TIMED,
        kinds=NUMBER_TIMES,
    ),
    "EarlyModes.mode_times": call("EarlyModes", {"init_scale": 0.1}, function=made("modes").mode_times),
    "early_spaces": call("early_spaces", {"modes": made("modes")}),
    "growth_rates": call("growth_rates", {"graph": PAW, "tied": True, "weight_decay": 0.1, **ONE_HOP}),
    "target_growth_rates": call("target_growth_rates", {"target": TARGET, "tied": True, **PROBLEM}),
    "measured_mode_times": call(
        "measured_mode_times",
        {"target": TARGET, "init_scale": 0.1, "threshold": 0.5, "end": 2.0, "tied": True, **PROBLEM},
        failures=FAILED,
    ),
    "reach_times": call(
        "reach_times",
        {"times": [0.0, 1.0, 2.0], "energy": np.array([[0.1, 1.0], [0.5, 2.0], [3.0, 0.2]]), "level": [1.0, 2.0]},
        loose={"energy": "shape: no columns", "level": "shape: first entry"},
        kinds={"times": "int float", "level": "int float"},
    ),
    "tied_tangent": call(
        "tied_tangent",
        {"target": TARGET, "init_scale": 0.5, "times": [0.0, 0.5], "rtol": 1e-4, **PROBLEM},
        loose=TIMED,
        kinds=NUMBER_TIMES,
        failures=FAILED,
    ),
    "initial_energy_moments": call("initial_energy_moments", {"spaces": SPACES, "width": 5, "init_scale": 0.5}),
    "predict_from_tangent": call(
        "predict_from_tangent", {"tangent": made("tangent"), "spaces": SPACES, "width": 5, "init_scale": 0.5}
    ),
    "predict_width": call(
        "predict_width",
        {"target": TARGET, "spaces": SPACES, "width": 5, "init_scale": 0.5, "times": [0.0, 0.5], **PROBLEM},
        loose=TIMED,
        kinds=NUMBER_TIMES,
        failures=FAILED,
    ),
    "WidthBands.energy_band": call(
        "WidthBands",
        {"levels": [0.1, 0.9]},
        function=made("bands").energy_band,
        loose={"levels": "shape: one row less; shape: one row more; shape: first row; shape: no rows; empty list"},
        kinds={"levels": "Array"},
    ),
    "width_bands": call(
        "width_bands",
        {"target": TARGET, "spaces": SPACES, "width": 5, "init_scale": 0.5, "times": [0.0, 0.5], "samples": 2}
        | {"seed": 1, "rtol": 1e-4, **PROBLEM},
        loose=TIMED,
        kinds=NUMBER_TIMES,
        failures=FAILED,
    ),
}

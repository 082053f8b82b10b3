"""Valid calls of the linear ladder, of nets with norms and units, and of their closed forms; see ``valid_calls``."""

from __future__ import annotations

import numpy as np

import fiedler.theory as theory
from bad_input_oracle import Call
from valid_inputs import (
    CONTEXT,
    DIVERGED,
    EMBEDDING,
    FAILED,
    GRAM,
    INNER,
    NET,
    NUMBER_TIMES,
    ONE_HOP,
    PAW,
    PROBLEM,
    SIGN,
    TARGET,
    TIMED,
    TIMES,
    WEIGHT,
    WIDTH,
    call,
    made,
)

PHI = theory.spectral_map(3)
ONE = dict.fromkeys(("gram", "logits", "rate", "start", "level"), "int float")  # arrays of any shape, a number too
ROWS = "shape: one row less; shape: one row more; shape: first row; shape: no rows; " + WIDTH
EQUAL = np.full((4, 4), -0.5) + 2 * np.eye(4)  # an optimum of equal norms

CALLS: dict[str, Call] = {
    # Linear nets.
    "one_layer_logits": call(
        "one_layer_logits",
        {"embedding": EMBEDDING, "inner": INNER},
        loose={"embedding": "shape: one row less; shape: one row more; shape: first row; shape: no rows"},
    ),
    "one_layer_equation": call(
        "one_layer_equation",
        {"target": TARGET, "embedding0": EMBEDDING, "inner0": INNER, "train_embedding": True, "train_inner": True}
        | PROBLEM,
    ),
    "one_layer_flow": call(
        "one_layer_flow",
        {"target": TARGET, "embedding0": EMBEDDING, "inner0": INNER, "times": [0.0, 0.5], "train_embedding": True}
        | {"train_inner": True, "rtol": 1e-6, **PROBLEM},
        loose=TIMED,
        kinds=NUMBER_TIMES,
        failures=FAILED,
    ),
    "one_layer_descent": call(
        "one_layer_descent",
        {"target": TARGET, "embedding0": EMBEDDING, "inner0": INNER, "step_size": 0.1, "steps": np.array([0, 3])}
        | {"train_embedding": True, "train_inner": True, **PROBLEM},
        loose={"steps": TIMES},
        kinds=NUMBER_TIMES,
        failures=DIVERGED,
    ),
    "LinearNet": call(
        "LinearNet",
        {"embedding": EMBEDDING, "layers": NET.layers, "context": CONTEXT, "residual": True},
        loose={"layers": "empty list"},
    ),
    "ladder_logits": call("ladder_logits", {"net": NET}),
    "ladder_balance": call("ladder_balance", {"net": NET}),
    "ladder_equation": call(
        "ladder_equation", {"target": TARGET, "net": NET, "train_embedding": True, "train_layers": True, **PROBLEM}
    ),
    "ladder_sharpness": call("ladder_sharpness", {"target": TARGET, "net": NET, **PROBLEM}),
    "ladder_flow": call(
        "ladder_flow",
        {"target": TARGET, "net": NET, "times": [0.0, 0.5], "train_embedding": True, "train_layers": True}
        | {"rtol": 1e-6, "implicit_limit": 10, **PROBLEM},
        loose=TIMED,
        kinds=NUMBER_TIMES,
        failures=FAILED,
    ),
    "ladder_descent": call(
        "ladder_descent",
        {"target": TARGET, "net": NET, "step_size": 0.1, "steps": np.array([0, 3])}
        | {"train_embedding": True, "train_layers": True, **PROBLEM},
        loose={"steps": TIMES},
        kinds=NUMBER_TIMES,
        failures=DIVERGED,
    ),
    "cayley_flow": call(
        "cayley_flow",
        {"graph": theory.parse("torus:3x4"), "times": [0.0, 0.5], "init_scale": 0.5, "tied": True, "weight_decay": 0.1}
        | {"tolerance": 1e-6, **ONE_HOP},
        loose=TIMED,
        kinds=NUMBER_TIMES,
        failures=FAILED,
    ),
    "graph_flow": call(
        "graph_flow",
        {"graph": PAW, "times": [0.0, 0.5], "init_scale": 0.5, "tied": True, "weight_decay": 0.1, **ONE_HOP},
        loose=TIMED,
        kinds=NUMBER_TIMES,
        failures=FAILED,
    ),
    "target_flow": call(
        "target_flow",
        {"target": TARGET, "times": [0.0, 0.5], "init_scale": 0.5, "tied": True, **PROBLEM},
        loose=TIMED,
        kinds=NUMBER_TIMES,
        failures=FAILED,
    ),
    "reduced_flow": call(
        "reduced_flow",
        {"algebra": made("symmetry").algebra, "target": made("symmetry").target(), "times": [0.0, 0.5]}
        | {"init_scale": 0.5, "tied": True, "weight_decay": 0.1, "row_weight": np.array([1.0, 2.0, 0.5]), "rtol": 1e-6},
        loose=TIMED,
        kinds=NUMBER_TIMES,
        failures=FAILED,
    ),
    # Nets read through norms.
    "layer_norm": call(
        "layer_norm",
        {"embedding": EMBEDDING, "gain": np.ones(2), "norm": "rms", "epsilon": 0.1},
        loose={"embedding": ROWS + "; shape: deeper"},
    ),
    "norm_clock": call("norm_clock", {"gram": GRAM, "width": 5, "epsilon": 0.1}, loose={"gram": "*"}),
    "normed_plateau": call(
        "normed_plateau", {"optimum": EQUAL, "width": 5, "gain": 1.5, "epsilon": 0.1}, loose={"optimum": "*"}
    ),
    "gain_at_plateau": call("gain_at_plateau", {"optimum": EQUAL, "width": 5, "init_std": 0.1}, loose={"optimum": "*"}),
    "normed_gram_equation": call(
        "normed_gram_equation", {"target": TARGET, "gram0": GRAM, "width": 5, "epsilon": 0.1, "row_weight": WEIGHT}
    ),
    "normed_gram_flow": call(
        "normed_gram_flow",
        {"target": TARGET, "gram0": GRAM, "width": 5, "times": [0.0, 0.5], "epsilon": 0.1, "row_weight": WEIGHT}
        | {"rtol": 1e-6},
        loose=TIMED,
        kinds=NUMBER_TIMES,
        failures=FAILED,
    ),
    "Sublayer": call("Sublayer", {"read": INNER, "write": CONTEXT[:2], "activation": "relu", "gain": np.ones(2)}),
    "PreNormNet": call(
        "PreNormNet",
        {"embedding": EMBEDDING, "sublayers": (), "gain": np.ones(2), "norm": "rms", "epsilon": 0.1},
        loose={"embedding": ROWS, "sublayers": "empty list"},
    ),
    "pre_norm_logits": call("pre_norm_logits", {"net": made("net")}),
    "pre_norm_features": call("pre_norm_features", {"net": made("net"), "index": 0}),
    "pre_norm_equation": call(
        "pre_norm_equation", {"target": TARGET, "net": made("net"), "train_gain": True, "row_weight": WEIGHT}
    ),
    "pre_norm_flow": call(
        "pre_norm_flow",
        {"target": TARGET, "net": made("net"), "times": [0.0, 0.1], "train_gain": True, "row_weight": WEIGHT}
        | {"rtol": 1e-4},
        loose=TIMED,
        kinds=NUMBER_TIMES,
        failures=FAILED,
    ),
    "pre_norm_descent": call(
        "pre_norm_descent",
        {"target": TARGET, "net": made("net"), "step_size": 0.1, "steps": np.array([0, 3]), "train_gain": True}
        | {"row_weight": WEIGHT},
        loose={"steps": TIMES},
        kinds=NUMBER_TIMES,
        failures=DIVERGED,
    ),
    "pre_norm_descents": call(
        "pre_norm_descents",
        {"target": TARGET, "nets": [made("net")] * 2, "step_size": 0.1, "steps": np.array([0, 3]), "train_gain": True}
        | {"row_weight": WEIGHT},
        loose={"steps": TIMES},
        kinds=NUMBER_TIMES,
        failures=DIVERGED,
    ),
    "unit_growth": call(
        "unit_growth", {"residual": INNER, "features": CONTEXT[:2], "scale": 0.5}, loose={"features": "*"}
    ),
    "UnitModes.loss_drop": call(
        "UnitModes",
        {"embedding": INNER, "write": CONTEXT[:2], "time": 0.5},
        function=made("units").loss_drop,
        loose={"time": SIGN},
    ),
    "UnitModes.escape_time": call(
        "UnitModes", {"embedding": INNER, "write": CONTEXT[:2], "drop": 0.5}, function=made("units").escape_time
    ),
    "jacobian_modes": call(
        "jacobian_modes",
        {"target": TARGET, "net": made("net"), "count": 2, "train_gain": True, "row_weight": WEIGHT},
        failures=FAILED,
    ),
    "sign_flip_energy": call(
        "sign_flip_energy", {"scale": 0.2, "alignment": 0.1, "size": 0.5}, loose={"alignment": SIGN}
    ),
    "escape_time": call(
        "escape_time",
        {"target": made("circle"), "net": made("net"), "optimum": made("round"), "drop": 0.1, "step_size": 0.1}
        | {"end": 1.0},
        failures=DIVERGED,
    ),
    # Linear nets in closed form.
    "spectral_map": call(
        "spectral_map", {"depth": 2, "residual": False, "tied": True, "init_scale": 0.5, "inner_scale": 0.5}
    ),
    "SpectralMap.logits": call(
        "SpectralMap", {"gram": [0.0, 0.5]}, function=PHI.logits, loose={"gram": "*"}, kinds=ONE
    ),
    "SpectralMap.gram": call(
        "SpectralMap", {"logits": [0.0, 0.5]}, function=PHI.gram, loose={"logits": "*"}, kinds=ONE
    ),
    "SpectralMap.effective_ranks": call(
        "SpectralMap", {"logits": [2.0, 0.5], "multiplicities": [1.0, 3.0]}, function=PHI.effective_ranks
    ),
    "mode_cost": call(
        "mode_cost",
        {"eigenvalue": [1.0, -0.5], "residual": True},
        loose={"eigenvalue": "*"},
        kinds={"eigenvalue": "int float"},
    ),
    "representation_cost": call(
        "representation_cost", {"logits": GRAM, "residual": True}, loose={"logits": SIGN}, kinds={}
    ),
    "cheapest_net": call("cheapest_net", {"logits": GRAM, "residual": True}, loose={"logits": SIGN}, kinds={}),
    "saddle_escape_time": call(
        "saddle_escape_time",
        {"phi": PHI, "rate": [1.0, 0.5], "start": 0.1, "level": [0.5, np.inf]},
        loose={"rate": "*", "level": "*"},
        kinds=ONE,
        nan_in=frozenset({"level"}),
    ),
    "ladder_gram_equation": call(
        "ladder_gram_equation",
        {"target": TARGET, "init_scale": 0.5, "depth": 2, "residual": False, "inner_scale": 0.5, "row_weight": WEIGHT},
    ),
    "ladder_gram_flow": call(
        "ladder_gram_flow",
        {"target": theory.one_hop_target(theory.parse("cycle:5")), "init_scale": 0.5, "depth": 2, "times": [0.0, 0.5]}
        | {"residual": False, "inner_scale": 0.5, "row_weight": 2 * np.ones(5), "rtol": 1e-6},
        loose=TIMED,
        kinds=NUMBER_TIMES,
        failures=FAILED,
    ),
    "end_to_end_equation": call(
        "end_to_end_equation",
        {"target": TARGET, "embedding0": EMBEDDING, "product0": INNER, "depth": 2, "context0": CONTEXT}
        | {"row_weight": WEIGHT},
    ),
    "end_to_end_flow": call(
        "end_to_end_flow",
        {"target": TARGET, "embedding0": EMBEDDING, "product0": INNER, "depth": 2, "context0": CONTEXT}
        | {"times": [0.0, 0.5], "row_weight": WEIGHT, "rtol": 1e-6},
        loose=TIMED,
        kinds=NUMBER_TIMES,
        failures=FAILED,
    ),
    "reduced_ladder_flow": call(
        "reduced_ladder_flow",
        {"algebra": made("symmetry").algebra, "target": made("symmetry").target(), "depth": 1, "times": [0.0, 0.5]}
        | {"init_scale": 0.5, "residual": False, "inner_scale": 0.5, "tied": True, "weight_decay": 0.1}
        | {"row_weight": np.array([1.0, 2.0, 0.5]), "rtol": 1e-6},
        loose=TIMED,
        kinds=NUMBER_TIMES,
        failures=FAILED,
    ),
    "cayley_ladder_flow": call(
        "cayley_ladder_flow",
        {"graph": theory.parse("torus:3x4"), "depth": 1, "times": [0.0, 0.5], "init_scale": 0.5, "residual": False}
        | {"inner_scale": 0.5, "weight_decay": 0.1, "tolerance": 1e-6, **ONE_HOP},
        loose=TIMED,
        kinds=NUMBER_TIMES,
        failures=FAILED,
    ),
    "ladder_limit": call(
        "ladder_limit",
        {"algebra": made("symmetry").algebra, "target": made("symmetry").target(), "depth": 2, "residual": False}
        | {"init_scale": 0.5, "inner_scale": 0.5, "row_weight": np.array([1.0, 2.0, 0.5])},
        failures=FAILED,
    ),
}

"""Mamba's selective scan in plain torch, with its gradient written out: for short sequences on a CPU.

    h_t = exp(dt_t A) h_{t-1} + dt_t x_t B_t,     y_t = C_t . h_t,     h_0 = 0

transformers falls back to these steps where mamba_ssm is missing, and there every slice of a step gets a gradient as
large as the whole sequence. Here all states of a batch are one tensor, filled in place, and gradients run back through
it once. Source of the recurrence: arXiv 2312.00752, algorithm 2 (B discretised as dt B).
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

MIXER = "MambaMixer"  # by name: nothing of transformers is imported for the other architectures


def selective_scan(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """y (b, T, D) of inputs x and steps dt > 0 (b, T, D), rates A < 0 (D, N) and projections B, C (b, T, N).

    Memory: two tensors of b T D N numbers until the gradient is taken, which is once differentiable. Equal to the
    steps one after another but for rounding; works under ``torch.func.vmap``.
    """
    found: Tensor = _Scan.apply(x[None], dt[None], A[None], B[None], C[None])[0]
    return found[0]


def use_selective_scan(model: nn.Module) -> int:
    """Let every Mamba block of ``model`` run by ``selective_scan`` on a CPU, without a cache or a padding mask (on
    other devices and with them as before). Weights and their names stay. Returns the number of blocks changed."""
    mixers = [module for module in model.modules() if type(module).__name__ == MIXER]
    for mixer in mixers:
        mixer.forward = MethodType(_mix, mixer)
    return len(mixers)


class _Scan(torch.autograd.Function):
    """``selective_scan`` of M models at once, M in front of every argument. The states, and the decays of all steps but
    the first, which decays nothing, are outputs for the gradient alone."""

    @staticmethod
    def forward(x: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        decay = (dt[:, :, 1:, :, None] * A[:, None, None]).exp_()
        states = (dt * x)[..., None] * B[..., None, :]
        for t in range(1, x.shape[2]):
            states[:, :, t].addcmul_(decay[:, :, t - 1], states[:, :, t - 1])
        return _dot(states, C), decay, states

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
        ctx.mark_non_differentiable(*output[1:])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*inputs, *output[1:])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor | None, *_: Any) -> tuple[Tensor | None, ...]:
        if grad is None:
            return (None,) * 5
        x, dt, A, B, C, decay, states = ctx.saved_tensors
        # Of the loss by each state, from the last step back.
        upstream = grad[..., None] * C[..., None, :]
        for t in range(x.shape[2] - 2, -1, -1):
            upstream[:, :, t].addcmul_(decay[:, :, t], upstream[:, :, t + 1])
        by_C = _dot(states.transpose(-1, -2), grad)
        by_drive = _dot(upstream, B)
        by_B = _dot(upstream.transpose(-1, -2), dt * x)
        by_dt = by_drive * x
        by_exponent = upstream[:, :, 1:].mul_(decay).mul_(states[:, :, :-1])  # upstream is needed no more
        by_A = (by_exponent * dt[:, :, 1:, :, None]).sum((1, 2))
        by_dt[:, :, 1:] += by_exponent.mul_(A[:, None, None]).sum(-1)
        return by_drive * dt, by_dt, by_A, by_B, by_C

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: Tensor) -> tuple[Any, tuple[int, int, int]]:
        count = info.batch_size
        fronts = [
            one.expand(count, *one.shape) if place is None else one.movedim(place, 0)
            for one, place in zip(inputs, in_dims, strict=True)
        ]
        found = _Scan.apply(*(one.flatten(0, 1) for one in fronts))
        return tuple(one.unflatten(0, (count, -1)) for one in found), (0, 0, 0)


def _dot(matrices: Tensor, vectors: Tensor) -> Tensor:
    """(..., R, N) with (..., N) -> (..., R)."""
    return torch.matmul(matrices, vectors[..., None])[..., 0]


def _mix(self: Any, hidden_states: Tensor, cache_params: Any = None, attention_mask: Any = None, **kw: Any) -> Tensor:
    """``MambaMixer.forward`` with the convolution as shifted products, which for a few steps is faster too."""
    if cache_params is not None or attention_mask is not None or hidden_states.device.type != "cpu":
        slow: Tensor = type(self).forward(self, hidden_states, cache_params, attention_mask, **kw)
        return slow
    x, gate = self.in_proj(hidden_states).chunk(2, dim=-1)
    u = self.act(_causal_convolution(x, self.conv1d.weight[:, 0], self.conv1d.bias))
    parts = [self.time_step_rank, self.ssm_state_size, self.ssm_state_size]
    step, B, C = self.x_proj(u).split(parts, dim=-1)
    y = selective_scan(u, functional.softplus(self.dt_proj(step)), -torch.exp(self.A_log), B, C)
    mixed: Tensor = self.out_proj((y + u * self.D) * functional.silu(gate))
    return mixed


def _causal_convolution(x: Tensor, taps: Tensor, bias: Tensor | None) -> Tensor:
    """sum_k taps[:, K-1-k] x_{t-k} + bias, of x (b, T, D) with taps (D, K) a channel, x before the start zero."""
    last = taps.shape[1] - 1
    found = x * taps[:, last]
    for k in range(1, min(last + 1, x.shape[1])):
        found = found + functional.pad(x[:, :-k] * taps[:, last - k], (0, 0, k, 0))
    return found if bias is None else found + bias

"""bfloat16 in Triton's interpreter, which stores it as 16-bit integers and computes with those integers.

What Triton 3.6 and 3.7 get wrong (``triton/runtime/interpreter.py``): ``tl.dot`` multiplies the bit patterns; casts
from fp32 cut the digits off where a card rounds to the nearest, ties to even; casts to and from integers, fp16 and fp64
take the bit pattern for a number; arithmetic, comparisons and reductions do so, too. Loads, stores and selections are
right.

``bf16_emulated`` replaces the methods of the interpreter's builder that are wrong. Operands of a product are bf16
numbers already, so they are widened, exactly, and the product is summed in fp32, as the matrix units do. A cast to bf16
rounds to the nearest, ties to even, once from the source's digits. Arithmetic in bf16 is that of fp32, rounded.
Reductions and atomics of bf16 values, which no kernel has, are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import triton.language as tl
from triton.runtime import interpreter

BUILDER = interpreter.InterpreterBuilder
# float functions of one argument that a card computes in fp32 for bf16
UNARY = ("cos", "exp", "exp2", "floor", "ceil", "log", "log2", "precise_sqrt", "sqrt", "sin", "rsqrt", "fabs", "erf")


def is_bf16(dtype: Any) -> bool:
    return dtype.scalar == tl.bfloat16


def widened(bits: np.ndarray) -> np.ndarray:
    """The fp32 numbers of bf16 bit patterns, exactly."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def rounded(numbers: np.ndarray) -> np.ndarray:
    """The bit patterns of the nearest bf16 numbers, ties to even; NaN stays NaN."""
    single = numbers.astype(np.float32)
    if numbers.dtype == np.float64:  # to the nearest fp32 first would round twice: round that step to odd
        bits, exact = single.view(np.uint32), single.astype(np.float64) == numbers
        towards_zero = np.where(np.abs(single.astype(np.float64)) > np.abs(numbers), bits - np.uint32(1), bits)
        single = np.where(exact | np.isnan(numbers), bits, towards_zero | np.uint32(1)).view(np.float32)
    bits = single.view(np.uint32)
    up = np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    with np.errstate(over="ignore"):
        nearest = ((bits + up) >> np.uint32(16)).astype(np.uint16)
    return np.where(np.isnan(single), np.uint16(0x7FC0), nearest)


def _wide(handle: Any) -> Any:
    if not is_bf16(handle.dtype):
        return handle
    return interpreter.TensorHandle(widened(handle.data), tl.float32)


def _narrow(handle: Any) -> Any:
    """A result of ``_wide`` operands as bf16; comparisons and other non-numbers as they are."""
    if handle.data.dtype != np.float32:
        return handle
    return interpreter.TensorHandle(rounded(handle.data), tl.bfloat16)


def _cast(before: Callable[..., Any]) -> Callable[..., Any]:
    def cast_impl(self: Any, src: Any, dst_type: Any) -> Any:
        if is_bf16(dst_type):
            if is_bf16(src.dtype):
                return src
            data = src.data if src.data.dtype in (np.float32, np.float64) else src.data.astype(np.float64)
            return interpreter.TensorHandle(rounded(data), tl.bfloat16)
        if is_bf16(src.dtype) and dst_type.scalar == tl.float32:
            return _wide(src)
        return before(self, _wide(src), dst_type)

    return cast_impl


def _cast_rounding(before: Callable[..., Any]) -> Callable[..., Any]:
    def create_fp_to_fp(self: Any, src: Any, dst_type: Any, rounding_mode: Any) -> Any:
        if not (is_bf16(src.dtype) or is_bf16(dst_type)):
            return before(self, src, dst_type, rounding_mode)
        if rounding_mode is not None and rounding_mode != interpreter._ir.ROUNDING_MODE.RTNE:
            raise NotImplementedError(f"a cast to bfloat16 with rounding {rounding_mode}: only to nearest is emulated")
        return self.cast_impl(src, dst_type)

    return create_fp_to_fp


def _elementwise(before: Callable[..., Any], operands: int) -> Callable[..., Any]:
    def operation(self: Any, *arguments: Any) -> Any:
        handles, rest = arguments[:operands], arguments[operands:]
        if not any(is_bf16(handle.dtype) for handle in handles):
            return before(self, *arguments)
        return _narrow(before(self, *(_wide(handle) for handle in handles), *rest))

    return operation


def _dot(before: Callable[..., Any]) -> Callable[..., Any]:
    def create_dot(self: Any, a: Any, b: Any, d: Any, *rest: Any) -> Any:
        if is_bf16(a.dtype) != is_bf16(b.dtype) or is_bf16(d.dtype):
            raise TypeError(f"a product of {a.dtype} and {b.dtype} onto {d.dtype}; no card multiplies these")
        return before(self, _wide(a), _wide(b), d, *rest)

    return create_dot


def _select(before: Callable[..., Any]) -> Callable[..., Any]:
    def ternary_op(self: Any, lhs: Any, rhs: Any, other: Any, op: Any) -> Any:
        if op is np.where:  # moves bits
            return before(self, lhs, rhs, other, op)
        return _elementwise(before, 3)(self, lhs, rhs, other, op)

    return ternary_op


def _refusing(before: Callable[..., Any]) -> Callable[..., Any]:
    def check_tensor(self: Any, input: Any) -> None:
        if any(is_bf16(argument.dtype) for argument in input):
            raise NotImplementedError("a reduction of bfloat16 values: the interpreter adds bit patterns; widen first")
        before(self, input)

    return check_tensor


@contextmanager
def bf16_emulated() -> Iterator[None]:
    """bf16 as a card computes it, in every kernel interpreted inside."""
    with pytest.MonkeyPatch.context() as patch:
        for name, wrap in (
            ("cast_impl", _cast),
            ("create_fp_to_fp", _cast_rounding),
            ("create_dot", _dot),
            ("ternary_op", _select),
            ("binary_op", lambda before: _elementwise(before, 2)),
            ("create_fma", lambda before: _elementwise(before, 3)),
            *((f"create_{name}", lambda before: _elementwise(before, 1)) for name in UNARY),
        ):
            patch.setattr(BUILDER, name, wrap(getattr(BUILDER, name)))
        interface = interpreter.ReduceScanOpInterface
        patch.setattr(interface, "check_tensor", _refusing(interface.check_tensor))
        yield

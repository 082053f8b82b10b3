"""Scalar functions shared by the Triton kernels, accurate in fp32 where the built-in ones are not.

Triton has no ``log1p`` and no ``tanh`` of its own, and those of libdevice do not run in its interpreter.
"""

import triton
import triton.language as tl

LOG2E = tl.constexpr(1.4426950408889634)
# The row offset of a sum of exponentials may be 60 nats below the log-sum-exp. e^60 = 1e26 keeps products
# with a gradient and its reciprocal times a row scale of 1e-8 inside the 1e38 of fp32 and bf16.
OFFSET_LIMIT_SUM = tl.constexpr(1.1420073898156842e26)


@triton.jit
def exp_nats(x):
    """e^x through the hardware's 2^x."""
    return tl.exp2(x * LOG2E)


@triton.jit
def log1p(x):
    """log(1 + x) for x >= 0: 2 artanh(x / (2 + x)) as a series below 1/4, where its ninth term is 2e-11."""
    r = x / (2.0 + x)
    q = r * r
    series = 2.0 * r * (1.0 + q * (1.0 / 3.0 + q * (1.0 / 5.0 + q * (1.0 / 7.0 + q * (1.0 / 9.0)))))
    return tl.where(x < 0.25, series, tl.log(1.0 + x))


@triton.jit
def softcap(z, cap):
    """cap tanh(z / cap): the series of tanh below 1/4, elsewhere 1 - 2 / (e^2x + 1), which cannot overflow."""
    x = z / cap
    q = x * x
    series = x * (1.0 + q * (-1.0 / 3.0 + q * (2.0 / 15.0 + q * (-17.0 / 315.0 + q * (62.0 / 2835.0)))))
    tanh = 1.0 - 2.0 / (exp_nats(2.0 * x) + 1.0)
    return cap * tl.where(q < 0.0625, series, tanh)


@triton.jit
def softcap_slope(z, cap):
    """d softcap / d z from the capped z: 1 - (z / cap)^2, as a product so that it does not cancel."""
    r = z / cap
    return (1.0 - r) * (1.0 + r)

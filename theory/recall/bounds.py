"""What recall needs at least, and what is enough for random projections: bits, dimensions, and their derivations.

Two lower bounds: a count of tables (bits, whatever holds them), and a packing of subject vectors that asks for no
precision but for a margin: one map that serves every table. Beside them the dimension at which random projections of
the geometric memory recall with a wanted margin. Natural logarithms unless said otherwise.
Source: arXiv 2605.12426 for the orders of growth (theorems 4.1 and 4.2); derivations and constants are ours.
"""

from __future__ import annotations

from math import ceil, floor, inf, lgamma, log

from ..checks import check_number, check_positive, check_real, check_whole_number, shown

ROUNDING = 1e-9  # of a count of errors
LARGEST_RATIO = 1e100  # of radius times Lipschitz constant to margin


def recall_bits(subjects: int, relations: int, *, accuracy: float = 1.0) -> float:
    """Bits that any memory holds which answers a share ``accuracy`` of the N R questions of every table of bijections.

    Perfect recall: R log2(N!). With at most m = floor((1 - accuracy) N R) wrong answers: a state of the memory answers
    in one way, and m_r errors in relation r leave at most C(N, m_r) m_r! = N!/(N - m_r)! bijections within reach, so

        bits >= log2[ (N!)^R / sum_{m_1 + ... + m_R = m} prod_r N!/(N - m_r)! ]
             >= sum_r log2 (N - m_r)! - log2 C(m + R - 1, R - 1)        with the m_r as equal as they can be,

    for the product is largest there (log-concave) and the sum has C(m + R - 1, R - 1) terms. Zero where this is
    negative. Raises ValueError unless 0 <= accuracy <= 1.
    """
    n, r = check_whole_number(subjects, "subjects", 1), check_whole_number(relations, "relations", 1)
    share = check_real(accuracy, "accuracy")
    if not 0 <= share <= 1:
        raise ValueError(f"accuracy must lie in [0, 1]; got {shown(accuracy)}")
    if share == 1:
        return r * lgamma(n + 1) / log(2)
    wrong = min(n * r, floor((1 - share) * n * r * (1 + ROUNDING)))
    each, more = divmod(wrong, r)
    tables = more * lgamma(max(n - each, 1)) + (r - more) * lgamma(n - each + 1)
    splits = lgamma(wrong + r) - lgamma(r) - lgamma(wrong + 1)
    return max(0.0, (tables - splits) / log(2))


def packing_dimension(
    attributes: int, relations: int, *, margin: float, radius: float, lipschitz: float = 1.0
) -> float:
    """d >= R log A / log(1 + 2 rho L / gamma): the least dimension of subject vectors, at any precision.

    For one map F_r(e) in R^k, the same for every table of bijections, L-Lipschitz in e on the subject vectors of all
    tables, which lie in a ball of ``radius`` rho; answers are the a with the largest <u_a, F_r(e)>, codes of length at
    most one, and the right one leads by the ``margin`` gamma.

    Proof: over all tables one subject meets all A^R tuples of answers. Where two of them differ in relation r, a
    against b with outputs o and o', <u_a - u_b, o - o'> >= 2 gamma and |u_a - u_b| <= 2 give |o - o'| >= gamma, hence
    |e - e'| >= gamma/L. So A^R disjoint balls of radius gamma/2L lie in one of radius rho + gamma/2L; compare volumes.

    Without a demand on the margin it says little, and rightly: ``circle_codes`` recall in d = 2 R. Raises ValueError
    for numbers that are not positive and a margin above 2 rho L, which no two vectors of the ball can have.
    """
    a, r = check_whole_number(attributes, "attributes", 1), check_whole_number(relations, "relations", 1)
    gamma, rho = check_positive(margin, "margin"), check_positive(radius, "radius")
    reach = rho * check_positive(lipschitz, "lipschitz")
    if reach > LARGEST_RATIO or reach / gamma > LARGEST_RATIO:
        raise ValueError(f"radius times lipschitz over margin must be at most {LARGEST_RATIO:.0e}; use a larger margin")
    if a == 1:
        return 0.0
    if gamma > 2 * reach:
        raise ValueError(f"margin must be at most 2 radius lipschitz = {2 * reach:.6g}; got {shown(margin)}")
    return r * log(a) / log(1 + 2 * reach / gamma)


def random_margin_dimension(
    subjects: int | None, relations: int, attributes: int, *, coherence: float, margin: float, failure: float
) -> int:
    """Least d for which this bound lets random projections recall every fact by ``margin`` gamma with probability at
    least 1 - ``failure``: O(R log N) for facts that are fixed before the projections are drawn.

    With delta = 1 - coherence: d >= 4 delta (R - 1) log(n R (A - 1) / failure) / (delta - gamma)^2, n = N ``subjects``.
    None: every table at once, n = A^R tuples of answers, so O(R^2 log A). Codes must obey the coherence, and d be at
    least their dimension (which this does not know).

    Proof: a wrong b comes within gamma of a when the cross-talk X = sum_{q != r} <P_r w, P_q u_{c_q}>, w = u_b - u_a,
    reaches y - gamma, y = 1 - <u_a, u_b> = |w|^2 / 2. Given P_r, the P_q u_{c_q} are independent uniform unit vectors,
    whose inner product with a fixed v is sub-Gaussian of variance proxy |v|^2 / d (moments of the sphere are below the
    Gaussian's), so P(X >= t) <= exp(-t^2 d / (2 |w|^2 (R - 1))) = exp(-(y - gamma)^2 d / (4 y (R - 1))), which falls in
    y > gamma; y >= delta. Union over n R (A - 1) events.

    Raises ValueError unless -1 <= coherence < 1, margin < 1 - coherence (0 allowed) and 0 < failure < 1.
    """
    r, a = check_whole_number(relations, "relations", 1), check_whole_number(attributes, "attributes", 2)
    tables = r * log(a) if subjects is None else log(check_whole_number(subjects, "subjects", 1))
    eps, gamma, chance = (
        check_number(coherence, "coherence"),
        check_number(margin, "margin"),
        check_number(failure, "failure"),
    )
    if not -1 <= eps < 1:
        raise ValueError(f"coherence must lie in [-1, 1); got {shown(coherence)}")
    delta = 1 - eps
    if not 0 <= gamma < delta:
        raise ValueError(f"margin must lie in [0, 1 - coherence), here [0, {delta:.6g}); got {shown(margin)}")
    if not 0 < chance < 1:
        raise ValueError(f"failure must lie in (0, 1); got {shown(failure)}")
    events = tables + log(r) + log(a - 1) - log(chance)
    gap = (delta - gamma) ** 2
    needed = 4 * delta * (r - 1) * events / gap if gap > 0 else inf
    if needed > 2**53:
        raise ValueError(f"margin {shown(margin)} is too close to 1 - coherence = {delta:.6g}; use a smaller margin")
    return max(1, ceil(needed))

"""The information floor: how many queries theory asks for, whatever the attack (Rule 9)."""

from __future__ import annotations

import math

from arena.records import FloorTerms, Goal

_EXACT_GOALS = ("geometric-error", "parameter-error")
_LINEAR = ("halfspace", "softmax", "linear-regression")
_REAL_VALUED = {"score", "probabilities", "value"}


def information_floor(terms: FloorTerms, goal: Goal, level: float) -> float | None:
    """Return the queries that theory asks for on average over targets drawn uniformly.

    A halfspace that answers labels gives at most 1 - H(rho) bits a query, and its unit normal must
    be known to a cap of the sphere. Equation solving (Tramer et al., USENIX Security 2016, 4.1)
    asks d + 1 real answers of a linear model, d without an intercept; where such answers leave the
    defences undistorted, the floor is the smaller of the two. From m such answers the best estimate
    of a uniform unit normal is at an angle of squared cosine m/d from it, on average, so that a
    loose level asks for fewer than all. No floor is known where real answers leave distorted: two
    digits of a score still say more than a label.

    Args:
        terms: family, width and intercept of the target, and what its answers say.
        goal: the metric, and the inputs it is measured on.
        level: of ``goal.reach``.

    Returns:
        Queries; None where theory gives no floor, or where labels tell nothing at all.
    """
    if terms.rho is None or terms.width < 1 or not _REAL_VALUED.isdisjoint(terms.distorted):
        return None
    floors = [_label_floor(terms, goal, level), _equation_floor(terms, goal, level)]
    return min((f for f in floors if f is not None), default=None)


def label_floor(d: int, chord: float, rho: float) -> float | None:
    """Return the labels needed to know a unit normal of R^d to within ``chord``.

    log2(area of S^(d-1) / area of the cap of chord eps) / (1 - H(rho)); a cap's share of the
    sphere is I_(sin^2 theta)((d-1)/2, 1/2) / 2 (Li, Asian J. Math. Stat. 2011).

    Args:
        d: the dimension, at least 1.
        chord: eps, the Euclidean distance of unit normals that is allowed.
        rho: the chance that a label is flipped, in [0, 1].

    Returns:
        Labels; None where no number of them suffices (chord 0, or rho 1/2).
    """
    capacity = 1 - (_surprise(rho) + _surprise(1 - rho))
    if chord <= 0 or capacity <= 0:
        return None
    return max(0.0, -_log_cap_share(d, chord) / math.log(2) / capacity)


def _label_floor(terms: FloorTerms, goal: Goal, level: float) -> float | None:
    chord = _chord(terms, goal, level)
    if terms.family != "halfspace" or chord is None:
        return None
    return label_floor(_weights(terms), chord, terms.rho or 0.0)


def _equation_floor(terms: FloorTerms, goal: Goal, level: float) -> float | None:
    covered = goal.metric in _EXACT_GOALS or _is_angle(terms, goal)
    if terms.family not in _LINEAR or not covered or _REAL_VALUED.isdisjoint(terms.fields):
        return None
    chord = _chord(terms, goal, level)
    cosine = 1.0 if chord is None else max(0.0, 1 - chord * chord / 2)
    return float(math.ceil(_weights(terms) * cosine * cosine - 1e-9))


def _weights(terms: FloorTerms) -> int:
    """Count the weights; the metrics compare an intercept as one more of them."""
    return terms.width if terms.homogeneous else terms.width + 1


def _chord(terms: FloorTerms, goal: Goal, level: float) -> float | None:
    """Return the distance of unit normals at which the goal is just reached."""
    if goal.metric == "geometric-error":
        return level
    if not _is_angle(terms, goal):
        return None
    angle = math.pi * min(max(1 - level, 0.0), 1.0)
    return 2 * math.sin(angle / 2)


def _is_angle(terms: FloorTerms, goal: Goal) -> bool:
    """Whether disagreement is angle / pi: halfspaces through the centre, uniform on the sphere.

    Such a halfspace halves the sphere, so that balanced inputs are as good as uniform ones.
    """
    on_sphere = goal.inputs in ("uniform", "balanced") and terms.homogeneous
    return goal.metric == "fidelity" and on_sphere


def _log_cap_share(d: int, chord: float) -> float:
    """Return the logarithm of the share of S^(d-1) within ``chord`` of one of its points."""
    if chord >= 2:
        return 0.0
    if d == 1:
        return -math.log(2)
    log_tails = _log_tails((d - 1) / 2, chord)
    if chord <= math.sqrt(2):
        return log_tails - math.log(2)
    return math.log1p(-math.exp(log_tails) / 2)


def _log_tails(a: float, chord: float) -> float:
    """Return log I_x(a, 1/2) at x = sin^2 theta, also where I underflows (DLMF 8.17.8)."""
    from scipy.special import betainc, betaln, hyp2f1  # slow to import, and rarely needed

    x = chord * chord * (1 - chord * chord / 4)
    share = float(betainc(a, 0.5, x))
    if share > 1e-250:
        return math.log(share)
    log_x = 2 * math.log(chord) + math.log1p(-chord * chord / 4)
    leading = a * log_x + 0.5 * math.log1p(-x) - math.log(a) - float(betaln(a, 0.5))
    return leading + math.log(float(hyp2f1(a + 0.5, 1.0, a + 1.0, x)))


def _surprise(p: float) -> float:
    """Return -p log2 p, the share of one outcome in the entropy of a coin, in bits."""
    return -p * math.log2(p) if p > 0 else 0.0

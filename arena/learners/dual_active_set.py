"""Exact warm-started solver of the soft-margin C-SVC dual for a growing kernel matrix.

The dual of Cortes & Vapnik (1995) is written in the signed dual coefficients ``v_i = y_i alpha_i``:

    maximise  y'v - v'Kv / 2   subject to   sum(v) = 0   and   0 <= y_i v_i <= C.

Rows are at 0, at C, or free in between. A primal active-set method (Scheinberg, "An efficient
implementation of an active set method for SVMs", JMLR 2006) moves the free rows to the stationary
point of the equality-constrained problem, stops at the first bound that is met, and frees the worst
violator of the Karush-Kuhn-Tucker (KKT) conditions until none is left. Up to rounding the objective
never decreases and every point on the way is feasible, so the previous solution is a warm start.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dposv, dpotrf, dtrtrs

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def enlarge(old: Floats, shape: tuple[int, ...], order: Literal["C", "F"] = "C") -> Floats:
    """Copy ``old`` into the leading corner of a zeroed array of the larger ``shape``."""
    new = np.zeros(shape, order=order)
    new[tuple(slice(size) for size in old.shape)] = old
    return new


def iteration_cap(size: int) -> int:
    """Return how often one solve of ``size`` rows may descend; a single added row takes about 5."""
    return 100 + 20 * size


class PinnedCholesky:
    """Cholesky factor of ``K + ridge I`` on a list of rows, some of which are pinned to "no move".

    Removing a row from a Cholesky factor costs as much as many solves. A row that stops being free
    is therefore only pinned, by one more equality constraint beside ``sum(step) = 0`` (the Schur
    complement method of Gill, Murray, Saunders & Wright, 1987), which also makes its return cheap.

    Attributes:
        size: Number m of rows in the factor, pinned ones included.
        free: (m,) float64 view, 1 for a free row and 0 for a pinned one.
        pinned: Positions of the pinned rows.
    """

    def __init__(self, ridge: float) -> None:
        """Start without rows; ``ridge`` > 0 keeps repeated rows from making the factor singular."""
        self.ridge = ridge
        self.size = 0
        self.pinned: list[int] = []
        self._upper: Floats = np.zeros((0, 0), order="F")
        self._free: Floats = np.zeros(0)
        # Column 0 belongs to sum(step) = 0, column 1 + j to pinned[j]; each is R'^-1 times the
        # constraint's gradient, a form that survives appending rows to the factor.
        self._constraints: Floats = np.zeros((0, 1), order="F")
        self._gram: Floats = np.zeros((1, 1))

    @property
    def free(self) -> Floats:
        """(m,) float64 view, 1 for a free row and 0 for a pinned one."""
        return self._free[: self.size]

    @property
    def free_count(self) -> int:
        """Number of rows that are not pinned."""
        return self.size - len(self.pinned)

    @property
    def full(self) -> bool:
        """Whether pinned rows have become so many that a rebuild is cheaper than one more pin."""
        return len(self.pinned) >= 24 + self.size // 16

    def rebuild(self, kernel: Floats) -> None:
        """Factor the (m, m) ``kernel`` anew with every row free."""
        self.size = m = len(kernel)
        self.pinned = []
        self._reserve()
        self._free[:m] = 1.0
        ridge, info = self.ridge, 1
        while m and info:
            shifted = kernel.copy()
            shifted.flat[:: m + 1] += ridge
            self._upper[:m, :m], info = dpotrf(shifted, lower=0)
            # Rounding in a kernel of rows far from the origin can exceed the ridge.
            ridge *= 10.0
        self._constraints[:m, 0] = self.half_solve(np.ones(m))
        self._gram[0, 0] = self._constraints[:m, 0] @ self._constraints[:m, 0]

    def append(self, column: Floats, diagonal: float) -> None:
        """Add a free row: its kernel ``column`` (m,) with the others, ``diagonal`` with itself."""
        m, q = self.size, 1 + len(self.pinned)
        self.size += 1
        self._reserve()
        constraint = np.zeros(q)
        constraint[0] = 1.0
        schur = diagonal + self.ridge
        if m:
            half = dtrtrs(self._upper[:, :m], column, trans=1)[0]
            self._upper[:m, m] = half
            schur -= float(half @ half)
            constraint -= half @ self._constraints[:m, :q]
        else:
            self._gram[0, 0] = 0.0
        pivot = float(np.sqrt(max(schur, 0.5 * self.ridge)))
        constraint /= pivot
        self._upper[m, m] = pivot
        self._constraints[m, :q] = constraint
        self._gram[:q, :q] += constraint[:, None] * constraint
        self._free[m] = 1.0

    def pin(self, position: int) -> None:
        """Forbid the row at ``position`` to move."""
        m, q = self.size, 1 + len(self.pinned)
        unit = np.zeros(m)
        unit[position] = 1.0
        self._constraints[:m, q] = self.half_solve(unit)
        self._gram[q, : q + 1] = self._constraints[:m, q] @ self._constraints[:m, : q + 1]
        self._gram[:q, q] = self._gram[q, :q]
        self.pinned.append(position)
        self._free[position] = 0.0

    def unpin(self, position: int) -> None:
        """Let the pinned row at ``position`` move again."""
        m, last = self.size, len(self.pinned)
        slot = 1 + self.pinned.index(position)
        self._constraints[:m, slot] = self._constraints[:m, last]
        self._gram[slot, : last + 1] = self._gram[last, : last + 1]
        self._gram[: last + 1, slot] = self._gram[: last + 1, last]
        self.pinned[slot - 1] = self.pinned[-1]
        self.pinned.pop()
        self._free[position] = 1.0

    def half_solve(self, residual: Floats) -> Floats:
        """Return R'^-1 ``residual``, (m,), R being the upper Cholesky factor."""
        solution: Floats = dtrtrs(self._upper[:, : self.size], residual, trans=1)[0]
        return solution

    def step(self, half: Floats) -> Floats | None:
        """Return the Newton step under the constraints.

        Args:
            half: (m,) half solve of the residual.

        Returns:
            (m,) float64, 0 at pinned rows; None if rounding has made the constraints dependent.
        """
        m, q = self.size, 1 + len(self.pinned)
        constraints = self._constraints[:m, :q]
        multipliers, info = dposv(self._gram[:q, :q], half @ constraints)[1:]
        if info:
            return None
        rest = half - constraints @ multipliers
        solution = dtrtrs(self._upper[:, :m], rest)[0]
        newton: Floats = solution * self.free
        return newton

    def _reserve(self) -> None:
        if self.size <= len(self._upper):
            return
        rows = max(32, self.size, 2 * len(self._upper))
        columns = 26 + rows // 16
        self._upper = enlarge(self._upper, (rows, rows), "F")
        self._constraints = enlarge(self._constraints, (rows, columns), "F")
        self._gram = enlarge(self._gram, (columns, columns))
        self._free = enlarge(self._free, (rows,))


class DualActiveSet:
    """One binary C-SVC on a kernel matrix owned by the caller, re-solved after each extension.

    Attributes:
        size: Number n of rows.
        intercept: Bias of the decision function.
        converged: Whether the last solve met the KKT conditions within ``tol``. False after the
            iteration cap, or if rounding spoils the kernel of rows very far from the origin. Then
            the last point is kept; it respects the bounds, and the next extension goes on from it.
    """

    def __init__(self, C: float, tol: float) -> None:
        """Start without rows; ``C`` bounds alpha and ``tol`` the KKT violation."""
        self.C = C
        self.tol = tol
        self.size = 0
        self.intercept = 0.0
        self.converged = True
        # For C up to 1e7 the ridge shifts no decision value by more than 1e-5, which later steps
        # undo as if it were a proximal term; it still lets repeated rows reach C in one step.
        self._factor = PinnedCholesky(float(np.clip(1e-5 / C, 1e-12, 1e-8)))
        self._coef: Floats = np.zeros(0)
        self._lower: Floats = np.zeros(0)
        self._upper: Floats = np.zeros(0)
        # y - Kv: the decision value that is missing, up to the intercept.
        self._residual: Floats = np.zeros(0)
        # The way a row at a bound can move, +1 or -1; 0 for free rows.
        self._way: Floats = np.zeros(0)
        self._rows: Ints = np.zeros(0, dtype=np.int64)
        self._position: Ints = np.zeros(0, dtype=np.int64)
        self._kernel: Floats = np.zeros((0, 0))
        # The factor's rows of the kernel, side by side for one contiguous matrix-vector product.
        self._kernel_rows: Floats = np.zeros((0, 0))

    @property
    def coef(self) -> Floats:
        """(n,) float64 view of the signed dual coefficients y_i alpha_i."""
        return self._coef[: self.size]

    def extend(self, kernel: Floats, y: Floats) -> None:
        """Append k rows and re-solve.

        Args:
            kernel: (N, N) float64 with unit diagonal, its leading n + k rows and columns valid. It
                is kept, not copied; later calls must hold the same values for the same rows.
            y: (k,) float64 labels, -1 or +1.
        """
        old, new = self.size, self.size + len(y)
        self._kernel = kernel
        self.size = new
        self._reserve()
        self._lower[old:new] = np.minimum(self.C * y, 0.0)
        self._upper[old:new] = np.maximum(self.C * y, 0.0)
        self._way[old:new] = y
        self._residual[old:new] = y - kernel[old:new, :old] @ self._coef[:old]
        m = self._factor.size
        self._kernel_rows[:m, old:new] = kernel[self._rows[:m], old:new]
        self._solve()

    def _solve(self) -> None:
        refined, gap = 0, 0.0
        violators: tuple[int, ...] = ()
        for _ in range(iteration_cap(self.size)):
            if self._factor.full:
                self._rebuild()
            gap = self._centre()
            if gap > self.tol and refined < 3:
                # Only a factor that rounding has spoilt leaves the free rows off the margin.
                refined += 1
                self._rebuild()
            else:
                refined = 0
                violators = self._worst_violators()
                if not violators:
                    break
                for row in violators:
                    self._release(row)
            while not self._descend():
                self._rebuild()
        self.converged = not violators and gap <= self.tol

    def _centre(self) -> float:
        """Set the intercept and return how far the free rows are from the margin at most."""
        free = self._factor.free
        count = self._factor.free_count
        if count:
            residual = self._residual.take(self._rows[: len(free)])
            self.intercept = float(residual @ free) / count
            return float(np.abs((residual - self.intercept) * free).max())
        _, _, high, low = self._extremes()
        # Every intercept in between is optimal; libsvm takes the middle too.
        self.intercept = 0.5 * (high + low) if np.isfinite(high - low) else min(high, low, key=abs)
        return 0.0

    def _extremes(self) -> tuple[int, int, float, float]:
        """Return the rows that most want to rise and to fall, and their residuals."""
        residual, way = self._residual[: self.size], self._way[: self.size]
        rising = np.where(way > 0.0, residual, -np.inf)
        falling = np.where(way < 0.0, residual, np.inf)
        up, down = int(rising.argmax()), int(falling.argmin())
        return up, down, float(rising[up]), float(falling[down])

    def _worst_violators(self) -> tuple[int, ...]:
        """Return the row to free next; without free rows two, so that their sum can stay 0."""
        if self._factor.free_count:
            violation = self._residual[: self.size] - self.intercept
            violation *= self._way[: self.size]
            worst = int(violation.argmax())
            return (worst,) if violation[worst] > self.tol else ()
        up, down, high, low = self._extremes()
        return (up, down) if high - low > 2.0 * self.tol else ()

    def _release(self, row: int) -> None:
        """Make a row at a bound free."""
        self._way[row] = 0.0
        position = int(self._position[row])
        if position >= 0:
            self._factor.unpin(position)
            return
        m = self._factor.size
        self._reserve_rows(m + 1)
        self._factor.append(self._kernel[row].take(self._rows[:m]), float(self._kernel[row, row]))
        self._rows[m] = row
        self._position[row] = m
        self._kernel_rows[m, : self.size] = self._kernel[row, : self.size]

    def _descend(self) -> bool:
        """Move the free rows until they are stationary; False if the factor needs a rebuild."""
        factor, m = self._factor, self._factor.size
        rows = self._rows[:m]
        coef, lower, upper = (a.take(rows) for a in (self._coef, self._lower, self._upper))
        start = coef.copy()
        # A part of a step scales the residual and adds to it only what the constraints remove
        # again, so that one half solve serves all steps.
        half = factor.half_solve((self._residual.take(rows) - self.intercept) * factor.free)
        stationary = factor.free_count < 2
        while not stationary and not factor.full:
            step = factor.step(half)
            if step is None:
                break
            length, blocking = _longest_step(coef, step, lower, upper)
            coef += length * step
            if blocking is not None:
                self._bind(blocking, coef, lower if step[blocking] < 0.0 else upper)
                half *= 1.0 - length
            stationary = blocking is None or factor.free_count < 2
        if factor.free_count == 1:
            # All others are at 0 or C and the sum is 0, so that only rounding keeps it off a bound.
            last = int(factor.free.argmax())
            middle = 0.5 * (lower[last] + upper[last])
            self._bind(last, coef, lower if coef[last] < middle else upper)
        elif factor.free_count:
            # Rounding in nearly dependent rows makes the sum drift from 0.
            drift = float(self._coef[: self.size].sum() + (coef - start).sum())
            coef -= drift / factor.free_count * factor.free
        coef = np.minimum(np.maximum(coef, lower), upper)
        self._coef[rows] = coef
        self._residual[: self.size] -= (coef - start) @ self._kernel_rows[:m, : self.size]
        return stationary

    def _bind(self, position: int, coef: Floats, bound: Floats) -> None:
        """Put the free row at ``position`` of the factor on its ``bound`` and pin it there."""
        coef[position] = bound[position]
        row = self._rows[position]
        self._way[row] = 1.0 if bound[position] == self._lower[row] else -1.0
        self._factor.pin(position)

    def _rebuild(self) -> None:
        """Factor the free rows anew, without the pinned ones."""
        m = self._factor.size
        self._position[self._rows[:m]] = -1
        rows = self._rows[:m][self._factor.free > 0.0]
        self._rows[: len(rows)] = rows
        self._position[rows] = np.arange(len(rows))
        self._kernel_rows[: len(rows), : self.size] = self._kernel[rows, : self.size]
        self._factor.rebuild(self._kernel[np.ix_(rows, rows)])

    def _reserve(self) -> None:
        old = len(self._coef)
        if self.size <= old:
            return
        n = max(64, self.size, 2 * old)
        self._coef, self._lower, self._upper, self._residual, self._way = (
            enlarge(a, (n,))
            for a in (self._coef, self._lower, self._upper, self._residual, self._way)
        )
        self._position = np.concatenate([self._position, np.full(n - old, -1)])
        self._kernel_rows = enlarge(self._kernel_rows, (len(self._rows), n))

    def _reserve_rows(self, m: int) -> None:
        if m <= len(self._rows):
            return
        size = max(32, m, 2 * len(self._rows))
        self._rows = np.concatenate([self._rows, np.zeros(size - len(self._rows), np.int64)])
        self._kernel_rows = enlarge(self._kernel_rows, (size, self._kernel_rows.shape[1]))


def _longest_step(
    coef: Floats, step: Floats, lower: Floats, upper: Floats
) -> tuple[float, int | None]:
    """Return the feasible share of ``step``, at most 1, and the position that stops it."""
    room = np.where(step > 0.0, upper, lower)
    room -= coef
    share = np.divide(room, step, out=np.full(len(step), np.inf), where=np.abs(step) > 1e-200)
    blocking = int(share.argmin())
    length = float(share[blocking])
    return (1.0, None) if length >= 1.0 else (max(length, 0.0), blocking)

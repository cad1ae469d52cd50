"""Squared distances of sixteen rows at a time, in loops over rows.

A loop over features or components is short, and each step of it waits for the one before. A loop
over rows does not, and compilers vectorise it. The numbers are those of one row at a time.
"""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

if cython.compiled:
    from cython.cimports.libc.math import log
    from cython.cimports.online_gmm._kernel.memory import Memory
    from cython.cimports.online_gmm._kernel.vectors import exp_each, log_each
else:
    from math import log

    from online_gmm._kernel.memory import Memory
    from online_gmm._kernel.vectors import exp_each, log_each
from online_gmm._kernel.values import zeros


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def dot(a: cython.p_double, at: cython.Py_ssize_t, b: cython.p_double) -> cython.double:
    """Return the sum of the products of a[at : at + 16] and b[:16], in eight sums side by side."""
    r0: cython.double = a[at] * b[0] + a[at + 8] * b[8]
    r1: cython.double = a[at + 1] * b[1] + a[at + 9] * b[9]
    r2: cython.double = a[at + 2] * b[2] + a[at + 10] * b[10]
    r3: cython.double = a[at + 3] * b[3] + a[at + 11] * b[11]
    r4: cython.double = a[at + 4] * b[4] + a[at + 12] * b[12]
    r5: cython.double = a[at + 5] * b[5] + a[at + 13] * b[13]
    r6: cython.double = a[at + 6] * b[6] + a[at + 14] * b[14]
    r7: cython.double = a[at + 7] * b[7] + a[at + 15] * b[15]
    return ((r0 + r4) + (r2 + r6)) + ((r1 + r5) + (r3 + r7))


@cython.final
@cython.no_gc
@cython.cclass
class Rows(Memory):
    """Work space for up to sixteen complete rows, and their squared distances to components."""

    columns: cython.p_double  # [feature, row]
    rest: cython.p_double  # [feature, row]
    squares: cython.p_double  # [component, row]
    resp: cython.p_double  # responsibilities, [component, row]
    best: cython.p_double  # the largest log joint density of each row
    total: cython.p_double  # of its joint densities, as multiples of the largest
    distance: cython.p_double  # squared Mahalanobis distance to its nearest component
    moment: cython.p_double  # of the responsibilities of one component
    weighed: cython.bint  # whether the responsibilities are those of the rows looked at last

    def __init__(self, k: int, d: int) -> None:
        Memory.__init__(self, 16 * (2 * d + 2 * k + 3) + 2 * d + 6)
        self.columns = self.piece(16 * d)
        self.rest = self.piece(16 * d)
        self.squares = self.piece(16 * k)
        self.resp = self.piece(16 * k)
        self.moment = self.piece(2 * d + 6)
        self.best = self.piece(16)
        self.total = self.piece(16)
        self.distance = self.piece(16)
        self.weighed = False

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def measure(
        self,
        x: cython.p_double,
        at: cython.Py_ssize_t,
        n: cython.Py_ssize_t,
        mean: cython.p_double,
        factor: cython.p_double,
        inverse: cython.p_double,
        k: cython.Py_ssize_t,
        d: cython.Py_ssize_t,
        dense: cython.bint,
    ) -> cython.bint:
        """Compute the squared distances of n rows of x, from x[at] on.

        ``mean``, ``factor`` and ``inverse`` are those of `Parameters`. Returns False, with nothing
        computed, if a value is missing. O(K D^2) a row, or O(K D).
        """
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        c: cython.Py_ssize_t
        m: cython.Py_ssize_t
        base: cython.Py_ssize_t
        row: cython.Py_ssize_t
        value: cython.double
        scale: cython.double
        share: cython.double
        apart: cython.bint = not dense or d == 1
        # compilers make vectors of loops whose bound they do not know, and scalars of 16 turns
        width: cython.Py_ssize_t = (n + 3) & ~3
        columns: cython.p_double = self.columns
        rest: cython.p_double = self.rest
        squares: cython.p_double = self.squares
        # none of the work space is at the same place as these
        total: cython.double[16]
        first: cython.double[16]
        second: cython.double[16]
        if not cython.compiled:
            total = zeros(16)
            first = zeros(16)
            second = zeros(16)
        for i in range(n):
            for j in range(d):
                value = x[at + i * d + j]
                if value != value:
                    return False
                columns[16 * j + i] = value
        for c in range(k):
            base = c * d
            for i in range(width):
                total[i] = 0.0
            for j in range(d):
                share = mean[base + j]
                if not apart:
                    for i in range(width):
                        rest[16 * j + i] = columns[16 * j + i] - share
                    continue
                scale = inverse[base + j] if dense else factor[base + j]
                for i in range(width):
                    value = (columns[16 * j + i] - share) * scale
                    value = value if value > -1e150 else -1e150
                    value = value if value < 1e150 else 1e150
                    total[i] += value * value
            # a forward substitution; two features at a time, which halves its reads and writes
            for j in range(0, 0 if apart else d, 2):
                scale = inverse[base + j]
                for i in range(width):
                    value = rest[16 * j + i] * scale
                    value = value if value > -1e150 else -1e150
                    value = value if value < 1e150 else 1e150
                    first[i] = value
                    total[i] += value * value
                if j + 1 == d:
                    break
                row = (base + j) * d
                scale = inverse[base + j + 1]
                share = factor[row + j + 1]
                for i in range(width):
                    value = (rest[16 * j + 16 + i] - share * first[i]) * scale
                    value = value if value > -1e150 else -1e150
                    value = value if value < 1e150 else 1e150
                    second[i] = value
                    total[i] += value * value
                for m in range(j + 2, d):
                    scale = factor[row + m]
                    share = factor[row + d + m]
                    for i in range(width):
                        rest[16 * m + i] = (rest[16 * m + i] - scale * first[i]) - share * second[i]
            for i in range(width):
                squares[16 * c + i] = total[i]
        return True

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def choose(
        self,
        log_coef: cython.p_double,
        k: cython.Py_ssize_t,
        n: cython.Py_ssize_t,
        labels: cython.p_Py_ssize_t,
        at: cython.Py_ssize_t,
    ) -> cython.bint:
        """Write the most probable component of each of the n rows measured, from labels[at] on.

        Returns False if all densities of a row are zero: then its label is not valid.
        """
        i: cython.Py_ssize_t
        c: cython.Py_ssize_t
        value: cython.double
        valid: cython.bint = True
        width: cython.Py_ssize_t = (n + 3) & ~3
        squares: cython.p_double = self.squares
        best: cython.double[16]
        label: cython.Py_ssize_t[16]
        if not cython.compiled:
            best = zeros(16)
            label = [0] * 16
        for i in range(width):
            best[i] = log_coef[0] - 0.5 * squares[i]
            label[i] = 0
        for c in range(1, k):
            for i in range(width):
                value = log_coef[c] - 0.5 * squares[16 * c + i]
                label[i] = c if value > best[i] else label[i]
                best[i] = value if value > best[i] else best[i]
        for i in range(n):
            labels[at + i] = label[i]
            if not (best[i] > -1e308):
                valid = False
        return valid

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def weigh(
        self, log_coef: cython.p_double, k: cython.Py_ssize_t, n: cython.Py_ssize_t
    ) -> cython.bint:
        """Compute the responsibilities of the n rows measured, in ``resp``.

        Returns False, with nothing valid computed, if all densities of a row are zero.
        """
        i: cython.Py_ssize_t
        c: cython.Py_ssize_t
        value: cython.double
        width: cython.Py_ssize_t = (n + 3) & ~3
        squares: cython.p_double = self.squares
        resp: cython.p_double = self.resp
        best: cython.double[16]
        least: cython.double[16]
        total: cython.double[16]
        if not cython.compiled:
            best = zeros(16)
            least = zeros(16)
            total = zeros(16)
        for i in range(width):
            best[i] = -1.7e308
            least[i] = 1e308
            total[i] = 0.0
        for c in range(k):
            for i in range(width):
                value = log_coef[c] - 0.5 * squares[16 * c + i]
                resp[16 * c + i] = value
                best[i] = value if value > best[i] else best[i]
            # a free place has no weight and is not the nearest component
            if log_coef[c] > -1e299:
                for i in range(width):
                    value = squares[16 * c + i]
                    least[i] = value if value < least[i] else least[i]
        for i in range(n):
            if not (best[i] > -1e308):
                return False
        for c in range(k):
            for i in range(width):
                resp[16 * c + i] -= best[i]
        exp_each(resp, 16 * k)
        for c in range(k):
            for i in range(width):
                total[i] += resp[16 * c + i]
        for i in range(width):
            self.best[i] = best[i]
            self.total[i] = total[i]
            self.distance[i] = least[i]
            # a row that is not there has no responsibility
            best[i] = 1.0 / total[i] if i < n else 0.0
        for c in range(k):
            for i in range(width):
                resp[16 * c + i] *= best[i]
            for i in range(width, 16):
                resp[16 * c + i] = 0.0
        return True

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def log_densities(self) -> cython.int:
        """Turn ``total`` of the rows weighed into their log densities."""
        i: cython.Py_ssize_t
        log_each(self.total, 16)
        for i in range(16):
            self.total[i] += self.best[i]
        return 0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def log_likelihood(self, n: cython.Py_ssize_t) -> cython.double:
        """Return the sum of the log densities of the n rows weighed."""
        i: cython.Py_ssize_t
        result: cython.double = 0.0
        product: cython.double = 1.0
        for i in range(n):
            result += self.best[i]
            product *= self.total[i]
        return result + log(product)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def moments(
        self,
        c: cython.Py_ssize_t,
        mean: cython.p_double,
        d: cython.Py_ssize_t,
        dense: cython.bint,
    ) -> cython.double:
        """Compute the moments of the rows, weighted by their resp in component c.

        Returns the sum of the weights w. In ``moment`` come their mean, seen from that of the
        component, and w times their covariance: the lower half of a matrix (D <= 3), or variances.
        """
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        m: cython.Py_ssize_t
        at: cython.Py_ssize_t = d
        center: cython.double
        weight: cython.double
        resp: cython.p_double = self.resp
        columns: cython.p_double = self.columns
        rest: cython.p_double = self.rest
        out: cython.p_double = self.moment
        # none of the work space is at the same place as these
        weights: cython.double[16]
        weighted: cython.double[16]
        away: cython.double[16]
        if not cython.compiled:
            weights = zeros(16)
            weighted = zeros(16)
            away = zeros(16)
        for i in range(16):
            weights[i] = resp[16 * c + i]
            weighted[i] = 1.0
        weight = dot(weights, 0, weighted)
        if not (weight > 1e-290):
            return 0.0
        for j in range(d):
            center = mean[c * d + j]
            for i in range(16):
                away[i] = columns[16 * j + i] - center
            center = dot(away, 0, weights) / weight
            out[j] = center
            for i in range(16):
                away[i] -= center
                weighted[i] = weights[i] * away[i]
            if dense:
                if j + 1 < d:
                    for i in range(16):
                        rest[16 * j + i] = away[i]
                for m in range(j):
                    out[at] = dot(rest, 16 * m, weighted)
                    at += 1
            out[at] = dot(away, 0, weighted)
            at += 1
        return weight

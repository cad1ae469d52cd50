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
    from cython.cimports.online_gmm._kernel.memory import Memory
else:
    from online_gmm._kernel.memory import Memory
from online_gmm._kernel.values import zeros


@cython.final
@cython.no_gc
@cython.cclass
class Rows(Memory):
    """Work space for up to sixteen complete rows, and their squared distances to components."""

    columns: cython.p_double  # [feature, row]
    rest: cython.p_double  # [feature, row]
    squares: cython.p_double  # [component, row]
    measured: cython.bint  # whether the squares are those of the rows looked at last

    def __init__(self, k: int, d: int) -> None:
        Memory.__init__(self, 16 * (2 * d + k))
        self.columns = self.piece(16 * d)
        self.rest = self.piece(16 * d)
        self.squares = self.piece(16 * k)
        self.measured = False

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
        value: cython.double
        scale: cython.double
        center: cython.double
        r0: cython.double
        r1: cython.double
        r2: cython.double
        r3: cython.double
        r4: cython.double
        r5: cython.double
        r6: cython.double
        r7: cython.double
        columns: cython.p_double = self.columns
        rest: cython.p_double = self.rest
        squares: cython.p_double = self.squares
        # none of the work space is at the same place as these
        total: cython.double[16]
        if not cython.compiled:
            total = zeros(16)
        for i in range(n):
            for j in range(d):
                value = x[at + i * d + j]
                if value != value:
                    return False
                columns[16 * j + i] = value
        for c in range(k):
            base = c * d
            for i in range(16):
                total[i] = 0.0
            for j in range(d):
                center = mean[base + j]
                for i in range(16 * j, 16 * j + 16, 8):
                    # eight sums that do not wait for each other, in registers
                    r0 = columns[i] - center
                    r1 = columns[i + 1] - center
                    r2 = columns[i + 2] - center
                    r3 = columns[i + 3] - center
                    r4 = columns[i + 4] - center
                    r5 = columns[i + 5] - center
                    r6 = columns[i + 6] - center
                    r7 = columns[i + 7] - center
                    if dense:
                        for m in range(i % 16, i, 16):
                            scale = factor[(base + m // 16) * d + j]
                            r0 -= scale * rest[m]
                            r1 -= scale * rest[m + 1]
                            r2 -= scale * rest[m + 2]
                            r3 -= scale * rest[m + 3]
                            r4 -= scale * rest[m + 4]
                            r5 -= scale * rest[m + 5]
                            r6 -= scale * rest[m + 6]
                            r7 -= scale * rest[m + 7]
                    rest[i] = r0
                    rest[i + 1] = r1
                    rest[i + 2] = r2
                    rest[i + 3] = r3
                    rest[i + 4] = r4
                    rest[i + 5] = r5
                    rest[i + 6] = r6
                    rest[i + 7] = r7
                scale = inverse[base + j] if dense else factor[base + j]
                for i in range(16):
                    value = rest[16 * j + i] * scale
                    value = value if value > -1e150 else -1e150
                    value = value if value < 1e150 else 1e150
                    rest[16 * j + i] = value
                    total[i] += value * value
            for i in range(16):
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
        squares: cython.p_double = self.squares
        best: cython.double[16]
        label: cython.Py_ssize_t[16]
        if not cython.compiled:
            best = zeros(16)
            label = [0] * 16
        for i in range(16):
            best[i] = log_coef[0] - 0.5 * squares[i]
            label[i] = 0
        for c in range(1, k):
            for i in range(16):
                value = log_coef[c] - 0.5 * squares[16 * c + i]
                label[i] = c if value > best[i] else label[i]
                best[i] = value if value > best[i] else best[i]
        for i in range(n):
            labels[at + i] = label[i]
            if not (best[i] > -1e308):
                valid = False
        return valid

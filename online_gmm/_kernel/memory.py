"""Memory for doubles: a pointer into one block when compiled, an array when interpreted.

Both are indexed alike. A memory view takes 200 bytes and an object of its own; a pointer takes 8.
"""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:
    from online_gmm import _shim as cython

if cython.compiled:
    from cython.cimports.cpython.mem import PyMem_Calloc, PyMem_Free
    from cython.cimports.libc.string import memmove

from array import array
from typing import Any

from online_gmm._kernel.values import doubles, zeros


@cython.no_gc
@cython.cclass
class Memory:
    """A block of doubles, all 0 at first, that is handed out piece by piece.

    Classes that own doubles inherit from it, which saves an object each. None of them is ever part
    of a reference cycle.
    """

    block: cython.p_double
    n_doubles: cython.Py_ssize_t
    n_used: cython.Py_ssize_t

    def __init__(self, size: int) -> None:
        self.n_doubles = size
        self.n_used = 0
        if cython.compiled:
            self.block = cython.cast(cython.p_double, PyMem_Calloc(size + 1, 8))
            if not self.block:
                raise MemoryError

    def __dealloc__(self) -> None:
        if cython.compiled:
            PyMem_Free(self.block)

    @cython.final
    @cython.cfunc
    def piece(self, n: cython.Py_ssize_t) -> cython.p_double:
        """Hand out the next n doubles; they live as long as the block."""
        self.n_used += n
        if self.n_used > self.n_doubles:
            raise MemoryError(f"{self.n_used} doubles are needed in a block of {self.n_doubles}")
        if cython.compiled:
            return self.block + (self.n_used - n)
        else:
            return zeros(n)

    @cython.final
    @cython.cfunc
    def places(self, n: cython.Py_ssize_t) -> cython.p_Py_ssize_t:
        """Hand out memory for n indices."""
        if cython.compiled:
            return cython.cast(cython.p_Py_ssize_t, self.piece(n))
        else:
            return array("q", bytes(8 * n))


@cython.cfunc
@cython.boundscheck(False)
@cython.exceptval(check=False)
def first(values: cython.double[::1]) -> cython.p_double:
    """Point to the doubles of a buffer, which must outlive the pointer."""
    if cython.compiled:
        return cython.address(values[0])
    else:
        return values


@cython.cfunc
@cython.boundscheck(False)
@cython.exceptval(check=False)
def first_place(values: cython.Py_ssize_t[::1]) -> cython.p_Py_ssize_t:
    """Point to the indices of a buffer, which must outlive the pointer."""
    if cython.compiled:
        return cython.address(values[0])
    else:
        return values


@cython.cfunc
@cython.exceptval(check=False)
def first_byte(values: cython.uchar[::1]) -> cython.p_uchar:
    """Point to the bytes of a buffer, which must outlive the pointer."""
    if cython.compiled:
        return cython.address(values[0])
    else:
        return values


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def copy(source: cython.p_double, n: cython.Py_ssize_t, out: cython.p_double) -> cython.int:
    """Copy n doubles to out."""
    i: cython.Py_ssize_t
    for i in range(n):
        out[i] = source[i]
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def move(
    values: cython.p_double, source: cython.Py_ssize_t, n: cython.Py_ssize_t, out: cython.Py_ssize_t
) -> cython.int:
    """Write values[source:source + n] to values[out:]; the two may overlap."""
    if cython.compiled:
        memmove(values + out, values + source, 8 * n)
    else:
        values[out : out + n] = values[source : source + n]
    return 0


@cython.cfunc
def packed(values: cython.p_double, n: cython.Py_ssize_t) -> bytes:
    """Return the first n doubles as bytes."""
    if cython.compiled:
        return cython.cast(cython.p_char, values)[: 8 * n]
    else:
        return bytes(values)[: 8 * n]


@cython.cfunc
@cython.exceptval(-1)
def unpack(values: cython.double[::1], out: cython.p_double, n: cython.Py_ssize_t) -> cython.int:
    """Write these values to out; there must be n of them."""
    i: cython.Py_ssize_t
    if len(values) != n:
        raise ValueError(f"{n} doubles are expected, and these are {len(values)}")
    for i in range(n):
        out[i] = values[i]
    return 0


@cython.cfunc
@cython.exceptval(-1)
def rearrange(values: cython.p_double, order: Any, size: cython.Py_ssize_t) -> cython.int:
    """Reorder blocks of `size` values: block k becomes what block order[k] was."""
    k: cython.Py_ssize_t
    i: cython.Py_ssize_t
    source: cython.Py_ssize_t
    old: cython.double[::1] = doubles(packed(values, len(order) * size))
    for k in range(len(order)):
        source = order[k]
        for i in range(size):
            values[k * size + i] = old[source * size + i]
    return 0

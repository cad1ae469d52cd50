cimport cython


@cython.final
cdef class Blocks:
    cdef readonly Py_ssize_t n_channels
    cdef readonly Py_ssize_t stride
    cdef readonly Py_ssize_t length
    cdef readonly Py_ssize_t n_features
    cdef Py_ssize_t n_lags
    cdef Py_ssize_t[::1] lags
    cdef Py_ssize_t n_pairs
    cdef Py_ssize_t size
    cdef double[::1] sums
    cdef double[::1] merged
    cdef double[::1] features
    cdef Py_ssize_t filled
    cdef Py_ssize_t newest
    cdef Py_ssize_t n_blocks
    cdef Py_ssize_t ring

    cdef bint add(self, double[::1] rows, Py_ssize_t now, Py_ssize_t n_rows) noexcept
    cdef int clear(self) noexcept
    cdef int look(self) noexcept
    cdef Py_ssize_t place(self, Py_ssize_t b) noexcept

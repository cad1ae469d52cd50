cimport cython


@cython.final
cdef class Metric:
    cdef readonly Py_ssize_t n_features
    cdef readonly Py_ssize_t length
    cdef bint clipped
    cdef double[::1] ring
    cdef double[::1] white_ring
    cdef readonly Py_ssize_t n_looks
    cdef Py_ssize_t n_white
    cdef double[::1] mean
    cdef double[::1] variance
    cdef double[::1] scatter
    cdef double n_kept
    cdef double[::1] usual
    cdef double quantile
    cdef Py_ssize_t n_sizes
    cdef double[::1] factor
    cdef double[::1] last_factor
    cdef double freedom
    cdef double[::1] median
    cdef double[::1] excess
    cdef double[::1] difference
    cdef double[::1] work

    cdef int learn(self, double[::1] f) noexcept
    cdef int clip(self, double step) noexcept
    cdef int fit(self) noexcept
    cdef int turn(self) noexcept
    cdef int whiten(self, double[::1] f, double[::1] out, Py_ssize_t at) noexcept
    cdef int renew(self, double[::1] z, Py_ssize_t at) noexcept
    cdef int follow(self, double[::1] z) noexcept
    cdef double distance(self, double[::1] f, double[::1] g, Py_ssize_t at) noexcept

cimport cython
from online_gmm._kernel.memory cimport Memory


@cython.final
cdef class Metric(Memory):
    cdef readonly Py_ssize_t n_features
    cdef readonly Py_ssize_t length
    cdef bint clipped
    cdef double steady
    cdef double *ring
    cdef double *white_ring
    cdef readonly Py_ssize_t n_looks
    cdef Py_ssize_t n_white
    cdef double *mean
    cdef double *variance
    cdef double *scatter
    cdef double *waiting
    cdef Py_ssize_t n_waiting
    cdef double n_kept
    cdef double *usual
    cdef double quantile
    cdef Py_ssize_t n_sizes
    cdef double *factor
    cdef Memory fitting
    cdef double *last_factor
    cdef Py_ssize_t n_still
    cdef double freedom
    cdef double *median
    cdef double *excess
    cdef double *difference
    cdef double *squares

    cdef int learn(self, double *f) noexcept
    cdef int keep(self) noexcept
    cdef int add_waiting(self) noexcept
    cdef int fit(self) except? -1
    cdef int end_fit(self) noexcept
    cdef int count_still(self) noexcept
    cdef bint has_begun(self) noexcept
    cdef int whiten(self, double *f, double *z) noexcept
    cdef int renew(self, double *z) noexcept
    cdef int follow(self, double *z) noexcept
    cdef double distance(self, double *f, double *g, Py_ssize_t at, double most) noexcept

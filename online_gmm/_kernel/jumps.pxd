cimport cython
from online_gmm._kernel.memory cimport Memory
from online_gmm._kernel.metric cimport Metric


@cython.final
cdef class Jumps(Memory):
    cdef Py_ssize_t n_features
    cdef Py_ssize_t length
    cdef Py_ssize_t n_kept
    cdef double *ring
    cdef double *mean
    cdef double *jump
    cdef bint known
    cdef bint late
    cdef double *step
    cdef double *white_step
    cdef double *white_jump
    cdef double product
    cdef double square
    cdef double along
    cdef double size
    cdef double shares
    cdef Py_ssize_t n

    cdef int take(self, double *f, Py_ssize_t look) noexcept
    cdef int look_at(self, double *mean, Metric metric) noexcept
    cdef double share(self, double *mean, Metric metric) noexcept
    cdef bint make_up(self, double share) noexcept
    cdef int end(self, double *mean, Py_ssize_t change, Py_ssize_t now, Metric metric) noexcept

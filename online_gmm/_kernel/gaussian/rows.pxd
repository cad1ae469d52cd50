cimport cython
from online_gmm._kernel.memory cimport Memory


@cython.final
cdef class Rows(Memory):
    cdef double *columns
    cdef double *rest
    cdef double *squares
    cdef double *resp
    cdef double *best
    cdef double *total
    cdef double *distance
    cdef double *moment
    cdef bint weighed

    cdef bint measure(
        self, double *x, Py_ssize_t at, Py_ssize_t n, double *mean, double *factor,
        double *inverse, Py_ssize_t k, Py_ssize_t d, bint dense
    ) noexcept nogil
    cdef bint choose(
        self, double *log_coef, Py_ssize_t k, Py_ssize_t n, Py_ssize_t *labels, Py_ssize_t at
    ) noexcept nogil
    cdef bint weigh(self, double *log_coef, Py_ssize_t k, Py_ssize_t n) noexcept nogil
    cdef int log_densities(self) noexcept nogil
    cdef double log_likelihood(self, Py_ssize_t n) noexcept nogil
    cdef double moments(
        self, Py_ssize_t c, double *mean, Py_ssize_t d, bint dense
    ) noexcept nogil

cimport cython
from online_gmm._kernel.gaussian.statistics cimport Statistics
from online_gmm._kernel.memory cimport Memory


cdef class Parameters(Statistics):
    cdef bint pooled
    cdef double *mean
    cdef double *factor
    cdef double *inverse
    cdef double *log_norm
    cdef double *log_coef
    cdef double stale
    cdef double strength
    cdef double *prior
    cdef double *floor
    cdef Memory work
    cdef double *residual
    cdef double *matrix

    @cython.final
    cdef int m_step(self) noexcept nogil
    @cython.final
    cdef int m_step_one(self, Py_ssize_t k, double prior_weight) noexcept nogil
    @cython.final
    cdef int update_location(self, Py_ssize_t k) noexcept nogil
    @cython.final
    cdef int update_coefficients(self) noexcept nogil
    @cython.final
    cdef int factorise(self, Py_ssize_t k, double total) noexcept nogil
    @cython.final
    cdef int factorise_diagonal(self, Py_ssize_t k, double total) noexcept nogil
    @cython.final
    cdef int rank_one(self, Py_ssize_t k, double gain, double keep) noexcept nogil

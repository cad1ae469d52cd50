cimport cython
from online_gmm._kernel.memory cimport Memory
from online_gmm._kernel.rows cimport Rows
from online_gmm._kernel.statistics cimport Statistics


@cython.final
cdef class Components(Statistics):
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
    cdef double temper
    cdef double *point
    cdef double *resp
    cdef double best
    cdef double total
    cdef double distance
    cdef Py_ssize_t observed
    cdef double *filled
    cdef double *spread
    cdef Memory work
    cdef double *residual
    cdef double *matrix
    cdef Py_ssize_t *order

    cdef int take_point(self, double *x, Py_ssize_t at) noexcept nogil
    cdef int e_step(self) noexcept nogil
    cdef double log_density(self) noexcept nogil
    cdef Py_ssize_t join(self) noexcept nogil
    cdef int share(self, Py_ssize_t nearest) noexcept nogil
    cdef bint measure(self, Rows rows, double *x, Py_ssize_t at, Py_ssize_t n) noexcept nogil
    cdef Py_ssize_t join_row(self, Rows rows, Py_ssize_t i) noexcept nogil
    cdef Py_ssize_t weigh(self) noexcept nogil
    cdef Py_ssize_t likeliest(self, Py_ssize_t nearest) noexcept nogil
    cdef Py_ssize_t join_missing(self) noexcept nogil
    cdef int m_step(self, double g, bint follow) noexcept nogil
    cdef int absorb(self, Py_ssize_t k, double rho) noexcept nogil
    cdef int rank_one(self, Py_ssize_t k, double gain, double keep) noexcept nogil
    cdef int read_out(self) noexcept nogil
    cdef int read_out_one(self, Py_ssize_t k, double share) noexcept nogil
    cdef int read_out_location(self, Py_ssize_t k) noexcept nogil
    cdef int factorise(self, Py_ssize_t k, double total) noexcept nogil
    cdef int factorise_diagonal(self, Py_ssize_t k, double total) noexcept nogil

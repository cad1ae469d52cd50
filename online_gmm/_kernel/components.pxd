cimport cython

@cython.final
cdef class Components:
    cdef Py_ssize_t n_components
    cdef Py_ssize_t n_features
    cdef Py_ssize_t size
    cdef Py_ssize_t kind
    cdef bint dense
    cdef bint pooled
    cdef double points
    cdef double[::1] weight
    cdef double[::1] center
    cdef double[::1] scatter
    cdef double[::1] mean
    cdef double[::1] factor
    cdef double[::1] inverse
    cdef double[::1] log_norm
    cdef double[::1] log_coef
    cdef double stale
    cdef double strength
    cdef double[::1] prior
    cdef double temper
    cdef double[::1] point
    cdef double[::1] resp
    cdef double best
    cdef double total
    cdef double distance
    cdef Py_ssize_t observed
    cdef double[::1] filled
    cdef double[::1] spread
    cdef double[::1] residual
    cdef double[::1] matrix
    cdef Py_ssize_t[::1] order

    cdef int take_point(self, double[::1] x, Py_ssize_t at) noexcept nogil
    cdef int e_step(self) noexcept nogil
    cdef double log_density(self) noexcept nogil
    cdef Py_ssize_t join(self) noexcept nogil
    cdef Py_ssize_t join_missing(self) noexcept nogil
    cdef int m_step(self, double g, bint follow) noexcept nogil
    cdef int absorb(self, Py_ssize_t k, double rho) noexcept nogil
    cdef int rank_one(self, Py_ssize_t k, double gain, double keep) noexcept nogil
    cdef int read_out(self) noexcept nogil
    cdef int read_out_one(self, Py_ssize_t k, double share) noexcept nogil
    cdef int read_out_location(self, Py_ssize_t k) noexcept nogil
    cdef int factorise(self, Py_ssize_t k, double total) noexcept nogil
    cdef int mix(self, Components other, double share) noexcept nogil
    cdef int take(self, Components other) noexcept nogil

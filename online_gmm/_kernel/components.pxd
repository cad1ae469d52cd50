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
    cdef double[::1] resp
    cdef double log_density
    cdef double distance
    cdef Py_ssize_t observed
    cdef double[::1] filled
    cdef double[::1] spread
    cdef double[::1] residual
    cdef double[::1] matrix
    cdef Py_ssize_t[::1] order

    cdef double e_step(self, double[::1] x, Py_ssize_t at) noexcept
    cdef double normalise(self, Py_ssize_t nearest) noexcept
    cdef double e_step_missing(self, double[::1] x, Py_ssize_t at) noexcept
    cdef int m_step(self, double[::1] x, Py_ssize_t at, double g, bint follow) noexcept
    cdef int absorb(self, Py_ssize_t k, double[::1] x, Py_ssize_t at, double rho) noexcept
    cdef int rank_one(self, Py_ssize_t k, double gain, double keep) noexcept
    cdef int read_out(self) noexcept
    cdef int read_out_one(self, Py_ssize_t k, double share) noexcept
    cdef int read_out_location(self, Py_ssize_t k) noexcept
    cdef int factorise(self, Py_ssize_t k, double total) noexcept
    cdef int mix(self, Components other, double share) noexcept
    cdef int take(self, Components other) noexcept

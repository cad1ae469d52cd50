cimport cython
from online_gmm._kernel.metric cimport Metric


@cython.final
cdef class States:
    cdef Py_ssize_t n_features
    cdef double most
    cdef readonly Py_ssize_t n
    cdef Py_ssize_t[::1] alive
    cdef Py_ssize_t[::1] visits
    cdef double[::1] weight
    cdef double[::1] means
    cdef double[::1] lasts
    cdef Py_ssize_t room
    cdef double first
    cdef double second
    cdef readonly double windows
    cdef readonly double between
    cdef readonly Py_ssize_t n_seen
    cdef readonly double shortest
    cdef double[::1] middle

    cdef Py_ssize_t birth(self, double *mean) except? -2
    cdef int move(self, Py_ssize_t k, double *mean) noexcept
    cdef bint has_room(self) noexcept
    cdef int learn(self, Py_ssize_t k, double *mean, double windows) noexcept
    cdef Py_ssize_t nearest(self, Metric metric, double *mean, double windows, Py_ssize_t but) noexcept
    cdef bint is_doubtful(self, Py_ssize_t k, Metric metric) noexcept
    cdef int measure(self, Metric metric, double *mean, double windows, Py_ssize_t now) noexcept
    cdef int make_room(self, Py_ssize_t n) except? -2

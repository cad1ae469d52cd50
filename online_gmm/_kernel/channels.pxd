cimport cython


@cython.final
cdef class Channels:
    cdef readonly Py_ssize_t n_channels
    cdef readonly Py_ssize_t n
    cdef double[::1] ring
    cdef double[::1] buffer
    cdef Py_ssize_t n_buffered
    cdef double *recent
    cdef double *early
    cdef double[::1] origin
    cdef double[::1] unit
    cdef double[::1] last
    cdef double[::1] n_read
    cdef double[::1] step
    cdef readonly Py_ssize_t period
    cdef readonly double rhythm

    cdef int take(self, double *x, Py_ssize_t at) noexcept
    cdef int begin(self, Py_ssize_t now) noexcept
    cdef int gap(self) noexcept
    cdef double middle(self, Py_ssize_t j, double v) noexcept
    cdef bint is_far(self, Py_ssize_t j, double v) noexcept
    cdef int keep(self, Py_ssize_t j, double v) noexcept
    cdef double standard(self, Py_ssize_t j, double v) noexcept
    cdef int leave_out(self, Py_ssize_t j) noexcept
    cdef int settle(self) noexcept
    cdef bint has_events(self, Py_ssize_t j, Py_ssize_t n) except? -1
    cdef int find_period(self) noexcept

cimport cython
from online_gmm._kernel.scale cimport Scale


@cython.final
cdef class Partition:
    cdef readonly Py_ssize_t n_channels
    cdef Py_ssize_t fixed_window
    cdef Py_ssize_t max_regimes
    cdef readonly list scales
    cdef Py_ssize_t[::1] fed
    cdef readonly Py_ssize_t n
    cdef double[::1] ring
    cdef double[::1] buffer
    cdef Py_ssize_t n_buffered
    cdef double[::1] origin
    cdef double[::1] unit
    cdef double[::1] last
    cdef double[::1] n_read
    cdef double[::1] step
    cdef readonly Py_ssize_t period
    cdef readonly double rhythm
    cdef Py_ssize_t n_scales
    cdef readonly Py_ssize_t chosen
    cdef double[::1] clear
    cdef Py_ssize_t turn
    cdef Py_ssize_t every
    cdef Py_ssize_t n_snapshots
    cdef Py_ssize_t[::1] snapshot_row
    cdef Py_ssize_t[::1] snapshot_label
    cdef Py_ssize_t[::1] snapshot_state
    cdef Py_ssize_t[::1] number
    cdef list history
    cdef Py_ssize_t n_numbers
    cdef readonly Py_ssize_t label
    cdef readonly Py_ssize_t since
    cdef double certainty
    cdef Py_ssize_t gap_row
    cdef Py_ssize_t final
    cdef list events

    cdef int take(self, double[::1] x, Py_ssize_t at) except? -2
    cdef int begin(self, Py_ssize_t now) except? -2
    cdef double cleaned(self, Py_ssize_t j, double v) noexcept
    cdef double standard(self, Py_ssize_t j, double v) noexcept
    cdef int leave_out(self, Py_ssize_t j) noexcept
    cdef int settle(self) noexcept
    cdef int find_period(self) noexcept
    cdef object found(self, bint later)
    cdef bint is_long(self, Py_ssize_t k) except? -1
    cdef int feed(self, Py_ssize_t k) except? -2
    cdef int hear(self, Py_ssize_t k) except? -2
    cdef object merge(self, Py_ssize_t k, Py_ssize_t gone, Py_ssize_t kept)
    cdef Py_ssize_t named(self, Py_ssize_t k, Py_ssize_t state) except? -2
    cdef object report(self, Py_ssize_t k, Py_ssize_t place, Py_ssize_t state, double certainty)
    cdef int snapshot(self) except? -2
    cdef int weigh(self, Py_ssize_t k) except? -2
    cdef int choose(self) except? -2
    cdef Py_ssize_t most_agreed(self) except? -2
    cdef bint is_shared(self, Py_ssize_t k) except? -1
    cdef bint is_comparable(self, Py_ssize_t k) except? -1
    cdef bint differ(self, Py_ssize_t j, Py_ssize_t k) except? -1
    cdef double rand_index(self, Py_ssize_t j, Py_ssize_t k) noexcept
    cdef object change_over(self, Py_ssize_t k)

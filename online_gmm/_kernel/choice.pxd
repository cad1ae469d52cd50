cimport cython
from online_gmm._kernel.channels cimport Channels
from online_gmm._kernel.scale cimport Scale


@cython.final
cdef class Choice:
    cdef Channels channels
    cdef list scales
    cdef readonly Py_ssize_t chosen
    cdef double[::1] clear
    cdef Py_ssize_t supported
    cdef Py_ssize_t times
    cdef Py_ssize_t turn
    cdef Py_ssize_t every
    cdef Py_ssize_t n_snapshots
    cdef Py_ssize_t[::1] snapshot_row
    cdef Py_ssize_t[::1] snapshot_label
    cdef Py_ssize_t[::1] snapshot_state

    cdef Py_ssize_t take(self, Py_ssize_t label) except? -2
    cdef bint keep(self, Py_ssize_t label) except? -1
    cdef int label_from(self, Py_ssize_t row, Py_ssize_t label) noexcept
    cdef int merge_labels(self, Py_ssize_t gone, Py_ssize_t kept) noexcept
    cdef int state_from(self, Py_ssize_t k, Py_ssize_t row, Py_ssize_t state) noexcept
    cdef int merge_states(self, Py_ssize_t k, Py_ssize_t gone, Py_ssize_t kept) noexcept
    cdef object overlaps(self, Py_ssize_t k)
    cdef bint is_long(self, Py_ssize_t k) except? -1
    cdef int weigh(self, Py_ssize_t k) except? -2
    cdef Py_ssize_t best(self) except? -2
    cdef Py_ssize_t usual(self) except? -2
    cdef bint sees_events(self, Py_ssize_t k) except? -1
    cdef Py_ssize_t most_agreed(self) except? -2
    cdef Py_ssize_t most_supported(self, Py_ssize_t k) except? -2
    cdef double[::1] likeness(self, Py_ssize_t least)
    cdef Py_ssize_t calmest(self, Py_ssize_t k) except? -2
    cdef bint is_shared(self, Py_ssize_t k) except? -1
    cdef bint is_comparable(self, Py_ssize_t k) except? -1
    cdef bint differ(self, Py_ssize_t j, Py_ssize_t k) except? -1
    cdef double rand_index(self, Py_ssize_t j, Py_ssize_t k) except? -2

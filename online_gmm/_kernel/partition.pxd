cimport cython
from online_gmm._kernel.channels cimport Channels
from online_gmm._kernel.choice cimport Choice
from online_gmm._kernel.scale cimport Scale


@cython.final
cdef class Partition:
    cdef readonly Py_ssize_t n_channels
    cdef Py_ssize_t fixed_window
    cdef Py_ssize_t max_regimes
    cdef readonly Channels channels
    cdef readonly list scales
    cdef readonly Choice choice
    cdef Py_ssize_t[::1] fed
    cdef Py_ssize_t n_scales
    cdef Py_ssize_t[::1] number
    cdef list history
    cdef Py_ssize_t n_numbers
    cdef readonly Py_ssize_t label
    cdef readonly Py_ssize_t since
    cdef Py_ssize_t now
    cdef double certainty
    cdef Py_ssize_t gap_row
    cdef Py_ssize_t final
    cdef readonly list events
    cdef readonly object row
    cdef double[::1] point

    cdef Py_ssize_t n_at_once(self, Py_ssize_t n) except? -2
    cdef int take(self, double *x, Py_ssize_t at, Py_ssize_t n) except? -2
    cdef int begin(self) except? -2
    cdef object found(self, bint later)
    cdef int feed(self, Py_ssize_t k, Py_ssize_t first) except? -2
    cdef int hear(self, Py_ssize_t k) except? -2
    cdef object merge(self, Py_ssize_t k, Py_ssize_t gone, Py_ssize_t kept)
    cdef Py_ssize_t named(self, Py_ssize_t k, Py_ssize_t state) except? -2
    cdef bint may_be_current(self, Py_ssize_t k, Py_ssize_t state) except? -1
    cdef Py_ssize_t new_number(self) except? -2
    cdef object report(self, Py_ssize_t k, Py_ssize_t place, Py_ssize_t state, double certainty)
    cdef object change_over(self, Py_ssize_t k)

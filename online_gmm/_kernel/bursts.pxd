cimport cython
from online_gmm._kernel.memory cimport Memory


@cython.final
cdef class Bursts(Memory):
    cdef Py_ssize_t n_channels
    cdef double window
    cdef double *n_read
    cdef double *value
    cdef double *still
    cdef double *before
    cdef double *moves
    cdef double *begin
    cdef double *n_events
    cdef double *n_others
    cdef double fewest
    cdef double mostly
    cdef double remembered
    cdef double dense
    cdef double run

    cdef int take(self, Py_ssize_t j, double x) noexcept nogil
    cdef int end(self, Py_ssize_t j) noexcept nogil
    cdef double lasted(self, Py_ssize_t j) noexcept nogil
    cdef bint are_events(self, Py_ssize_t j) noexcept nogil
    cdef bint hide(self, Py_ssize_t j) noexcept nogil
    cdef bint goes_on(self, Py_ssize_t j) noexcept nogil
    cdef bint are_all(self) noexcept nogil

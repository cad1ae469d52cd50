cimport cython
from online_gmm._kernel.memory cimport Memory


@cython.final
cdef class Presence(Memory):
    cdef Py_ssize_t n_channels
    cdef Py_ssize_t length
    cdef double stride
    cdef double window
    cdef double *seen
    cdef double *usual
    cdef double *mean
    cdef double *n_looks
    cdef double *n_silent
    cdef double fewest
    cdef double plenty
    cdef double present
    cdef double silence
    cdef double follow
    cdef double changed
    cdef Py_ssize_t n_doubtful
    cdef double unsure
    cdef double patience

    cdef int count(self, Py_ssize_t j, double n) noexcept nogil
    cdef bint is_enough(self, double n, Py_ssize_t j, Py_ssize_t k, double most) noexcept nogil
    cdef bint end_look(self) noexcept nogil

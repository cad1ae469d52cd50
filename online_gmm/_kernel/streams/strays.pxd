cimport cython
from online_gmm._kernel.memory cimport Memory


@cython.final
cdef class Strays(Memory):
    cdef Py_ssize_t n_features
    cdef Py_ssize_t room
    cdef Py_ssize_t crowd
    cdef Py_ssize_t recent
    cdef Py_ssize_t count
    cdef double *gates
    cdef double *points
    cdef double *at

    cdef bint add(self, double *point, Py_ssize_t n) noexcept nogil

cimport cython
from online_gmm._kernel.gaussian.components cimport Components
from online_gmm._kernel.gaussian.rows cimport Rows


@cython.final
cdef class Climb:
    cdef Components components
    cdef Rows rows
    cdef bint begun
    cdef double total
    cdef double so_far
    cdef Py_ssize_t at
    cdef Py_ssize_t left
    cdef double least

    cdef double go(
        self, double *x, Py_ssize_t n, Py_ssize_t size, double cost, double room
    ) noexcept nogil

cimport cython
from online_gmm._kernel.memory cimport Memory


cdef class Statistics(Memory):
    cdef Py_ssize_t n_components
    cdef Py_ssize_t n_features
    cdef Py_ssize_t size
    cdef Py_ssize_t kind
    cdef bint dense
    cdef double points
    cdef double *weight
    cdef double *center
    cdef double *scatter

    @cython.final
    cdef int mix(self, Statistics other, double step) noexcept nogil
    @cython.final
    cdef int copy_from(self, Statistics other) noexcept nogil
    @cython.final
    cdef int add(self, Statistics other) noexcept
    @cython.final
    cdef int empty(self) noexcept nogil

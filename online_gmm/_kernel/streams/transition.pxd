cimport cython
from online_gmm._kernel.memory cimport Memory


@cython.final
cdef class Transition(Memory):
    cdef Py_ssize_t n
    cdef bint timed
    cdef double *matrix
    cdef double gap
    cdef bint fresh
    cdef double *step
    cdef Py_ssize_t n_nodes
    cdef double *nodes
    cdef double *at_node
    cdef double *power
    cdef double *series
    cdef double *product

    cdef int square(self) noexcept nogil
    cdef int blend(self, double c, Py_ssize_t terms, double *out, Py_ssize_t at) noexcept nogil
    cdef int over(self, double gap) noexcept nogil
    cdef int stationary(self, double *out) noexcept nogil
    cdef int m_step(self, double *changes, double *prior, double points) noexcept nogil

cimport cython
from online_gmm._kernel.components cimport Components


@cython.final
cdef class Chain:
    cdef Components components
    cdef Py_ssize_t n
    cdef bint timed
    cdef double temper
    cdef double[::1] transition
    cdef double[::1] belief
    cdef double[::1] predicted
    cdef double[::1] back
    cdef double outlying
    cdef double gap
    cdef double[::1] step
    cdef Py_ssize_t n_nodes
    cdef double[::1] nodes
    cdef double[::1] at_node
    cdef double[::1] power
    cdef double[::1] series
    cdef double[::1] flow

    cdef int multiply(self, double[::1] a, double[::1] b, double[::1] out) noexcept
    cdef int blend(self, double c, Py_ssize_t terms, double[::1] out, Py_ssize_t at) noexcept
    cdef int over(self, double gap) noexcept
    cdef int renew(self) noexcept
    cdef int predict(self, double gap) noexcept
    cdef double weigh(self, double[::1] x, Py_ssize_t at, double[::1] gates) noexcept
    cdef int e_step(self, double[::1] x, Py_ssize_t at, double temper) noexcept
    cdef double observe(self, double[::1] x, Py_ssize_t at, double gap, double[::1] gates, bint learning) noexcept
    cdef int look_back(self) noexcept
    cdef int flows(self) noexcept

cimport cython
from online_gmm._kernel.gaussian.components cimport Components
from online_gmm._kernel.memory cimport Memory
from online_gmm._kernel.streams.transition cimport Transition


@cython.final
cdef class Chain(Memory):
    cdef Components components
    cdef Transition transition
    cdef Py_ssize_t n
    cdef double temper
    cdef double *predicted
    cdef double *log_coef
    cdef double *backward
    cdef double outlying
    cdef double *changes
    cdef double *scratch

    cdef int predict(self, double *belief, double gap) noexcept nogil
    cdef double weigh(self, double *gates) noexcept nogil
    cdef int e_step(self, double temper) noexcept nogil
    cdef double filter_point(
        self, double *belief, double gap, double *gates, bint learning
    ) noexcept nogil
    cdef int look_backward(self, double *belief) noexcept nogil
    cdef int expect_changes(self, double *belief) noexcept nogil

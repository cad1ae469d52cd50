cimport cython
from online_gmm._kernel.gaussian.components cimport Components
from online_gmm._kernel.gaussian.rows cimport Rows
from online_gmm._kernel.memory cimport Memory
from online_gmm._kernel.streams.chain cimport Chain


@cython.final
cdef class Series(Memory):
    cdef Py_ssize_t n
    cdef Py_ssize_t k
    cdef Rows rows
    cdef double *belief
    cdef double *resp
    cdef double *log_coef
    cdef double *ratio
    cdef double *first_belief

    cdef double weigh(self, Components components, double *x) noexcept nogil
    cdef double forward(self, double *step) noexcept nogil
    cdef int backward(self, double *step, double *x, Py_ssize_t d, double *changes) noexcept nogil
    cdef int collect(self, Components components, double *x) noexcept nogil
    cdef double expect(self, Chain chain, double *x, double *changes) noexcept nogil

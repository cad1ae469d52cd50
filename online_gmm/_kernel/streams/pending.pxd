cimport cython
from online_gmm._kernel.memory cimport Memory
from online_gmm._kernel.streams.chain cimport Chain


@cython.final
cdef class PendingPoints(Memory):
    cdef Py_ssize_t n
    cdef Py_ssize_t d
    cdef Py_ssize_t size
    cdef Py_ssize_t room
    cdef Py_ssize_t count
    cdef double *points
    cdef double *gamma

    cdef int push(self, Chain chain, double g, double g_changes) noexcept nogil
    cdef int smooth(self, double *belief) noexcept nogil
    cdef int drop(self, Py_ssize_t m) noexcept nogil

cimport cython
from online_gmm._kernel.gaussian.statistics cimport Statistics
from online_gmm._kernel.streams.chain cimport Chain
from online_gmm._kernel.streams.recursion cimport ChainStatistics
from online_gmm._kernel.streams.stream cimport Stream


@cython.final
cdef class ChainStream(Stream):
    cdef Chain iterate
    cdef Chain report
    cdef Statistics average
    cdef double *belief
    cdef double *report_belief
    cdef ChainStatistics statistics
    cdef double *average_changes
    cdef double *report_changes
    cdef double *prior
    cdef Py_ssize_t seen
    cdef Py_ssize_t followed
    cdef Py_ssize_t lag
    cdef double *backward
    cdef double *times
    cdef bint interrupted
    cdef double *parting
    cdef double *gamma

    cpdef void follow(self, double[::1] x, Py_ssize_t begin, Py_ssize_t end, double[::1] gaps, double[::1] times) except *
    cdef double step_of_changes(self, double g) noexcept nogil
    cdef int update_report(self, double g) noexcept nogil
    cdef int remember(self, double time) noexcept nogil

cimport cython
from online_gmm._kernel.gaussian.components cimport Components
from online_gmm._kernel.gaussian.rows cimport Rows
from online_gmm._kernel.gaussian.statistics cimport Statistics
from online_gmm._kernel.streams.stream cimport Stream


@cython.final
cdef class MixtureStream(Stream):
    cdef Components iterate
    cdef Statistics average
    cdef Components report
    cdef bint outdated
    cdef int lagging
    cdef Rows rows
    cdef Rows report_rows

    cdef int lag(self, double g) noexcept nogil
    cdef int update_report(self, double g) noexcept nogil

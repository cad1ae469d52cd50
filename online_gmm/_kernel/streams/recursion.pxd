cimport cython
from online_gmm._kernel.gaussian.components cimport Components
from online_gmm._kernel.memory cimport Memory
from online_gmm._kernel.streams.chain cimport Chain


@cython.final
cdef class ChainStatistics(Memory):
    cdef Py_ssize_t n
    cdef Py_ssize_t width
    cdef double *origin
    cdef double *moments
    cdef double *pairs
    cdef double *changes
    cdef double *next_moments
    cdef double *next_pairs
    cdef double *sample

    cdef int clear(self, Components components) noexcept nogil
    cdef int update(self, Chain chain, double g, double g_changes) noexcept nogil
    cdef int sample_of(self, Py_ssize_t i, Components components) noexcept nogil
    cdef int collect(self, double *belief, Components components) noexcept nogil
    cdef int recentre(self, Components components) noexcept nogil
    cdef int forget_component(self, double *belief) noexcept nogil

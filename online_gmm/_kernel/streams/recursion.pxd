cimport cython
from online_gmm._kernel.gaussian.components cimport Components
from online_gmm._kernel.memory cimport Memory
from online_gmm._kernel.streams.chain cimport Chain
from online_gmm._kernel.streams.pending cimport PendingPoints


@cython.final
cdef class ChainStatistics(Memory):
    cdef Py_ssize_t n
    cdef Py_ssize_t sets
    cdef Py_ssize_t lag
    cdef PendingPoints pending
    cdef Py_ssize_t width
    cdef double *origin
    cdef double *moments
    cdef double *pairs
    cdef double *changes
    cdef double *next_moments
    cdef double *next_pairs
    cdef double *sample

    cdef int clear(self, Components components) noexcept nogil
    cdef bint update(
        self, Chain chain, double *belief, double g, double g_changes
    ) noexcept nogil
    cdef int update_exactly(self, Chain chain, double g, double g_changes) noexcept nogil
    cdef int take(self, Components components, double *belief, Py_ssize_t m) noexcept nogil
    cdef int see(self, Components components, Py_ssize_t at) noexcept nogil
    cdef int settle(self, Components components, double *belief) noexcept nogil
    cdef int sample_of(self, Py_ssize_t i, Components components) noexcept nogil
    cdef int collect(self, double *belief, Components components) noexcept nogil
    cdef int recentre(self, Components components) noexcept nogil
    cdef int forget_component(self, double *belief, Components components) noexcept nogil
    cdef bytes in_state(self, double *values, Py_ssize_t rows, Py_ssize_t width)
    cdef int load_part(
        self, double[::1] values, Py_ssize_t rows, Py_ssize_t width, double[::1] weights,
        double *out
    ) except? -1

cimport cython
from online_gmm._kernel.bursts cimport Bursts
from online_gmm._kernel.memory cimport Memory
from online_gmm._kernel.presence cimport Presence


@cython.final
cdef class Blocks(Memory):
    cdef readonly Py_ssize_t n_channels
    cdef readonly Py_ssize_t stride
    cdef readonly Py_ssize_t length
    cdef readonly bint periodic
    cdef readonly Py_ssize_t n_features
    cdef Py_ssize_t n_lags
    cdef Py_ssize_t *lags
    cdef Py_ssize_t n_pairs
    cdef Py_ssize_t size
    cdef double *sums
    cdef double *merged
    cdef double *features
    cdef double *parts
    cdef double *added
    cdef Py_ssize_t filled
    cdef Py_ssize_t newest
    cdef Py_ssize_t n_blocks
    cdef Py_ssize_t ring
    cdef double soft
    cdef readonly Presence presence
    cdef Bursts bursts

    cdef bint add(self, double *rows, Py_ssize_t now, Py_ssize_t n_rows) noexcept nogil
    cdef int clear(self) noexcept nogil
    cdef bint look(self) noexcept nogil
    cdef int hush(self, Py_ssize_t j) noexcept nogil

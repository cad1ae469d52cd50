cimport cython
from online_gmm._kernel.memory cimport Memory


@cython.final
cdef class OutlierBuffer(Memory):
    cdef Py_ssize_t n_features
    cdef Py_ssize_t room
    cdef Py_ssize_t crowd
    cdef Py_ssize_t recent
    cdef Py_ssize_t count
    cdef double *gates
    cdef double *points
    cdef double *at
    cdef Py_ssize_t seen
    cdef Py_ssize_t slot
    cdef Py_ssize_t length
    cdef double excess
    cdef double drift
    cdef double limit
    cdef double *last

    cdef bint look(self, double *point, double distance, Py_ssize_t observed) noexcept nogil
    cdef bint add(self, double *point, Py_ssize_t n) noexcept nogil

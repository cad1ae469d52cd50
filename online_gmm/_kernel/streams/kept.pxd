cimport cython
from online_gmm._kernel.memory cimport Memory


cdef Py_ssize_t second(Py_ssize_t block, Py_ssize_t size) noexcept nogil
cpdef Py_ssize_t place_in_block(Py_ssize_t block, Py_ssize_t size) noexcept nogil


@cython.final
cdef class KeptPoints:
    cdef Py_ssize_t n_features
    cdef Py_ssize_t capacity
    cdef bint thinned
    cdef Py_ssize_t stride
    cdef Py_ssize_t due
    cdef Py_ssize_t count
    cdef Py_ssize_t room
    cdef Memory memory
    cdef double *points
    cdef double *times

    cdef int enlarge(self, Py_ssize_t room)
    cdef int make_room(self, Py_ssize_t n)
    cdef int keep(self, double *point, Py_ssize_t n, double time) noexcept nogil
    cdef bint is_due(self, Py_ssize_t n) noexcept nogil

cimport cython
from online_gmm._kernel.components cimport Components
from online_gmm._kernel.memory cimport Memory
from online_gmm._kernel.pace cimport Pace
from online_gmm._kernel.statistics cimport Statistics


@cython.final
cdef class Stream(Memory):
    cdef Components iterate
    cdef Statistics average
    cdef Components report
    cdef bint unread
    cdef bint averaging
    cdef int every
    cdef int lagging
    cdef Py_ssize_t n
    cdef Pace pace
    cdef double *gates
    cdef Py_ssize_t n_outliers
    cdef Py_ssize_t n_empty
    cdef Py_ssize_t capacity
    cdef Py_ssize_t stride
    cdef Py_ssize_t kept
    cdef Py_ssize_t due
    cdef object held
    cdef double *buffer
    cdef Py_ssize_t room
    cdef Py_ssize_t n_strays
    cdef Memory stray_memory
    cdef double *stray_gates
    cdef double *strays
    cdef double *stray_at
    cdef bint busy

    cdef bint learn_point(self, double time) noexcept nogil
    cdef bint learn_joined(self, Py_ssize_t first_one, double time) noexcept nogil
    cdef Py_ssize_t ahead(self, Py_ssize_t n) noexcept nogil
    cdef int lag(self, double g) noexcept nogil
    cdef int settle(self, double g) noexcept nogil
    cdef Components reported(self)
    cdef int keep_in(self, object values)
    cdef int make_room(self, Py_ssize_t n)
    cdef int keep(self) noexcept nogil
    cdef int stray(self) noexcept nogil
    cdef int wait(self)
    cdef Components see(self, object x, tuple names)
    cpdef Py_ssize_t learn_one(self, object x, tuple names, double time)
    cpdef Py_ssize_t label_one(self, object x, tuple names)

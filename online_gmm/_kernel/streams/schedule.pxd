cimport cython


@cython.final
cdef class StepSchedule:
    cdef double scale
    cdef double exponent
    cdef double floor
    cdef double half_life
    cdef bint timed
    cdef bint follows
    cdef double mass
    cdef double last
    cdef double ceiling
    cdef double[16] steps
    cdef Py_ssize_t first

    cdef int limit(self, double ceiling)
    cdef int look_ahead(self, Py_ssize_t n) noexcept nogil
    cdef double step_size(self, Py_ssize_t n, double time) noexcept nogil

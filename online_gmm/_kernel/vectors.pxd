cdef int exp_each(double *x, Py_ssize_t n) noexcept nogil
cdef int log_each(double *x, Py_ssize_t n) noexcept nogil
cdef double log_of(double m) noexcept nogil
cdef double exp_of(double value) noexcept nogil

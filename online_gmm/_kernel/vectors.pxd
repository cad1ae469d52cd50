cdef int exp_each(double *x, Py_ssize_t n) noexcept nogil
cdef int log_each(double *x, Py_ssize_t n) noexcept nogil

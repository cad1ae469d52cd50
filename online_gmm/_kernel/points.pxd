cpdef Py_ssize_t fill(x, tuple names, double[::1] out) except? -1
cpdef void must_be_mapping(x) except *
cpdef Py_ssize_t first_refused(double[::1] values) except? -2
cdef Py_ssize_t read_point(object x, tuple names, double *out) except? -1

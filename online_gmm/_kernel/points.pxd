cpdef Py_ssize_t fill(x, tuple names, double[::1] out) except? -1

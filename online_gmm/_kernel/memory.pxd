cimport cython


cdef class Memory:
    cdef double *block
    cdef Py_ssize_t n_doubles
    cdef Py_ssize_t n_used

    @cython.final
    cdef double *piece(self, Py_ssize_t n)
    @cython.final
    cdef Py_ssize_t *places(self, Py_ssize_t n)


cdef double *first(double[::1] values) noexcept
cdef Py_ssize_t *first_place(Py_ssize_t[::1] values) noexcept
cdef unsigned char *first_byte(unsigned char[::1] values) noexcept
cdef int copy(double *source, Py_ssize_t n, double *out) noexcept nogil
cdef int move(double *values, Py_ssize_t source, Py_ssize_t n, Py_ssize_t out) noexcept nogil
cdef bytes packed(double *values, Py_ssize_t n)
cdef int unpack(double[::1] values, double *out, Py_ssize_t n) except? -1
cdef int rearrange(double *values, object order, Py_ssize_t size) except? -1

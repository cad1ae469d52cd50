cimport cython
from online_gmm._kernel.gaussian.parameters cimport Parameters
from online_gmm._kernel.gaussian.rows cimport Rows


cdef class Densities(Parameters):
    cdef double *point
    cdef double *resp
    cdef double best
    cdef double total
    cdef double distance
    cdef Py_ssize_t observed
    cdef double *filled
    cdef double *spread
    cdef Py_ssize_t *order

    @cython.final
    cdef int set_point(self, double *x, Py_ssize_t at) noexcept nogil
    @cython.final
    cdef int e_step(self, double *log_coef, double temper) noexcept nogil
    @cython.final
    cdef int normalise(self, Py_ssize_t likeliest) noexcept nogil
    @cython.final
    cdef double log_density(self) noexcept nogil
    @cython.final
    cdef Py_ssize_t log_joint(self, double *log_coef, double temper) noexcept nogil
    @cython.final
    cdef bint measure(self, Rows rows, double *x, Py_ssize_t at, Py_ssize_t n) noexcept nogil
    @cython.final
    cdef bint e_step_many(self, Rows rows, double *x, Py_ssize_t at, Py_ssize_t n) noexcept nogil
    @cython.final
    cdef int e_step_row(self, Rows rows, Py_ssize_t i) noexcept nogil
    @cython.final
    cdef Py_ssize_t add_weights(self, double *log_coef, double temper) noexcept nogil
    @cython.final
    cdef Py_ssize_t likeliest(self, Py_ssize_t nearest) noexcept nogil
    @cython.final
    cdef Py_ssize_t log_joint_missing(self, double *log_coef, double temper) noexcept nogil

cimport cython
from online_gmm._kernel.gaussian.densities cimport Densities
from online_gmm._kernel.gaussian.rows cimport Rows


@cython.final
cdef class Components(Densities):
    cdef int update_statistics(self, double g) noexcept nogil
    cdef int update(self, double g) noexcept nogil
    cdef int update_one(self, Py_ssize_t k, double rho) noexcept nogil
    cdef int learn_rows(self, Rows rows, Py_ssize_t n) noexcept nogil
    cdef double e_step_rows(
        self, double *x, Py_ssize_t begin, Py_ssize_t end, Rows rows, bint learning, int answers,
        double *log_density, double *responsibilities, double *distance
    ) noexcept nogil

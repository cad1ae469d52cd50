cimport cython
from online_gmm._kernel.memory cimport Memory


@cython.final
cdef class Candidates(Memory):
    cdef Py_ssize_t n_features
    cdef Py_ssize_t length
    cdef double inverse
    cdef Py_ssize_t dead
    cdef Py_ssize_t least
    cdef bint divided
    cdef Py_ssize_t room
    cdef Py_ssize_t most
    cdef double cap
    cdef double steady
    cdef double dead_cost
    cdef double split
    cdef Py_ssize_t depth
    cdef Py_ssize_t vector
    cdef Py_ssize_t few
    cdef Py_ssize_t n
    cdef Py_ssize_t n_lanes
    cdef Py_ssize_t n_ripe
    cdef Py_ssize_t *order
    cdef Py_ssize_t *start
    cdef Py_ssize_t *start_row
    cdef Py_ssize_t *path
    cdef Py_ssize_t *n_path
    cdef double *count
    cdef double *cost
    cdef double *before
    cdef double *total
    cdef double *centers
    cdef double *opened
    cdef double *sums
    cdef double *squares
    cdef double *gain
    cdef double *share

    cdef int open(
        self, Py_ssize_t look, Py_ssize_t row, double before, Py_ssize_t parent, double *sums
    ) noexcept nogil
    cdef Py_ssize_t learn(
        self,
        double *z,
        double *excess,
        double *sums,
        Py_ssize_t t,
        double drift,
        double freedom,
    ) noexcept nogil
    cdef int soften(self, double freedom) noexcept nogil
    cdef Py_ssize_t cheapest(self, Py_ssize_t n, double penalty) noexcept
    cdef int prune(self, double most, Py_ssize_t t) noexcept
    cdef int drop(self, Py_ssize_t worst) noexcept nogil
    cdef int drop_beyond(self, double most, Py_ssize_t room) noexcept nogil
    cdef int follow(self, Py_ssize_t here, Py_ssize_t change) noexcept
    cdef int gather(self) noexcept nogil
    cdef int move(self, Py_ssize_t lane, Py_ssize_t to) noexcept nogil
    cdef int shift(self, double *f) noexcept
    cdef Py_ssize_t first_change(self, Py_ssize_t c) noexcept
    cdef int copy_center(self, Py_ssize_t c, double *z) noexcept
    cdef int set_center(self, Py_ssize_t c, double *z) noexcept

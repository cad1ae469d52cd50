cimport cython
from online_gmm._kernel.blocks cimport Blocks
from online_gmm._kernel.candidates cimport Candidates
from online_gmm._kernel.jumps cimport Jumps
from online_gmm._kernel.metric cimport Metric
from online_gmm._kernel.states cimport States


@cython.final
cdef class Scale:
    cdef Blocks blocks
    cdef Metric metric
    cdef Jumps jumps
    cdef readonly Py_ssize_t window
    cdef readonly Py_ssize_t n_features
    cdef Py_ssize_t length
    cdef Py_ssize_t dead
    cdef Py_ssize_t least
    cdef Py_ssize_t hold
    cdef Py_ssize_t longest_hold
    cdef double drift
    cdef double patience
    cdef readonly bint fitted
    cdef Py_ssize_t refit
    cdef double[::1] pending
    cdef Py_ssize_t[::1] pending_rows
    cdef Py_ssize_t n_pending
    cdef Py_ssize_t look
    cdef Py_ssize_t base
    cdef readonly Py_ssize_t base_row
    cdef double[::1] total
    cdef double[::1] z
    cdef Candidates candidates
    cdef Py_ssize_t last_change
    cdef Py_ssize_t streak
    cdef States states
    cdef readonly Py_ssize_t now
    cdef bint fresh
    cdef bint passing
    cdef Py_ssize_t previous
    cdef double[::1] segment_mean
    cdef double[::1] new_mean
    cdef double[::1] f
    cdef bint waiting
    cdef Py_ssize_t place
    cdef readonly Py_ssize_t n_changes
    cdef readonly list events
    cdef double ahead
    cdef double spent
    cdef readonly double within

    cdef int learn(self, double *rows, Py_ssize_t now, Py_ssize_t n_rows, Py_ssize_t row) except? -2
    cdef bint is_fit_due(self) noexcept
    cdef int step(self, double *f, Py_ssize_t row) except? -2
    cdef int decide(self, Py_ssize_t best, Py_ssize_t row) except? -2
    cdef int finish(self, Py_ssize_t change, Py_ssize_t lane, Py_ssize_t row) except? -2
    cdef bint is_passage(self, double windows, double apart) noexcept
    cdef bint is_in_curve(self, double windows, double apart) noexcept
    cdef double apart(self, Py_ssize_t lane) noexcept
    cdef int merge(self, Py_ssize_t k, Py_ssize_t row) except? -2
    cdef int measure(self) noexcept
    cdef bint jumps_by(self, double share) noexcept
    cdef int begin(self, Py_ssize_t place) noexcept
    cdef double look_since(self, Py_ssize_t lane) noexcept
    cdef int settle(self, Py_ssize_t row) except? -2
    cdef int report(self, double *mean, double windows, Py_ssize_t row, bint at_once) except? -2

cimport cython
from online_gmm._kernel.memory cimport Memory
from online_gmm._kernel.streams.kept cimport KeptPoints
from online_gmm._kernel.streams.schedule cimport StepSchedule
from online_gmm._kernel.streams.outlier_buffer cimport OutlierBuffer


cdef class Stream(Memory):
    cdef Py_ssize_t n_features
    cdef bint averaging
    cdef int every
    cdef Py_ssize_t n
    cdef StepSchedule schedule
    cdef double *gates
    cdef Py_ssize_t n_outliers
    cdef Py_ssize_t n_empty
    cdef KeptPoints kept
    cdef OutlierBuffer outlier_buffer
    cdef Py_ssize_t due
    cdef readonly bint is_due
    cdef bint moved
    cdef bint busy
    cdef double *point
    cdef readonly Py_ssize_t label
    cdef double probability
    cdef double log_density
    cdef bint outlier

    cdef int begin_rows(self, bint labelling)
    cdef int end_rows(self)
    cdef Py_ssize_t look_ahead(
        self, double *x, Py_ssize_t at, Py_ssize_t n, bint labelling
    ) noexcept nogil
    cdef int learn_point(self, Py_ssize_t row, double time) noexcept nogil
    cdef int label_point(self, Py_ssize_t row, double time) noexcept nogil
    cdef Py_ssize_t predict_point(self, double time) noexcept nogil
    cdef int refresh(self)
    @cython.final
    cdef Py_ssize_t run(
        self, double *x, Py_ssize_t begin, Py_ssize_t end, double *times, bint timed,
        double time, bint labelling, Py_ssize_t *labels, double *probability, double *log_density,
        unsigned char *outlier
    ) noexcept nogil
    @cython.final
    cdef Py_ssize_t learn_rows(
        self, double[::1] x, Py_ssize_t begin, Py_ssize_t end, double[::1] times, bint labelling,
        Py_ssize_t[::1] labels, double[::1] probability, double[::1] log_density,
        unsigned char[::1] outlier
    )
    @cython.final
    cdef bint is_outlier(self, double distance, Py_ssize_t observed, Py_ssize_t seen) noexcept nogil
    @cython.final
    cdef int wait(self)
    cpdef Py_ssize_t learn_one(self, object x, tuple names, double time)
    cpdef Py_ssize_t predict_one(self, object x, tuple names, double time)

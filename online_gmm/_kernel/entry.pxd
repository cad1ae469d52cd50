cdef class Entry:
    cdef public object _stream
    cdef public tuple _names
    cdef public bint _clocked
    cdef public bint _numbered

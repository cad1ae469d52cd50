/* The step of online EM by hand, against Python's C API: what learning a mapping costs at least.

Floor(state, names) goes on from the state of a kernel's stream, past the first points, so that the
iterate is read out every few points; learn_one(x) is the same arithmetic as the kernel's, with the
same checks of the values and the same counters, but nothing is kept for refits, values may not be
missing, and covariances are full or diagonal. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <string.h>

typedef struct {
    double *weight, *center, *scatter;
} Statistics;

typedef struct {
    PyObject_HEAD
    PyObject *names;
    Py_ssize_t k, d, size, n, outliers, unknown;
    int dense, every;
    double scale, exponent, least, points, strength, gate;
    Statistics iterate, average, report;
    double *prior, *mean, *factor, *inverse, *log_norm, *log_coef, *point, *resp, *residual, *matrix;
} Floor;

static double *
copied(PyObject *state, const char *name, Py_ssize_t size)
{
    PyObject *data = PyMapping_GetItemString(state, name);
    double *values = NULL;
    if (data == NULL)
        return NULL;
    if (PyBytes_GET_SIZE(data) != size * (Py_ssize_t)sizeof(double))
        PyErr_Format(PyExc_ValueError, "%s is of another size", name);
    else if ((values = PyMem_Malloc(size * sizeof(double) + 8)) != NULL)
        memcpy(values, PyBytes_AS_STRING(data), size * sizeof(double));
    Py_DECREF(data);
    return values;
}

static int
load(Floor *self, Statistics *s, PyObject *state, const char *name)
{
    PyObject *part = PyMapping_GetItemString(state, name);
    if (part == NULL)
        return -1;
    s->weight = copied(part, "weight", self->k);
    s->center = copied(part, "center", self->k * self->d);
    s->scatter = copied(part, "scatter", self->k * self->size);
    Py_DECREF(part);
    return s->weight && s->center && s->scatter ? 0 : -1;
}

static void
read_out(Floor *self)
{
    Py_ssize_t d = self->d;
    double share = self->strength / self->points;
    for (Py_ssize_t k = 0; k < self->k; k++) {
        double n = self->iterate.weight[k], total = n + share, product = 1.0, log_det = 0.0;
        const double *scatter = self->iterate.scatter + k * self->size;
        double *factor = self->factor + k * self->size, *inverse = self->inverse + k * d;
        for (Py_ssize_t j = 0; j < self->size; j++)
            self->matrix[j] = n * scatter[j] + share * self->prior[j];
        for (Py_ssize_t j = 0; j < d; j++) {
            double value, floor = 1e-12 * self->prior[self->dense ? j * d + j : j];
            if (self->dense) {
                double *column = factor + j * d;
                for (Py_ssize_t i = j; i < d; i++)
                    column[i] = self->matrix[i * d + j] / total;
                for (Py_ssize_t m = 0; m < j; m++)
                    for (Py_ssize_t i = j; i < d; i++)
                        column[i] -= factor[m * d + i] * factor[m * d + j];
                value = column[j];
            } else {
                value = self->matrix[j] / total;
            }
            value = sqrt(value > floor ? value : floor);
            inverse[j] = 1.0 / value;
            if (self->dense) {
                factor[j * d + j] = value;
                for (Py_ssize_t i = j + 1; i < d; i++)
                    factor[j * d + i] *= inverse[j];
            } else {
                factor[j] = 1.0 / value;
            }
            product *= value;
            if (product > 1e150 || product < 1e-150) {
                log_det += log(product);
                product = 1.0;
            }
        }
        memcpy(self->mean + k * d, self->iterate.center + k * d, d * sizeof(double));
        self->log_norm[k] = -0.5 * d * 1.8378770664093453 - log_det - log(product);
        self->log_coef[k] = log(n) + self->log_norm[k];
    }
}

static void
mix(Floor *self, Statistics *one, const Statistics *other, double share)
{
    Py_ssize_t d = self->d;
    for (Py_ssize_t k = 0; k < self->k; k++) {
        double value = share * other->weight[k];
        double n = (1.0 - share) * one->weight[k] + value, rho = value / n;
        double keep = 1.0 - rho, cross = rho * keep;
        double *s = one->scatter + k * self->size;
        const double *t = other->scatter + k * self->size;
        one->weight[k] = n;
        for (Py_ssize_t j = 0; j < d; j++) {
            self->residual[j] = other->center[k * d + j] - one->center[k * d + j];
            one->center[k * d + j] += rho * self->residual[j];
        }
        if (self->dense) {
            for (Py_ssize_t i = 0; i < d; i++)
                for (Py_ssize_t j = 0; j <= i; j++)
                    s[i * d + j] = keep * s[i * d + j] + rho * t[i * d + j]
                                   + cross * self->residual[i] * self->residual[j];
        } else {
            for (Py_ssize_t j = 0; j < d; j++)
                s[j] = keep * s[j] + rho * t[j] + cross * self->residual[j] * self->residual[j];
        }
    }
}

static void
step(Floor *self)
{
    Py_ssize_t d = self->d, nearest = 0;
    double best = -1e308, total = 0.0, least = 1e308, g;
    for (Py_ssize_t k = 0; k < self->k; k++) {
        double square = 0.0;
        const double *mean = self->mean + k * d, *inverse = self->inverse + k * d;
        const double *factor = self->factor + k * self->size;
        for (Py_ssize_t i = 0; i < d; i++)
            self->residual[i] = self->point[i] - mean[i];
        for (Py_ssize_t i = 0; i < d; i++) {
            double value = self->residual[i] * inverse[i];
            value = value < -1e150 ? -1e150 : value > 1e150 ? 1e150 : value;
            square += value * value;
            if (self->dense)
                for (Py_ssize_t j = i + 1; j < d; j++)
                    self->residual[j] -= factor[i * d + j] * value;
        }
        if (square < least) {
            least = square;
            nearest = k;
        }
        self->resp[k] = self->log_coef[k] - 0.5 * square;
        if (self->resp[k] > best)
            best = self->resp[k];
    }
    for (Py_ssize_t k = 0; k < self->k; k++) {
        double value = self->resp[k] - best;
        value = best > -1e308 ? (value > -700.0 ? exp(value) : 0.0) : k == nearest;
        self->resp[k] = value;
        total += value;
    }
    self->n++;
    g = self->scale * pow((double)self->n, -self->exponent);
    g = g < self->least ? self->least : g;
    int lag = self->every;
    while (lag > 1 && lag * g > 0.02)
        lag /= 2;
    double pull = g;
    if (least > self->gate) {
        pull = g * (self->gate / least) * (self->gate / least);
        self->outliers++;
    }
    self->points += 1.0;
    for (Py_ssize_t k = 0; k < self->k; k++) {
        double value = pull * (self->resp[k] / total);
        double n = (1.0 - pull) * self->iterate.weight[k] + value, rho, keep;
        self->iterate.weight[k] = n;
        if (value <= 1e-17 * n)
            continue;
        rho = value / n;
        keep = 1.0 - rho;
        double *center = self->iterate.center + k * d;
        double *scatter = self->iterate.scatter + k * self->size;
        for (Py_ssize_t j = 0; j < d; j++) {
            self->residual[j] = self->point[j] - center[j];
            center[j] += rho * self->residual[j];
        }
        if (self->dense) {
            for (Py_ssize_t i = 0; i < d; i++) {
                double r = rho * self->residual[i];
                for (Py_ssize_t j = 0; j <= i; j++)
                    scatter[i * d + j] = keep * (scatter[i * d + j] + r * self->residual[j]);
            }
        } else {
            for (Py_ssize_t j = 0; j < d; j++) {
                double r = self->residual[j];
                scatter[j] = keep * (scatter[j] + rho * r * r);
            }
        }
    }
    if (self->n % lag == 0)
        read_out(self);
    if (self->n % self->every == 0) {
        double share = 1.0 / (self->n * g);
        mix(self, &self->average, &self->iterate, (double)self->every / self->n);
        memcpy(self->report.weight, self->average.weight, self->k * sizeof(double));
        memcpy(self->report.center, self->average.center, self->k * d * sizeof(double));
        memcpy(self->report.scatter, self->average.scatter, self->k * self->size * sizeof(double));
        mix(self, &self->report, &self->iterate, share < 1.0 ? share : 1.0);
    }
}

static PyObject *
Floor_learn_one(Floor *self, PyObject *x)
{
    Py_ssize_t found = 0;
    if (!PyDict_CheckExact(x)) {
        PyErr_SetString(PyExc_TypeError, "a dict is expected");
        return NULL;
    }
    for (Py_ssize_t j = 0; j < self->d; j++) {
        PyObject *item = PyDict_GetItemWithError(x, PyTuple_GET_ITEM(self->names, j));
        if (item == NULL) {
            if (!PyErr_Occurred())
                PyErr_SetString(PyExc_ValueError, "a value is missing");
            return NULL;
        }
        double value = PyFloat_CheckExact(item) ? PyFloat_AS_DOUBLE(item) : PyFloat_AsDouble(item);
        if (!(value <= 1e150 && value >= -1e150)) {
            if (!PyErr_Occurred())
                PyErr_Format(PyExc_ValueError, "feature %R is %R",
                             PyTuple_GET_ITEM(self->names, j), item);
            return NULL;
        }
        self->point[j] = value;
        found++;
    }
    self->unknown += PyDict_GET_SIZE(x) - found;
    step(self);
    Py_RETURN_NONE;
}

static PyObject *
Floor_centers(Floor *self, PyObject *Py_UNUSED(ignored))
{
    return PyBytes_FromStringAndSize((char *)self->iterate.center,
                                     self->k * self->d * sizeof(double));
}

static int
Floor_init(Floor *self, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    PyObject *state, *iterate;
    Py_ssize_t kind;
    if (!PyArg_ParseTuple(args, "OO!nnnndddddd:Floor", &state, &PyTuple_Type, &self->names, &self->k,
                          &self->d, &kind, &self->n, &self->scale, &self->exponent, &self->least,
                          &self->points, &self->strength, &self->gate))
        return -1;
    Py_INCREF(self->names);
    self->every = 16;
    self->dense = kind == 0;
    self->size = self->dense ? self->d * self->d : self->d;
    if (load(self, &self->iterate, state, "iterate") || load(self, &self->average, state, "average")
        || load(self, &self->report, state, "report"))
        return -1;
    if ((iterate = PyMapping_GetItemString(state, "iterate")) == NULL)
        return -1;
    self->prior = copied(iterate, "prior", self->size);
    Py_DECREF(iterate);
    double **spaces[] = {&self->mean, &self->inverse, &self->log_norm, &self->log_coef, &self->point,
                         &self->resp, &self->residual, &self->matrix, &self->factor};
    for (int i = 0; i < 9; i++)
        if ((*spaces[i] = PyMem_Calloc(self->k * self->d * self->d, sizeof(double))) == NULL)
            return -1;
    if (self->prior == NULL)
        return -1;
    read_out(self);
    return 0;
}

static PyMethodDef methods[] = {
    {"learn_one", (PyCFunction)Floor_learn_one, METH_O, "Learn a dict."},
    {"centers", (PyCFunction)Floor_centers, METH_NOARGS, "Means of the iterate, as bytes."},
    {NULL},
};

static PyTypeObject FloorType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "floor.Floor",
    .tp_basicsize = sizeof(Floor),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_methods = methods,
    .tp_init = (initproc)Floor_init,
    .tp_new = PyType_GenericNew,
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "floor", NULL, -1, NULL};

PyMODINIT_FUNC
PyInit_floor(void)
{
    PyObject *m = PyModule_Create(&module);
    if (m == NULL || PyModule_AddType(m, &FloorType) < 0)
        return NULL;
    return m;
}

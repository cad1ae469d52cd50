"""Slow and obvious references: raw formulas, whole matrices, one loop."""

import numpy as np
from scipy.stats import chi2


def conditional(x, mean, cov):
    """Conditional mean and covariance of a point whose missing entries are NaN."""
    m, o = np.isnan(x), ~np.isnan(x)
    filled, spread = np.where(m, mean, x), np.zeros_like(cov)
    if m.any():
        gain = cov[np.ix_(m, o)] @ np.linalg.inv(cov[np.ix_(o, o)])
        filled[m] = mean[m] + gain @ (x[o] - mean[o])
        spread[np.ix_(m, m)] = cov[np.ix_(m, m)] - gain @ cov[np.ix_(o, m)]
    return filled, spread


def log_normal(x, mean, cov):
    """Log density of a normal distribution."""
    away = x - mean
    distance = away @ np.linalg.solve(cov, away)
    return -0.5 * (distance + np.linalg.slogdet(cov)[1] + len(x) * np.log(2.0 * np.pi))


def log_joint(x, weights, means, covs):
    """Log of weight times density for each component, shape (K,); missing values left out."""
    o = ~np.isnan(x)
    return np.array(
        [
            np.log(w) + log_normal(x[o], m[o], c[np.ix_(o, o)])
            for w, m, c in zip(weights, means, covs, strict=True)
        ]
    )


def e_step(x, weights, means, covs):
    """Responsibilities, log density, and smallest squared Mahalanobis distance."""
    joint = log_joint(x, weights, means, covs)
    top = joint.max()
    total = top + np.log(np.exp(joint - top).sum())
    o = ~np.isnan(x)
    distance = min(
        (x - m)[o] @ np.linalg.inv(c[np.ix_(o, o)]) @ (x - m)[o]
        for m, c in zip(means, covs, strict=True)
    )
    return np.exp(joint - total), total, distance


def statistics(x, resp, means, covs):
    """Raw statistics of one point: r, r x, r (x x' + C)."""
    s0, s1, s2 = [], [], []
    for r, m, c in zip(resp, means, covs, strict=True):
        filled, spread = conditional(x, m, c)
        s0.append(r)
        s1.append(r * filled)
        s2.append(r * (np.outer(filled, filled) + spread))
    return np.array(s0), np.array(s1), np.array(s2)


def m_step(s0, s1, s2, n, strength, prior, covariance_type):
    """Parameters from raw mean statistics of n points; prior is the diagonal of C."""
    share = strength / n
    means = s1 / s0[:, None]
    scatter = s2 / s0[:, None, None] - means[:, :, None] * means[:, None, :]
    d = means.shape[1]
    if covariance_type == "tied":
        pooled = (s0[:, None, None] * scatter).sum(0) + share * np.diag(prior)
        covs = np.repeat(pooled[None] / (s0.sum() + share), len(s0), axis=0)
    else:
        covs = s0[:, None, None] * scatter + share * np.diag(prior)
        covs /= (s0 + share)[:, None, None]
    if covariance_type == "diag":
        covs = covs * np.eye(d)
    if covariance_type == "spherical":
        covs = np.einsum("kii->k", covs)[:, None, None] / d * np.eye(d)
    return s0 / s0.sum(), means, covs


def em(X, weights, means, covs, strength, prior, covariance_type, n_iter):
    """Batch EM on whole arrays."""
    for _ in range(n_iter):
        total = None
        for x in X:
            resp, _, _ = e_step(x, weights, means, covs)
            new = statistics(x, resp, means, covs)
            total = new if total is None else tuple(a + b for a, b in zip(total, new, strict=True))
        s = tuple(a / len(X) for a in total)
        weights, means, covs = m_step(*s, len(X), strength, prior, covariance_type)
    return weights, means, covs


def mix(s, other, share):
    return tuple((1 - share) * a + share * b for a, b in zip(s, other, strict=True))


class Stream:
    """Online EM on raw moments, with averaging and gate, from the parameters of a warm start."""

    def __init__(self, X, start, strength, prior, covariance_type, exponent, every, gate):
        self.settings = strength, prior, covariance_type
        self.n = len(X)
        self.exponent, self.every, self.gate = exponent, every, gate
        parts = [statistics(x, e_step(x, *start)[0], start[1], start[2]) for x in X]
        self.s = tuple(np.mean([p[i] for p in parts], axis=0) for i in range(3))
        self.average = self.report = self.s

    def parameters(self, s):
        return m_step(*s, self.n, *self.settings)

    def learn(self, x):
        parameters = self.parameters(self.s)
        resp, _, distance = e_step(x, *parameters)
        new = statistics(x, resp, *parameters[1:])
        self.n += 1
        g = self.n**-self.exponent
        gate = chi2.isf(self.gate, (~np.isnan(x)).sum())
        if distance > gate:
            g *= (gate / distance) ** 2
        self.s = mix(self.s, new, g)
        if self.n % self.every == 0:
            self.average = mix(self.average, self.s, self.every / self.n)
            self.report = mix(self.average, self.s, self.n ** (self.exponent - 1))
            self.report_n = self.n

    def reported(self):
        return m_step(*self.report, self.report_n, *self.settings)

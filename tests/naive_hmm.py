"""Hidden Markov models the slow and obvious way: forward-backward, whole paths, raw moments."""

import itertools

import numpy as np
from scipy.linalg import expm
from scipy.stats import chi2

from tests import naive


def stationary(transition, timed=False):
    """The left eigenvector that belongs to no change."""
    values, vectors = np.linalg.eig(transition.T)
    pi = np.real(vectors[:, np.abs(values - (0.0 if timed else 1.0)).argmin()])
    return pi / pi.sum()


def steps(transition, gaps, timed=False):
    """Transition matrix over each gap but the first."""
    return [expm(transition * gap) if timed else transition for gap in gaps[1:]]


def log_densities(X, means, covs):
    ones = np.ones(len(means))
    return np.array(
        [0.0 * ones if np.isnan(x).all() else naive.log_joint(x, ones, means, covs) for x in X]
    )


def forward_backward(log_b, matrices, pi):
    """Filtered and smoothed probabilities, pairs (n - 1, K, K), log densities given the past."""
    n, k = log_b.shape
    b = np.exp(log_b - log_b.max(axis=1, keepdims=True))
    alpha, beta, c = np.empty((n, k)), np.ones((n, k)), np.empty(n)
    for t in range(n):
        a = (pi if t == 0 else alpha[t - 1] @ matrices[t - 1]) * b[t]
        c[t] = a.sum()
        alpha[t] = a / c[t]
    for t in range(n - 2, -1, -1):
        beta[t] = matrices[t] @ (b[t + 1] * beta[t + 1]) / c[t + 1]
    pairs = np.array(
        [
            alpha[t][:, None] * matrices[t] * (b[t + 1] * beta[t + 1])[None] / c[t + 1]
            for t in range(n - 1)
        ]
    )
    return alpha, alpha * beta, pairs.reshape(n - 1, k, k), np.log(c) + log_b.max(axis=1)


def jumps(rates, gap):
    """Expected changes i -> j and times in i with the end in b, given the start in a: [i, j, a, b].

    The integral of exp(Q s) E_ij exp(Q (gap - s)) is a block of a matrix exponential (Van Loan
    1978).
    """
    k = len(rates)
    result = np.empty((k, k, k, k))
    for i, j in itertools.product(range(k), repeat=2):
        block = np.zeros((2 * k, 2 * k))
        block[:k, :k] = block[k:, k:] = rates
        block[i, k + j] = 1.0
        result[i, j] = expm(block * gap)[:k, k:] * (1.0 if i == j else rates[i, j])
    return result


def flow_of(pairs, transition, gaps, timed):
    """Sum of changes, and times where they are timed, over a series."""
    if not timed:
        return pairs.sum(axis=0)
    flow = np.zeros_like(transition)
    for pair, gap in zip(pairs, gaps[1:], strict=True):
        flow += np.einsum("ijab,ab->ij", jumps(transition, gap), pair / expm(transition * gap))
    return flow


def maximise_chain(flow, pseudo, timed):
    total = flow + pseudo
    if not timed:
        return total / total.sum(axis=1, keepdims=True)
    rates = total / np.diagonal(total)[:, None]
    np.fill_diagonal(rates, 0.0)
    np.fill_diagonal(rates, -rates.sum(axis=1))
    return rates


def baum_welch_step(X, gaps, means, covs, transition, pseudo, strength, prior, kind, timed):
    """One EM step with everything written out: weights, means, covariances, transition, log p."""
    log_b = log_densities(X, means, covs)
    _, gamma, pairs, log_p = forward_backward(
        log_b, steps(transition, gaps, timed), stationary(transition, timed)
    )
    parts = [naive.statistics(x, g, means, covs) for x, g in zip(X, gamma, strict=True)]
    s = tuple(np.mean([p[i] for p in parts], axis=0) for i in range(3))
    flow = flow_of(pairs, transition, gaps, timed)
    mixture = naive.m_step(*s, len(X), strength, prior, kind)
    return *mixture, maximise_chain(flow, pseudo, timed), log_p.sum()


def viterbi(log_b, matrices, pi):
    """The best of all K^n paths."""
    n, k = log_b.shape

    def score(path):
        value = np.log(pi[path[0]]) + log_b[0, path[0]]
        for t in range(1, n):
            value += np.log(matrices[t - 1][path[t - 1], path[t]]) + log_b[t, path[t]]
        return value

    return max(itertools.product(range(k), repeat=n), key=score)


class Stream:
    """Cappe's recursion on raw moments, with averaging and gate.

    ``rho`` holds, for each place k the chain may be in, the statistics of all points given that.
    """

    def __init__(self, X, gaps, start, settings):
        self.__dict__.update(settings)
        self.n = 0
        _, self.means, self.covs, self.transition = start
        k, d = self.means.shape
        self.rho = [np.zeros((k, k, *shape)) for shape in ((), (d,), (d, d), (k,))]
        self.belief = stationary(self.transition, self.timed)
        for i, x in enumerate(X):
            self.n += 1
            self.step(x, gaps[i], 1.0 / self.n, None, first=i == 0)
        self.s = self.collected()
        self.average = self.report = self.s
        self.reported = start[1:]
        belief = stationary(self.transition, self.timed)
        for i, x in enumerate(X):
            predicted = belief @ self.matrix(self.transition, gaps[i]) if i else belief
            belief = self.weighed(predicted, x, self.means, self.covs)[0]
        self.report_belief = belief
        self.lost = False

    def lose_sight(self):
        """The next place is any, and tells nothing of what was before."""
        self.rho = [
            np.repeat(np.einsum("k,ik...->i...", self.belief, rho)[:, None], len(self.means), 1)
            for rho in self.rho
        ]
        self.belief = stationary(self.transition, self.timed)
        self.report_belief = stationary(self.reported[2], self.timed)
        self.lost = True

    def matrix(self, transition, gap):
        return expm(transition * gap) if self.timed else transition

    def weighed(self, predicted, x, means, covs):
        """Belief after a point, and how far the point counts."""
        distance = naive.e_step(x, predicted, means, covs)[2]
        o = ~np.isnan(x)
        gate = chi2.isf(self.gate, o.sum()) if o.any() and self.gate else np.inf
        outlying = gate / distance if distance > gate else 1.0
        log_b = naive.log_joint(x, np.ones(len(means)), means, covs)
        joint = np.log(predicted) + self.tempering * outlying**2 * log_b
        belief = np.exp(joint - joint.max())
        return belief / belief.sum(), outlying

    def step(self, x, gap, g, gate, first=False):
        k = len(self.means)
        matrix = np.eye(k) if first else self.matrix(self.transition, gap)
        predicted = self.belief @ matrix
        back = self.belief[:, None] * matrix / predicted
        flow = np.zeros((k, k, k))
        if self.timed and not first:
            flow = np.einsum("a,ijab->ijb", self.belief, jumps(self.transition, gap)) / predicted
        elif not first:
            for j in range(k):
                flow[:, j, j] = back[:, j]
        saved, self.gate = self.gate, self.gate if gate else 0.0
        self.belief, outlying = self.weighed(predicted, x, self.means, self.covs)
        self.gate = saved
        g *= outlying**2
        new = naive.statistics(x, np.ones(k), self.means, self.covs)
        for s, rho in enumerate(self.rho[:3]):
            moved = (1.0 - g) * np.einsum("hk,ih...->ik...", back, rho)
            for i in range(k):
                moved[i, i] += g * new[s][i]
            self.rho[s] = moved
        if self.__dict__.pop("lost", False):
            return
        # pairs: [i, k, j]
        self.rho[3] = g * flow.transpose(0, 2, 1) + (1.0 - g) * np.einsum(
            "hk,ihj->ikj", back, self.rho[3]
        )

    def collected(self):
        return tuple(np.einsum("k,ik...->i...", self.belief, rho) for rho in self.rho)

    def read(self, s, n):
        mixture = naive.m_step(*s[:3], n, self.strength, self.prior, self.kind)
        return (*mixture, maximise_chain(n * s[3], self.pseudo, self.timed))

    def learn(self, x, gap):
        self.n += 1
        g = self.n**-self.exponent
        self.step(x, gap, g, True)
        self.s = self.collected()
        _, self.means, self.covs, self.transition = self.read(self.s, self.n)
        means, covs, transition = self.reported
        predicted = self.report_belief @ self.matrix(transition, gap)
        self.report_belief = self.weighed(predicted, x, means, covs)[0]
        if self.n % self.every == 0:
            self.average = naive.mix(self.average, self.s, self.every / self.n)
            self.report = naive.mix(self.average, self.s, min(1.0, self.n ** (self.exponent - 1)))
            self.report_n = self.n
            self.reported = self.read(self.report, self.n)[1:]


class LaggedStream(Stream):
    """Statistics of points that are smoothed by those up to ``lag`` or more later; not timed."""

    def __init__(self, X, gaps, start, settings):
        k, d = start[1].shape
        self.waiting = []
        self.sums = [np.zeros((k, *shape)) for shape in ((), (d,), (d, d), (k,))]
        super().__init__(X, gaps, start, settings)
        # the warm start ends with all of its points
        self.enter(len(self.waiting))
        self.s = self.collected()
        self.average = self.report = self.s

    def lose_sight(self):
        self.enter(len(self.waiting))
        self.belief = stationary(self.transition)
        self.report_belief = stationary(self.reported[2])
        self.lost = True

    def step(self, x, gap, g, gate, first=False):
        matrix = np.eye(len(self.means)) if first else self.transition
        predicted = self.belief @ matrix
        back = self.belief[:, None] * matrix / predicted
        saved, self.gate = self.gate, self.gate if gate else 0.0
        self.belief, outlying = self.weighed(predicted, x, self.means, self.covs)
        self.gate = saved
        g *= outlying**2
        lost = self.__dict__.pop("lost", False)
        self.waiting.append((x, back, g, 0.0 if first or lost else g))
        self.has_entered = len(self.waiting) == 2 * self.lag
        if self.has_entered:
            self.enter(self.lag)

    def enter(self, m):
        gamma = [self.belief]
        for _, back, _, _ in self.waiting[:0:-1]:
            gamma.insert(0, back @ gamma[0])
        for (x, back, g, change), its in zip(self.waiting[:m], gamma, strict=False):
            new = naive.statistics(x, its, self.means, self.covs)
            for s in range(3):
                self.sums[s] = (1.0 - g) * self.sums[s] + g * new[s]
            self.sums[3] = (1.0 - change) * self.sums[3] + change * back * its
        self.waiting = self.waiting[m:]

    def collected(self):
        return tuple(np.array(s) for s in self.sums)

    def learn(self, x, gap):
        self.n += 1
        g = self.n**-self.exponent
        self.step(x, gap, g, True)
        if self.has_entered:
            self.s = self.collected()
            _, self.means, self.covs, self.transition = self.read(self.s, self.n)
        means, covs, transition = self.reported
        self.report_belief = self.weighed(self.report_belief @ transition, x, means, covs)[0]
        if self.n % self.every == 0:
            self.average = naive.mix(self.average, self.s, self.every / self.n)
            self.report = naive.mix(self.average, self.s, min(1.0, self.n ** (self.exponent - 1)))
            self.report_n = self.n
            self.reported = self.read(self.report, self.n)[1:]

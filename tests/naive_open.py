"""The open chain, slowly: components are dictionaries, formulas stand as they are written."""

import numpy as np

ALPHA, POOLING = 0.1, 20.0


def labels(rows, h, capacity, settings, spans):
    """Labels of complete rows, each one look; settings and spans as of `_kernel.OpenChain`."""
    temper, dwell, novelty, floor, strength = settings
    warm, birth, young, bounce = spans
    stay, d = np.exp(-h / dwell), rows.shape[1]
    first = {
        "n": warm * h,
        "mu": rows[:warm].mean(0),
        "s": rows[:warm].var(0),
        "id": 0,
        "belief": 1.0,
        "born": -np.inf,
        "used": 0,
    }
    pool = first["s"].copy()
    known, new, fresh = [first], 0.0, 1
    now, regime, before, entered, held = first, first, None, 0, 0
    out = [0] * min(warm, len(rows))

    def variance(c):
        return (c["n"] * c["s"] + strength * pool) / (c["n"] + strength) + floor

    first["v"] = variance(first)
    for t in range(warm, len(rows)):
        x = rows[t]
        prior, log_density = [], []
        for c in known:
            prior.append(
                stay * c["belief"] + (1 - stay) * (1 - ALPHA) * (1 - c["belief"]) / len(known)
            )
            v = c["v"] * (c["n"] + 1) / c["n"]
            log_density.append(-0.5 * np.sum(np.log(v) + (x - c["mu"]) ** 2 / v))
        prior.append(stay * new + (1 - stay) * ALPHA * (1 - new))
        log_density.append(-0.5 * (np.log(pool + floor).sum() + d * novelty))
        joint = np.log(np.array(prior) + 1e-300) + temper * h * np.array(log_density)
        if now is not None and t - now["born"] < young:
            joint[-1] = -np.inf
        posterior = np.exp(joint - joint.max())
        posterior = np.maximum(posterior / posterior.sum(), 1e-30)
        best = int(joint.argmax())
        now, new = (known[best] if best < len(known) else None), posterior[-1]
        for c, b in zip(known, posterior, strict=False):
            c["belief"] = b
            if b < 1e-3:
                continue
            c["n"] += b * h
            g, e = b * h / c["n"], x - c["mu"]
            c["s"] = (1 - g) * (c["s"] + g * e**2)
            c["mu"] = c["mu"] + g * e
            e = np.minimum((x - c["mu"]) ** 2, 9 * (pool + floor))
            pool += b * h / (POOLING + strength) * (e - pool)
            c["v"] = variance(c)
        if now is not None and now is not regime:
            back = now is before and t - entered < bounce
            before, left, regime, entered = regime, regime, now, t
            if back:
                elder, younger = sorted((left, now), key=lambda c: c["id"])
                g = younger["n"] / (elder["n"] + younger["n"])
                e = younger["mu"] - elder["mu"]
                elder["s"] = (1 - g) * elder["s"] + g * younger["s"] + g * (1 - g) * e**2
                elder["mu"] = elder["mu"] + g * e
                elder["n"] += younger["n"]
                elder["belief"] += younger["belief"]
                elder["born"] = min(elder["born"], younger["born"])
                elder["used"] = max(elder["used"], younger["used"])
                elder["v"] = variance(elder)
                known = [c for c in known if c is not younger]
                now = regime = before = elder
        held = held + 1 if now is None else 0
        if now is not None:
            now["used"] = t
        out.append(fresh if now is None else now["id"])
        if held >= birth:
            if len(known) == capacity:
                oldest = min(known, key=lambda c: c["used"])
                known = [c for c in known if c is not oldest]
            part = rows[t + 1 - max(2, birth // 2) : t + 1]
            for c in known:
                c["belief"] *= 0.01
            child = {
                "n": len(part) * h,
                "mu": part.mean(0),
                "s": part.var(0),
                "id": fresh,
                "belief": 0.98,
                "born": t,
                "used": t,
            }
            child["v"] = variance(child)
            known.append(child)
            new, fresh, before, regime, now, entered, held = (
                1e-3,
                fresh + 1,
                regime,
                child,
                child,
                t,
                0,
            )
    return out

"""Plain references of deepnp.ops.attention."""

import itertools
import math

import numpy as np


def attend(query, keys, values, mask_row):
    """One query (d,) -> (dv,): over the keys whose mask is finite only, so that none is left where all are masked."""
    seen = [j for j in range(len(keys)) if mask_row[j] > -math.inf]
    out = [0.0] * values.shape[-1]
    if not seen:
        return out
    scores = {}
    for j in seen:
        product = sum(float(a) * float(b) for a, b in zip(query, keys[j], strict=True))
        scores[j] = product / math.sqrt(len(query)) + float(mask_row[j])
    total = sum(math.exp(s) for s in scores.values())
    for c in range(len(out)):
        out[c] = sum(math.exp(scores[j]) / total * float(values[j, c]) for j in seen)
    return out


def attention(q, k, v, mask=None, causal=False, block=None):
    rows, columns = q.shape[-2], k.shape[-2]
    full = np.zeros((*q.shape[:-1], columns)) + (0.0 if mask is None else mask)
    y = np.zeros((*q.shape[:-1], v.shape[-1]))
    for lead in itertools.product(*map(range, q.shape[:-2])):
        for i in range(rows):
            row = [-math.inf if causal and j > i else full[lead][i, j] for j in range(columns)]
            y[lead][i] = attend(q[lead][i], k[lead], v[lead], row)
    return y


REFERENCES = {"attention.scaled_dot_product": attention, "attention.block_scaled_dot_product": attention}

"""Seeded weights, rule version 1: the numpy side of `--weights seeded:SEED[,SUFFIX=FACTOR...]`.

Element i of a tensor is a hash of (seed, tensor name, i), mapped to [-1, 1) and then scaled by the tensor's kind.
"""

import numpy as np


def uniform(name, count, seed=1):
    """`count` float32 values in [-1, 1), reproducible from the tensor's name and the seed."""
    state = 0xCBF29CE484222325
    for byte in name.encode():  # FNV-1a
        state = (state ^ byte) * 0x100000001B3 % 2**64
    with np.errstate(over="ignore"):  # splitmix64 in counter mode
        bits = np.uint64(state ^ seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        bits = (bits ^ bits >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ bits >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
        bits ^= bits >> np.uint64(31)
    return (bits >> np.uint64(40)).astype(np.float32) * np.float32(2**-23) - np.float32(1)


def tensor(name, shape, seed=1, factors=None):
    """The seeded value of a checkpoint tensor; `factors` maps name suffixes to a further factor."""
    s = uniform(name, int(np.prod(shape, dtype=np.int64)), seed)
    kind = name.rpartition(".")[2]
    if kind == "running_var":
        value = 1 + np.float32(0.5) * s
    elif kind == "running_mean":
        value = np.float32(0.1) * s
    elif "gamma" in kind or kind in ("ls1", "ls2"):
        value = np.float32(0.5) + np.float32(0.2) * s
    elif len(shape) > 1:
        value = s * np.float32(np.sqrt(3 / np.prod(shape[1:], dtype=np.float64)))
    elif kind == "weight":
        value = 1 + np.float32(0.2) * s
    else:
        value = np.float32(0.1) * s
    for suffix, factor in (factors or {}).items():
        if name.endswith(suffix):
            value = value * np.float32(factor)
    return value.reshape(shape)


def image(shape, seed=1):
    """The images of golden cases and benchmarks: the values of the name `input`, used without normalisation."""
    return uniform("input", int(np.prod(shape)), seed).reshape(shape)

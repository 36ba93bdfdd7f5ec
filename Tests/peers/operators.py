"""The attention operators as formulas in PyTorch, written from their papers.

Tensors are channel-major, (B, heads, d, N), which is how a convolution leaves its output and the layout in which
PyTorch and ONNX Runtime move the least data. `rope` is a pair of tables cos, sin (d/2, N), or None for no rotation.
"""

import torch
import torch.nn.functional as F


def mapped(x):
    """ELU(x) + 1, without the rounding of expm1(x) + 1."""
    return F.relu(x) + x.clamp(max=0).exp()


def tables(height, width, d):
    """cos and sin of a token grid: rows turn the first half of the channel pairs, columns the second."""
    frequency = (10000.0 ** -torch.linspace(0, 1, d // 4))[:, None, None]
    row = (torch.arange(height)[:, None] * frequency).expand(-1, -1, width)
    column = (torch.arange(width) * frequency).expand(-1, height, -1)
    angle = torch.cat([row, column]).flatten(1)
    return angle.cos(), angle.sin()


def rotate(x, rope):
    """Rotates channel pairs; the first members of all pairs come first, then the second ones (see `deinterleave`)."""
    if rope is None:
        return x
    cos, sin = rope
    first, second = x.chunk(2, 2)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], 2)


def deinterleave(x, heads, axis):
    """Moves the first members of the neighbouring channel pairs of every head before the second ones.

    Attention does not change when queries and keys permute their channels alike, and contiguous halves are cheaper to
    rotate than neighbours in every runtime.
    """
    return x.unflatten(axis, (heads, -1, 2)).transpose(axis + 1, axis + 2).flatten(axis, axis + 2)


def softmax(q, k, v, rope=None):
    scale = q.shape[2] ** -0.5
    scores = (rotate(q, rope) * scale).transpose(2, 3) @ rotate(k, rope)  # (B, h, queries, keys)
    return v @ torch.softmax(scores, 3).transpose(2, 3)


def rala(q, k, v, rope=None):
    """Rank-augmented: keys weighted by a softmax against the mean query (arXiv 2411.07635)."""
    q, k = mapped(q), mapped(k)
    scale = q.shape[2] ** -0.5
    weighted = torch.softmax(scale * (q.mean(3, keepdim=True).transpose(2, 3) @ k), 3) * k
    denominator = weighted.sum(3, keepdim=True).transpose(2, 3) @ q + 1e-6
    summary = v @ rotate(weighted, rope).transpose(2, 3)  # rows are value channels
    return summary @ rotate(q, rope) / denominator


def mala(q, k, v, rope=None):
    """Magnitude-aware: a scale and an offset in the place of a division (arXiv 2507.00698)."""
    q, k = mapped(q), mapped(k)
    scale = q.shape[2] ** -0.5
    z = scale * (k.mean(3, keepdim=True).transpose(2, 3) @ q)
    summary = v @ rotate(k, rope).transpose(2, 3) * (scale / q.shape[3])
    return summary @ rotate(q, rope) * (1 + 1 / (z + 1e-6)) - z * v.mean(3, keepdim=True)


def inline(q, k, v):
    """Injective: a subtraction in the place of a division (arXiv 2412.06590), without the local residual."""
    scale = q.shape[2] ** -0.5
    summary = v @ k.transpose(2, 3) * (scale / q.shape[3])
    share = scale * (k.mean(3, keepdim=True).transpose(2, 3) @ q)
    return summary @ q + (1 - share) * v.mean(3, keepdim=True)


def lit(q, k, v, weight, bias, grid):
    """Few-head ReLU attention with a depthwise convolution of the values, one filter bank for all heads
    (arXiv 2501.12976); `grid` is (height, width)."""
    q, k = F.relu(q) + 1e-6, F.relu(k) + 1e-6
    denominator = k.mean(3, keepdim=True).transpose(2, 3) @ q + 1e-6
    linear = v @ k.transpose(2, 3) / q.shape[3] @ q / denominator
    images = v.flatten(0, 1).unflatten(2, grid)
    filters = {"weight": weight.to(v.dtype), "bias": bias.to(v.dtype)}
    local = F.conv2d(images, **filters, padding=weight.shape[2] // 2, groups=len(weight))
    return linear + local.reshape(v.shape)


def sla(q, k, v, group, groups):
    """Scattered linear attention: every row of q, k, v (N, heads, d) attends to its own group (arXiv 2401.00912).

    Written as PyTorch users do it, with index_add and gathers: ragged groups have no matrix product there.
    """
    q, k = F.relu(q), F.relu(k)
    _, heads, d = q.shape
    summary = q.new_zeros(groups, heads, d, d).index_add(0, group, k[..., None] * v[..., None, :])
    total = q.new_zeros(groups, heads, d).index_add(0, group, k)
    numerator = (q[..., None, :] @ summary[group])[..., 0, :]
    return numerator / ((q * total[group]).sum(2, keepdim=True) + 1e-6)

"""DiT and LiT in PyTorch, with the official tensor names."""

import math

import torch
import torch.nn.functional as F
from torch import nn

import seeded


def positions(side, width):
    """The fixed table: the column's half before the row's, sines before cosines."""
    frequencies = 10000 ** -(torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    axis = torch.arange(side, dtype=torch.float64).outer(frequencies)
    axis = torch.cat([axis.sin(), axis.cos()], 1)
    return torch.cat([axis.repeat(side, 1), axis.repeat_interleave(side, 0)], 1)


class Softmax(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class FewHeads(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.q, self.kv, self.proj = nn.Linear(width, width), nn.Linear(width, 2 * width), nn.Linear(width, width)
        self.dwc = nn.Conv2d(width // heads, width // heads, 5, padding=2, groups=width // heads)

    def forward(self, x):
        batch, tokens, width = x.shape
        q = (F.relu(self.q(x)) + 1e-6).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        k, v = self.kv(x).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        k = F.relu(k) + 1e-6
        z = 1 / (q @ k.mean(-2, keepdim=True).mT + 1e-6)
        linear = q @ (k.mT @ (v / tokens)) * z
        side = math.isqrt(tokens)
        local = self.dwc(v.reshape(batch * self.heads, side, side, -1).permute(0, 3, 1, 2))
        local = local.permute(0, 2, 3, 1).reshape(batch, self.heads, tokens, -1)
        return self.proj((linear + local).transpose(1, 2).flatten(2))


class MLP(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))


def modulate(x, shift, scale):
    return F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift


class Block(nn.Module):
    def __init__(self, width, attention):
        super().__init__()
        self.attn, self.mlp = attention, MLP(width)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))

    def forward(self, x, c):
        shift1, scale1, gate1, shift2, scale2, gate2 = self.adaLN_modulation(c)[:, None].chunk(6, -1)
        x = x + gate1 * self.attn(modulate(x, shift1, scale1))
        return x + gate2 * self.mlp(modulate(x, shift2, scale2))


class Named(nn.Module):
    """Submodules by name, for the tensor names."""

    def __init__(self, **parts):
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)


class Network(nn.Module):
    """The network for latents of one size: `network(x, t, y)`."""

    def __init__(self, depth, width, attention, side=32, patch=2):
        super().__init__()
        self.patch = patch
        self.x_embedder = Named(proj=nn.Conv2d(4, width, patch, patch))
        self.t_embedder = Named(mlp=nn.Sequential(nn.Linear(256, width), nn.SiLU(), nn.Linear(width, width)))
        self.y_embedder = Named(embedding_table=nn.Embedding(1001, width))
        self.blocks = nn.ModuleList(Block(width, attention()) for _ in range(depth))
        self.final_layer = Named(linear=nn.Linear(width, patch * patch * 8),
                                 adaLN_modulation=nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width)))
        self.register_buffer("positions", positions(side // patch, width).float(), persistent=False)

    def forward(self, x, t, y):
        x = self.x_embedder.proj(x)
        side = x.shape[-1]
        x = x.flatten(2).transpose(1, 2) + self.positions
        frequencies = torch.exp(-math.log(10000) * torch.arange(128, dtype=torch.float64) / 128)
        angles = t[:, None].double() * frequencies
        features = torch.cat([angles.cos(), angles.sin()], 1).to(x.dtype)
        c = self.t_embedder.mlp(features) + self.y_embedder.embedding_table(y)
        for block in self.blocks:
            x = block(x, c)
        shift, scale = self.final_layer.adaLN_modulation(c)[:, None].chunk(2, -1)
        x = self.final_layer.linear(modulate(x, shift, scale))
        x = x.reshape(len(x), side, side, self.patch, self.patch, 8).permute(0, 5, 1, 3, 2, 4)
        return x.reshape(len(x), 8, side * self.patch, side * self.patch)


RELEASED = {"s": (12, 384, 6, 2), "b": (12, 768, 12, 3), "l": (24, 1024, 16, 4), "xl": (28, 1152, 16, 4)}


def create(name):
    """The network of one of the zoo's model names, such as `dit-s-2` or `lit-b-2-512`, with unset weights."""
    family, size, patch, *pixels = name.split("-")
    depth, width, heads, few = RELEASED[size]
    attention = (lambda: Softmax(width, heads)) if family == "dit" else (lambda: FewHeads(width, few))
    return Network(depth, width, attention, side=int(*pixels or [256]) // 8, patch=int(patch))


IMAGE_SIZE = 256
OUTPUT = "output"


def inputs(batch, image_size):
    """Named inputs of a pass: latents, their timesteps and classes."""
    side = image_size // 8
    return {"x": torch.from_numpy(seeded.image((batch, 4, side, side))), "t": torch.full((batch,), 321.0),
            "y": torch.arange(batch) * 207}


def simplified(network):
    """There is nothing to fold."""
    return network

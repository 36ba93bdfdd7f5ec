"""RAVLT and MAViT in PyTorch, with the tensor names of the official checkpoints."""

import copy

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

import operators


class RoPE(nn.Module):
    """The rotary tables of a stage, computed once per token grid, so that an exported graph holds them as constants."""

    def __init__(self, d):
        super().__init__()
        self.register_buffer("angle", (10000.0 ** -torch.linspace(0, 1, d // 4)).repeat_interleave(2))
        self.tables = {}

    def forward(self, height, width):
        if (height, width) not in self.tables:
            self.tables[height, width] = operators.tables(height, width, 2 * len(self.angle))
        return self.tables[height, width]


class ChannelNorm(nn.Module):
    """Layer norm over the channels of each pixel."""

    def __init__(self, channels):
        super().__init__()
        self.norm = nn.LayerNorm(channels, eps=1e-6)

    def forward(self, x):
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class PackedProjection(nn.Conv2d):
    """Queries, keys, values and gate by one convolution, with the checkpoint's tensors."""

    def __init__(self, channels, heads):
        super().__init__(channels, 4 * channels, 1)
        self.heads = heads

    def forward(self, x):
        q, k, v, gate = super().forward(x).chunk(4, 1)
        return operators.deinterleave(q, self.heads, 1), operators.deinterleave(k, self.heads, 1), v, gate


class SplitProjection(nn.ModuleList):
    """The same by four convolutions whose weights are already permuted: nothing is copied afterwards."""

    def __init__(self, packed):
        super().__init__()
        for i, (weight, bias) in enumerate(zip(packed.weight.chunk(4), packed.bias.chunk(4))):
            part = nn.Conv2d(packed.in_channels, packed.in_channels, 1)
            permuted = i < 2
            part.weight.copy_(operators.deinterleave(weight, packed.heads, 0) if permuted else weight)
            part.bias.copy_(operators.deinterleave(bias, packed.heads, 0) if permuted else bias)
            self.append(part)

    def forward(self, x):
        return [part(x) for part in self]


class Attention(nn.Module):
    """Attention with a depthwise branch on the values and a gate."""

    def __init__(self, channels, heads, core):
        super().__init__()
        self.heads, self.core = heads, core
        self.qkvo = PackedProjection(channels, heads)
        self.lepe = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.proj = nn.Conv2d(channels, channels, 1)

    def forward(self, x, rope):
        q, k, v, gate = self.qkvo(x)
        tokens = [t.flatten(2).unflatten(1, (self.heads, -1)) for t in (q, k, v)]
        out = self.core(*tokens, rope(*x.shape[2:])).reshape(x.shape)
        return self.proj((out + self.lepe(v)) * gate)


class FFN(nn.Module):
    def __init__(self, channels, width):
        super().__init__()
        self.fc1 = nn.Conv2d(channels, width, 1)
        self.dwconv = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.fc2 = nn.Conv2d(width, channels, 1)

    def forward(self, x):
        x = F.gelu(self.fc1(x))
        return self.fc2(x + self.dwconv(x))


def scaled(x, gamma):
    return x if gamma is None else gamma * x


class Block(nn.Module):
    def __init__(self, channels, heads, width, core):
        super().__init__()
        self.pos = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.norm1, self.norm2 = ChannelNorm(channels), ChannelNorm(channels)
        self.attn, self.ffn = Attention(channels, heads, core), FFN(channels, width)
        self.gamma_1 = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.gamma_2 = nn.Parameter(torch.ones(1, channels, 1, 1))

    def forward(self, x, rope):
        x = x + self.pos(x)
        x = x + scaled(self.attn(self.norm1(x), rope), self.gamma_1)
        return x + scaled(self.ffn(self.norm2(x)), self.gamma_2)


class Downsample(nn.Module):
    def __init__(self, channels, out):
        super().__init__()
        self.reduction = nn.Conv2d(channels, out, 3, 2, 1)
        self.norm = nn.BatchNorm2d(out)

    def forward(self, x):
        return self.norm(self.reduction(x))


class Stage(nn.Module):
    def __init__(self, channels, heads, width, cores, out):
        super().__init__()
        self.RoPE = RoPE(channels // heads)
        self.blocks = nn.ModuleList(Block(channels, heads, width, core) for core in cores)
        self.downsample = Downsample(channels, out) if out else nn.Identity()

    def forward(self, x):
        for block in self.blocks:
            x = block(x, self.RoPE)
        return self.downsample(x)


class Stem(nn.Module):
    def __init__(self, channels):
        super().__init__()
        half = channels // 2
        plan = [(3, half, 2), (half, half, 1), (half, half, 1), (half, channels, 2)]
        layers = [m for a, b, s in plan for m in (nn.Conv2d(a, b, 3, s, 1), nn.BatchNorm2d(b), nn.GELU())]
        self.proj = nn.Sequential(*layers[:-1])

    def forward(self, x):
        return self.proj(x)


class Network(nn.Module):
    """The classifier. `linear` is the attention of the first two stages, `rala` or `mala`."""

    def __init__(self, linear, embed_dims, depths, num_heads, projection, num_classes, mlp_ratio=3.5):
        super().__init__()
        self.patch_embed = Stem(embed_dims[0])
        self.layers = nn.ModuleList(
            Stage(c, h, int(mlp_ratio * c), [linear if s < 2 else operators.softmax] * n, out)
            for s, (c, h, n, out) in enumerate(zip(embed_dims, num_heads, depths, [*embed_dims[1:], None])))
        self.proj = nn.Conv2d(embed_dims[-1], projection, 1)
        self.norm = nn.BatchNorm2d(projection)
        self.head = nn.Conv2d(projection, num_classes, 1)

    def forward(self, x):
        x = self.patch_embed(x)
        for stage in self.layers:
            x = stage(x)
        x = F.silu(self.norm(self.proj(x)))
        return self.head(x.mean((2, 3), keepdim=True)).flatten(1)


RELEASED = {
    "t": dict(embed_dims=[64, 128, 256, 512], depths=[2, 2, 6, 2], num_heads=[1, 2, 4, 8]),
    "s": dict(embed_dims=[64, 128, 320, 512], depths=[3, 5, 9, 3], num_heads=[1, 2, 5, 8]),
    "b": dict(embed_dims=[96, 192, 384, 512], depths=[4, 6, 12, 6], num_heads=[1, 2, 6, 8]),
    "l": dict(embed_dims=[96, 192, 448, 640], depths=[4, 7, 19, 8], num_heads=[1, 2, 7, 10]),
}
NANO = dict(embed_dims=[24, 32, 48, 64], depths=[1, 1, 2, 1], num_heads=[1, 1, 2, 2], projection=96,
            num_classes=10, mlp_ratio=2)


def create(name):
    """The network of one of the zoo's model names, such as `ravlt-t` or `mavit-nano`, with unset weights."""
    family, _, variant = name.partition("-")
    linear = {"ravlt": operators.rala, "mavit": operators.mala}[family]
    if variant == "nano":
        return Network(linear, **NANO)
    projection = 1024 if family == "ravlt" else 2560 if variant == "l" else 2048
    return Network(linear, **RELEASED[variant], projection=projection, num_classes=1000)


def load(network, tensor):
    """Sets every weight to `tensor(name, shape)` and makes the network ready for inference."""
    buffers = ("RoPE.angle", "num_batches_tracked")
    state = {name: torch.as_tensor(tensor(name, tuple(value.shape)))
             for name, value in network.state_dict().items() if not name.endswith(buffers)}
    network.load_state_dict(state, strict=False)
    return network.eval().requires_grad_(False)


def simplified(network):
    """The same function with less work: batch norms and layer scales folded, projections split.

    Every peer gets this form; it is the fastest that we found for each of them.
    """
    network = copy.deepcopy(network)
    stem = network.patch_embed.proj
    for i in (0, 3, 6, 9):
        stem[i], stem[i + 1] = fuse_conv_bn_eval(stem[i], stem[i + 1]), nn.Identity()
    for stage in network.layers[:-1]:
        down = stage.downsample
        down.reduction, down.norm = fuse_conv_bn_eval(down.reduction, down.norm), nn.Identity()
    network.proj, network.norm = fuse_conv_bn_eval(network.proj, network.norm), nn.Identity()
    for block in (block for stage in network.layers for block in stage.blocks):
        for gamma, conv in ((block.gamma_1, block.attn.proj), (block.gamma_2, block.ffn.fc2)):
            conv.weight *= gamma.view(-1, 1, 1, 1)
            conv.bias *= gamma.view(-1)
        block.gamma_1 = block.gamma_2 = None
        with torch.no_grad():
            block.attn.qkvo = SplitProjection(block.attn.qkvo)
    return network.requires_grad_(False)

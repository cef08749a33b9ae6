"""The two towers of CLIP (Radford et al. 2021) as plain torch modules, read from a Hugging Face folder.

This is the peers' model: torch runs it, ONNX Runtime runs its export, and in float64 it is the reference of every engine.
Query, key and value are one product, as ONNX Runtime's and torch's own optimisers would have it; the queries' scale lies in
the weights. Rejected: importing transformers, which Debian does not have.
"""
import json
import struct

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

WEIGHT_TYPES = ("F32", "F16", "BF16")


def read_tensors(path):
    """Name to float32 tensor, of a safetensors file. The values of a file of F32 stay where they were read."""
    with open(path, "rb") as file:
        length, = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        values = np.fromfile(file, np.uint8)
    found = {}
    for name, entry in header.items():
        if entry.get("dtype") in WEIGHT_TYPES:      # neither __metadata__ nor the old position_ids
            start, end = entry["data_offsets"]
            found[name] = torch.from_numpy(number_array(values[start:end], entry["dtype"]).reshape(entry["shape"]))
    return found


def number_array(octets, dtype):
    if dtype == "BF16":     # the upper half of a binary32
        return (octets.view("<u2").astype("<u4") << 16).view("<f4")
    return octets.view("<f4" if dtype == "F32" else "<f2").astype(np.float32, copy=False)


class Attention(nn.Module):
    def __init__(self, heads, tensors, prefix):
        super().__init__()
        self.heads = heads
        width = tensors[prefix + "q_proj.weight"].shape[0]
        scale = (width // heads) ** -0.5
        self.joint = linear(torch.cat([scaled(tensors, prefix, part, scale) for part in "qkv"]),
                            torch.cat([scaled(tensors, prefix, part, scale, "bias") for part in "qkv"]))
        self.out = linear_of(tensors, prefix + "out_proj")

    def forward(self, x, mask):
        tokens, width = x.shape[1:]
        joint = self.joint(x).view(-1, tokens, 3, self.heads, width // self.heads)
        query, key, value = joint.permute(2, 0, 3, 1, 4).unbind(0)
        scores = query @ key.transpose(-1, -2)
        if mask is not None:
            scores = scores + mask
        mixed = F.softmax(scores, dim=-1) @ value
        return self.out(mixed.transpose(1, 2).reshape(-1, tokens, width))


class Layer(nn.Module):
    def __init__(self, heads, eps, activation, tensors, prefix):
        super().__init__()
        self.norm1 = norm_of(tensors, prefix + "layer_norm1", eps)
        self.attention = Attention(heads, tensors, prefix + "self_attn.")
        self.norm2 = norm_of(tensors, prefix + "layer_norm2", eps)
        self.fc1 = linear_of(tensors, prefix + "mlp.fc1")
        self.fc2 = linear_of(tensors, prefix + "mlp.fc2")
        self.activation = ACTIVATIONS[activation]

    def forward(self, x, mask=None):
        x = x + self.attention(self.norm1(x), mask)
        return x + self.fc2(self.activation(self.fc1(self.norm2(x))))


class TextTower(nn.Module):
    def __init__(self, config, tensors):
        super().__init__()
        own = config["text_config"]
        self.tokens = nn.Embedding.from_pretrained(tensors["text_model.embeddings.token_embedding.weight"])
        self.positions = nn.Parameter(tensors["text_model.embeddings.position_embedding.weight"])
        context = len(self.positions)
        self.register_buffer("mask", torch.full((context, context), float("-inf")).triu(1))
        self.layers = layers_of(own, tensors, "text_model.")
        self.norm = norm_of(tensors, "text_model.final_layer_norm", own.get("layer_norm_eps", 1e-5))
        self.projection = linear(tensors["text_projection.weight"])

    def forward(self, ids):
        """ids: [n][tokens], all of one length. Returns [n][dim] of unit length."""
        tokens = ids.shape[1]
        x = self.tokens(ids) + self.positions[:tokens]
        mask = self.mask[:tokens, :tokens]
        for layer in self.layers:
            x = layer(x, mask)
        last = x[torch.arange(ids.shape[0]), ids.argmax(dim=-1)]    # end-of-text has the highest id
        return normalised(self.projection(self.norm(last)))


class ImageTower(nn.Module):
    def __init__(self, config, tensors):
        super().__init__()
        own = config["vision_config"]
        prefix = "vision_model."
        self.side = own["image_size"]
        filters = tensors[prefix + "embeddings.patch_embedding.weight"]
        self.patches = nn.Conv2d(3, len(filters), own["patch_size"], stride=own["patch_size"], bias=False)
        self.patches.weight = nn.Parameter(filters)
        self.first = nn.Parameter(tensors[prefix + "embeddings.class_embedding"])
        self.positions = nn.Parameter(tensors[prefix + "embeddings.position_embedding.weight"])
        eps = own.get("layer_norm_eps", 1e-5)
        self.norm1 = norm_of(tensors, prefix + "pre_layrnorm", eps)   # the name's spelling is the original's
        self.layers = layers_of(own, tensors, prefix)
        self.norm2 = norm_of(tensors, prefix + "post_layernorm", eps)
        self.projection = linear(tensors["visual_projection.weight"])

    def forward(self, pixels):
        """pixels: [n][3][side][side]. Returns [n][dim] of unit length."""
        patches = self.patches(pixels).flatten(2).transpose(1, 2)
        first = self.first.expand(pixels.shape[0], 1, -1)
        x = self.norm1(torch.cat([first, patches], dim=1) + self.positions)
        for layer in self.layers:
            x = layer(x)
        return normalised(self.projection(self.norm2(x[:, 0])))


def quick_gelu(x):
    return x * torch.sigmoid(1.702 * x)


ACTIVATIONS = {"quick_gelu": quick_gelu, "gelu": F.gelu}


def normalised(x):
    return x / x.norm(dim=-1, keepdim=True)


def scaled(tensors, prefix, part, scale, kind="weight"):
    tensor = tensors[f"{prefix}{part}_proj.{kind}"]
    return tensor * scale if part == "q" else tensor


def linear(weight, bias=None):
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    layer.weight = nn.Parameter(weight)
    if bias is not None:
        layer.bias = nn.Parameter(bias)
    return layer


def linear_of(tensors, name):
    return linear(tensors[name + ".weight"], tensors[name + ".bias"])


def norm_of(tensors, name, eps):
    layer = nn.LayerNorm(len(tensors[name + ".weight"]), eps=eps)
    layer.weight, layer.bias = nn.Parameter(tensors[name + ".weight"]), nn.Parameter(tensors[name + ".bias"])
    return layer


def layers_of(config, tensors, prefix):
    return nn.ModuleList(
        Layer(config["num_attention_heads"], config.get("layer_norm_eps", 1e-5), config.get("hidden_act", "quick_gelu"), tensors,
              f"{prefix}encoder.layers.{i}.") for i in range(config["num_hidden_layers"]))


def read_towers(folder):
    """The two towers, float32, for inference."""
    with open(folder / "config.json", encoding="utf-8") as file:
        config = json.load(file)
    tensors = read_tensors(folder / "model.safetensors")
    towers = TextTower(config, tensors), ImageTower(config, tensors)
    for tower in towers:
        tower.eval().requires_grad_(False)
    return towers

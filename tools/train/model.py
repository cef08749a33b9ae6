"""CLIP's two towers as torch modules, named so that a state_dict is a Hugging Face CLIPModel's (Radford et al. 2021).

Exactly that architecture and nothing beside it: what helps only while training (heads, dropped tokens) is an
argument of forward() or lives in loss.py, so that the exported weights need no translation. Towers this small learn
little from little data when they start from noise, so they start from something better than noise (start_well()):
query and key products near the identity and value products near minus it, as trained transformers have them (Trockman and Kolter
2023, "Mimetic initialization"), positions as sinusoids of the grid, and patch filters as the lowest cosines, as any first layer of a network
of pictures comes to look.
"""
import math

import torch
import torch.nn.functional as F
from torch import nn


class Affine(torch.autograd.Function):
    """x W' + b over rows, whose gradients are all matrix products: summing the rows of a bias's gradient in bfloat16 took
    longer than multiplying by a row of ones."""

    @staticmethod
    def forward(context, x, weight, bias):
        context.save_for_backward(x, weight)
        return torch.addmm(bias, x, weight.t())

    @staticmethod
    def backward(context, gradient):
        x, weight = context.saved_tensors
        ones = gradient.new_ones(1, len(gradient))
        return gradient @ weight, gradient.t() @ x, (ones @ gradient)[0]


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x, batch, mask):
        """x is [batch * tokens][width]. The query's scale goes into its weights: they are fewer than the queries."""
        width = x.shape[1]
        scale = (width // self.heads) ** -0.5
        weight = torch.cat([self.q_proj.weight * scale, self.k_proj.weight, self.v_proj.weight])
        bias = torch.cat([self.q_proj.bias * scale, self.k_proj.bias, self.v_proj.bias])
        joint = Affine.apply(x, weight, bias).view(batch, -1, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        query, key, value = joint.reshape(3, batch * self.heads, -1, width // self.heads).unbind(0)
        scores = torch.bmm(query, key.transpose(1, 2))
        if mask is not None:
            scores = scores + mask
        mixed = torch.bmm(F.softmax(scores, dim=-1), value).view(batch, self.heads, -1, width // self.heads)
        mixed = mixed.transpose(1, 2).reshape(-1, width)
        return Affine.apply(mixed, self.out_proj.weight, self.out_proj.bias)


class MLP(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        """quick_gelu(h) = h sigmoid(1.702 h) = silu(1.702 h) / 1.702, both factors moved into the weights."""
        wide = Affine.apply(x, self.fc1.weight * 1.702, self.fc1.bias * 1.702)
        return Affine.apply(F.silu(wide), self.fc2.weight * (1 / 1.702), self.fc2.bias)


class Layer(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.self_attn = Attention(width, heads)
        self.layer_norm1 = nn.LayerNorm(width)
        self.mlp = MLP(width)
        self.layer_norm2 = nn.LayerNorm(width)

    def forward(self, x, batch, mask):
        x = x + self.self_attn(self.layer_norm1(x), batch, mask)
        return x + self.mlp(self.layer_norm2(x))


class Encoder(nn.Module):
    def __init__(self, tower):
        super().__init__()
        self.layers = nn.ModuleList(Layer(tower.width, tower.heads) for _ in range(tower.layers))

    def forward(self, x, mask=None):
        batch, tokens, width = x.shape
        x = x.reshape(-1, width)
        for layer in self.layers:
            x = layer(x, batch, mask)
        return x.view(batch, tokens, width)

    def thinned(self, x, skipping, generator):
        """Stochastic depth (Huang et al. 2016): a share of the pictures, up to `skipping` in the last layer, goes past each layer; which
        ones, chance says by turning the batch, so that they lie together and cost nothing."""
        batch, tokens, width = x.shape
        x, turned = x.reshape(-1, width), 0
        for i, layer in enumerate(self.layers):
            turn = int(torch.randint(batch, (1,), generator=generator)) * tokens
            x, turned = x.roll(turn, 0), turned + turn
            past = round(skipping * (i + 1) / len(self.layers) * batch)
            entering = x[past * tokens:]
            changed = entering + (layer(entering, batch - past, None) - entering) * (batch / (batch - past))
            x = torch.cat([x[:past * tokens], changed])
        return x.roll(-turned, 0).view(batch, tokens, width)


class TextEmbeddings(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.token_embedding = nn.Embedding(shape.vocabulary, shape.text.width)
        self.position_embedding = nn.Embedding(shape.context, shape.text.width)

    def forward(self, ids):
        return self.token_embedding(ids) + self.position_embedding.weight[:ids.shape[1]]


class TextModel(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.embeddings = TextEmbeddings(shape)
        self.encoder = Encoder(shape.text)
        self.final_layer_norm = nn.LayerNorm(shape.text.width)

    def forward(self, ids):
        """ids end in end-of-text, repeated as padding: being causal, the first one never sees the others."""
        x = self.embeddings(ids)
        mask = torch.full((ids.shape[1], ids.shape[1]), -1e4, dtype=x.dtype).triu(1)
        x = self.encoder(x, mask)
        first_end = (ids == ids[0, -1]).int().argmax(dim=1)
        return self.final_layer_norm(x[torch.arange(len(ids)), first_end])


class VisionEmbeddings(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.patch = shape.patch
        self.class_embedding = nn.Parameter(torch.zeros(shape.vision.width))
        self.patch_embedding = nn.Conv2d(3, shape.vision.width, shape.patch, stride=shape.patch, bias=False)
        self.position_embedding = nn.Embedding(shape.positions, shape.vision.width)

    def forward(self, pixels):
        batch, _, side, _ = pixels.shape
        grid, patch = side // self.patch, self.patch
        cut = pixels.view(batch, 3, grid, patch, grid, patch).permute(0, 2, 4, 1, 3, 5).reshape(batch, grid * grid, -1)
        patches = cut @ self.patch_embedding.weight.flatten(1).t()
        first = self.class_embedding.expand(batch, 1, -1)
        return torch.cat([first, patches], dim=1) + self._positions(grid)

    def _positions(self, grid):
        """The position embedding, stretched where training shows smaller pictures than the model is made for."""
        positions = self.position_embedding.weight
        own = math.isqrt(len(positions) - 1)
        if own == grid:
            return positions
        square = positions[1:].float().t().reshape(1, -1, own, own)
        square = F.interpolate(square, (grid, grid), mode="bilinear", align_corners=False)
        return torch.cat([positions[:1], square.flatten(2)[0].t().to(positions.dtype)])


class VisionModel(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.embeddings = VisionEmbeddings(shape)
        self.pre_layrnorm = nn.LayerNorm(shape.vision.width)    # the name's spelling is the original's
        self.encoder = Encoder(shape.vision)
        self.post_layernorm = nn.LayerNorm(shape.vision.width)

    def forward(self, pixels):
        return self._out(self.encoder(self.pre_layrnorm(self.embeddings(pixels))))

    def thinned(self, pixels, patches, skipping, generator):
        """While training: a share of the patches only, and some pictures go past some layers."""
        x = keep_some(self.embeddings(pixels), patches, generator)
        return self._out(self.encoder.thinned(self.pre_layrnorm(x), skipping, generator))

    def _out(self, x):
        return self.post_layernorm(x[:, 0])


def keep_some(x, share, generator):
    """The class token and a random share of the patches, drawn anew for each picture (Li et al. 2023, FLIP)."""
    if share >= 1.0:
        return x
    batch, tokens, width = x.shape
    kept = 1 + torch.rand(batch, tokens - 1, generator=generator).argsort(dim=1)[:, :round(share * (tokens - 1))]
    kept = torch.cat([torch.zeros(batch, 1, dtype=torch.long), kept], dim=1)
    return x.gather(1, kept[..., None].expand(-1, -1, width))


class CLIP(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        self.text_model = TextModel(shape)
        self.text_projection = nn.Linear(shape.text.width, shape.projection, bias=False)
        self.vision_model = VisionModel(shape)
        self.visual_projection = nn.Linear(shape.vision.width, shape.projection, bias=False)
        start_well(self)

    def image_vectors(self, pixels):
        return F.normalize(self.visual_projection(self.vision_model(pixels)).float(), dim=-1)

    def text_vectors(self, ids):
        return F.normalize(self.text_projection(self.text_model(ids)).float(), dim=-1)


def start_well(model):
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=0.02)
            if getattr(module, "bias", None) is not None:
                nn.init.zeros_(module.bias)
        if isinstance(module, MLP):
            nn.init.xavier_uniform_(module.fc1.weight)
            nn.init.xavier_uniform_(module.fc2.weight)
    for tower in (model.text_model, model.vision_model):
        for layer in tower.encoder.layers:
            start_attention(layer.self_attn)
    embeddings = model.vision_model.embeddings
    nn.init.normal_(embeddings.class_embedding, std=0.02)
    with torch.no_grad():
        embeddings.patch_embedding.weight.copy_(cosine_filters(model.shape.vision.width, model.shape.patch))
        embeddings.position_embedding.weight[1:].copy_(grid_sinusoids(model.shape.positions - 1, model.shape.vision.width))
    for projection, width in ((model.text_projection, model.shape.text.width), (model.visual_projection, model.shape.vision.width)):
        nn.init.normal_(projection.weight, std=width ** -0.5)


def start_attention(attention):
    """Factors of 0.7 Z + 0.7 I per head for query and key, of 0.4 Z - 0.4 I for value and output, Z being noise."""
    width, heads = attention.q_proj.weight.shape[0], attention.heads
    size = width // heads
    identity = torch.eye(width)
    with torch.no_grad():
        for head in range(heads):
            rows = slice(head * size, (head + 1) * size)
            left, scale, right = torch.linalg.svd(0.7 * torch.randn(width, width) / width ** 0.5 + 0.7 * identity)
            root = scale[:size].sqrt()
            attention.q_proj.weight[rows] = (left[:, :size] * root).T
            attention.k_proj.weight[rows] = right[:size] * root[:, None]
        left, scale, right = torch.linalg.svd(0.4 * torch.randn(width, width) / width ** 0.5 - 0.4 * identity)
        attention.v_proj.weight.copy_(right * scale.sqrt()[:, None])
        attention.out_proj.weight.copy_(left * scale.sqrt())


def grid_sinusoids(positions, width):
    """[positions][width]: half of the channels say the row, half the column (Vaswani et al. 2017)."""
    side, quarter = math.isqrt(positions), width // 4
    rates = 1.0 / 100 ** (torch.arange(quarter) / quarter)
    angles = torch.arange(side)[:, None] * rates
    waves = torch.cat([angles.sin(), angles.cos()], dim=1)
    rows, columns = waves[:, None].expand(-1, side, -1), waves[None].expand(side, -1, -1)
    return 0.3 * torch.cat([rows, columns], dim=-1).reshape(positions, width)


def cosine_filters(filters, patch):
    """[filters][3][patch][patch]: the lowest two-dimensional cosines of brightness and of two opponent colours."""
    at = (torch.arange(patch) + 0.5) / patch
    waves = torch.cos(math.pi * torch.arange(patch)[:, None] * at)
    waves = waves / waves.norm(dim=1, keepdim=True)
    colours = F.normalize(torch.tensor([[1.0, 1.0, 1.0], [1.0, -1.0, 0.0], [1.0, 1.0, -2.0]]), dim=1)
    penalty = (0.0, 2.0, 2.0)     # colour is seen more coarsely than brightness
    order = sorted((row + column + penalty[c], row, column, c) for row in range(patch) for column in range(patch) for c in range(3))
    made = [colours[c][:, None, None] * waves[row][:, None] * waves[column] for _, row, column, c in order[:filters]]
    return torch.stack(made) * 0.5 + 0.01 * torch.randn(filters, 3, patch, patch)

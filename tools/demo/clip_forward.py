"""CLIP's two towers in numpy, up to the features that the projections read (Radford et al. 2021).

Used to fit the demo model's projections, so it favours short over fast. Features come out after the last layer norm.
"""
import numpy as np

EPSILON = 1e-5


def layer_norm(weights, name, x):
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred ** 2).mean(-1, keepdims=True) + EPSILON)
    return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def linear(weights, name, x):
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def quick_gelu(x):
    return x / (1.0 + np.exp(-1.702 * x))


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def attention(weights, name, x, heads, mask):
    tokens, width = x.shape
    def split(projection):
        return linear(weights, f"{name}.{projection}", x).reshape(tokens, heads, -1).transpose(1, 0, 2)
    q, k, v = split("q_proj"), split("k_proj"), split("v_proj")
    scores = q @ k.transpose(0, 2, 1) / np.sqrt(width // heads) + mask
    mixed = (softmax(scores) @ v).transpose(1, 0, 2).reshape(tokens, width)
    return linear(weights, f"{name}.out_proj", mixed)


def encoder(weights, tower, x, mask):
    for i in range(tower.layers):
        name = f"{tower.prefix}.encoder.layers.{i}"
        x = x + attention(weights, f"{name}.self_attn", layer_norm(weights, f"{name}.layer_norm1", x), tower.heads, mask)
        hidden = quick_gelu(linear(weights, f"{name}.mlp.fc1", layer_norm(weights, f"{name}.layer_norm2", x)))
        x = x + linear(weights, f"{name}.mlp.fc2", hidden)
    return x


def image_features(weights, shape, pixels):
    """pixels: [3][size][size], normalised."""
    side, patch = shape.image_size // shape.patch, shape.patch
    patches = pixels.reshape(3, side, patch, side, patch).transpose(1, 3, 0, 2, 4).reshape(side * side, -1)
    embedding = weights["vision_model.embeddings.patch_embedding.weight"].reshape(shape.vision.width, -1)
    x = np.vstack([weights["vision_model.embeddings.class_embedding"], patches @ embedding.T])
    x = layer_norm(weights, "vision_model.pre_layrnorm", x + weights["vision_model.embeddings.position_embedding.weight"])
    x = encoder(weights, shape.vision, x, 0.0)
    return layer_norm(weights, "vision_model.post_layernorm", x[0])


def text_features(weights, shape, ids):
    """ids end with the end-of-text token, where the text's features are read."""
    x = weights["text_model.embeddings.token_embedding.weight"][ids]
    x = x + weights["text_model.embeddings.position_embedding.weight"][:len(ids)]
    causal = np.triu(np.full((len(ids), len(ids)), -np.inf, np.float32), 1)
    x = encoder(weights, shape.text, x, causal)
    return layer_norm(weights, "text_model.final_layer_norm", x[-1])


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)

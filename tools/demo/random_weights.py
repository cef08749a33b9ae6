"""Random weights under which a CLIP model still tells things apart.

Each tensor has its own generator, seeded by its name, so one can be made without the others. Standard deviations follow
the width (Glorot and Bengio 2010), with one change: what attention and the MLP write into the residual stream is strong,
since it is the only way the class token, or the end-of-text token, learns of the picture or the text.
"""
import zlib

import numpy as np

SEED = 20240229
LOGIT_SCALE = np.log(100.0)     # CLIP's, at the end of its training


def make(name, tensor_shape):
    """The tensor, float32."""
    if name == "logit_scale":
        return np.array(LOGIT_SCALE, np.float32)
    if "norm" in name:
        return np.full(tensor_shape, 1.0 if name.endswith("weight") else 0.0, np.float32)
    generator = np.random.default_rng([SEED, zlib.crc32(name.encode())])
    values = generator.standard_normal(tensor_shape, np.float32)
    values *= np.float32(deviation(name, tensor_shape))
    return values


def deviation(name, tensor_shape):
    if name.endswith("token_embedding.weight"):
        return 0.10
    if name.endswith("position_embedding.weight"):
        return 0.10 if name.startswith("text") else 0.80    # a patch says little without its place
    if name.endswith("bias") or name.endswith("class_embedding"):
        return 0.02
    inputs = np.prod(tensor_shape[1:])
    return gain(name) / np.sqrt(inputs)


def gain(name):
    if "q_proj" in name or "k_proj" in name:
        return 1.0
    if "v_proj" in name or "out_proj" in name or "fc2" in name:
        return 1.6
    return 1.0

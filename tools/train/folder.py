"""The model as a folder in Hugging Face's layout: writing it from training's weights, reading it back to measure it."""
import json

import numpy as np
import torch

import bpe
import clip_shape
import model
import safetensors
from clip_folder import write_configs, write_tokenizer
from clip_shape import Shape, Tower
from tokenizer import Tokenizer


def write(folder, shape, merges, weights):
    """`weights` maps a CLIP's parameter names to tensors; heads and whatever else training had are left out."""
    folder.mkdir(parents=True, exist_ok=True)
    shapes = clip_shape.tensors(shape)
    write_configs(folder, shape)
    write_tokenizer(folder, merges)
    safetensors.write(folder / "model.safetensors", shapes, shape.dtype, lambda name, _: weights[name].numpy())


def read(folder):
    """(model.CLIP in float32, Tokenizer): what the file's 16-bit weights say, computed exactly."""
    shape = read_shape(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    clip = model.CLIP(shape)
    stored = safetensors.read(folder / "model.safetensors")
    clip.load_state_dict({name: torch.from_numpy(np.array(tensor)) for name, tensor in stored.items()})
    lines = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()[1:]
    words = Tokenizer([tuple(line.split(" ")) for line in lines])
    if words.end != shape.vocabulary - 1 or words.plain.ids[bpe.END] != words.end:
        raise SystemExit(f"{folder}: vocabulary and merges disagree")
    return clip.eval(), words


def read_shape(config):
    def tower(part, prefix):
        return Tower(prefix, part["hidden_size"], part["num_hidden_layers"], part["num_attention_heads"])
    vision, text = config["vision_config"], config["text_config"]
    return Shape(vision=tower(vision, "vision_model"), text=tower(text, "text_model"), image_size=vision["image_size"],
                 patch=vision["patch_size"], vocabulary=text["vocab_size"], context=text["max_position_embeddings"],
                 projection=config["projection_dim"], dtype={"float16": "F16", "float32": "F32"}[config["torch_dtype"]])

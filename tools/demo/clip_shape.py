"""The shape of a CLIP model: its sizes, its tensors and its configuration files, named as in Hugging Face's CLIPModel."""
from dataclasses import dataclass

MEAN = (0.48145466, 0.4578275, 0.40821073)      # of the pictures CLIP was trained on: red, green, blue
STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class Tower:
    prefix: str
    width: int
    layers: int
    heads: int


@dataclass(frozen=True)
class Shape:
    vision: Tower
    text: Tower
    image_size: int
    patch: int
    vocabulary: int
    context: int
    projection: int
    dtype: str      # of the file: F16 or F32

    @property
    def positions(self):
        return (self.image_size // self.patch) ** 2 + 1


def linear(name, outputs, inputs):
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def layer_norm(name, width):
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def layer_tensors(name, width):
    tensors = {}
    for projection in ("q_proj", "k_proj", "v_proj", "out_proj"):
        tensors |= linear(f"{name}.self_attn.{projection}", width, width)
    tensors |= layer_norm(f"{name}.layer_norm1", width)
    tensors |= linear(f"{name}.mlp.fc1", 4 * width, width)
    tensors |= linear(f"{name}.mlp.fc2", width, 4 * width)
    tensors |= layer_norm(f"{name}.layer_norm2", width)
    return tensors


def tower_tensors(tower):
    tensors = {}
    for i in range(tower.layers):
        tensors |= layer_tensors(f"{tower.prefix}.encoder.layers.{i}", tower.width)
    return tensors


def tensors(shape):
    """Name to shape of every tensor, in the order of the file."""
    vision, text = shape.vision, shape.text
    return {
        "logit_scale": (),
        "text_model.embeddings.token_embedding.weight": (shape.vocabulary, text.width),
        "text_model.embeddings.position_embedding.weight": (shape.context, text.width),
        **tower_tensors(text),
        **layer_norm("text_model.final_layer_norm", text.width),
        "text_projection.weight": (shape.projection, text.width),
        "vision_model.embeddings.class_embedding": (vision.width,),
        "vision_model.embeddings.patch_embedding.weight": (vision.width, 3, shape.patch, shape.patch),
        "vision_model.embeddings.position_embedding.weight": (shape.positions, vision.width),
        **layer_norm("vision_model.pre_layrnorm", vision.width),    # the name's spelling is the original's
        **tower_tensors(vision),
        **layer_norm("vision_model.post_layernorm", vision.width),
        "visual_projection.weight": (shape.projection, vision.width),
    }


def config(shape):
    """config.json."""
    return {
        "architectures": ["CLIPModel"],
        "initializer_factor": 1.0,
        "logit_scale_init_value": 2.6592,
        "model_type": "clip",
        "projection_dim": shape.projection,
        "text_config": tower_config(shape, shape.text) | {
            "model_type": "clip_text_model",
            "bos_token_id": shape.vocabulary - 2,
            "eos_token_id": shape.vocabulary - 1,
            "pad_token_id": shape.vocabulary - 1,
            "max_position_embeddings": shape.context,
            "vocab_size": shape.vocabulary,
        },
        "torch_dtype": {"F16": "float16", "F32": "float32"}[shape.dtype],
        "vision_config": tower_config(shape, shape.vision) | {
            "model_type": "clip_vision_model",
            "image_size": shape.image_size,
            "num_channels": 3,
            "patch_size": shape.patch,
        },
    }


def tower_config(shape, tower):
    return {
        "attention_dropout": 0.0,
        "dropout": 0.0,
        "hidden_act": "quick_gelu",
        "hidden_size": tower.width,
        "initializer_factor": 1.0,
        "initializer_range": 0.02,
        "intermediate_size": 4 * tower.width,
        "layer_norm_eps": 1e-05,
        "num_attention_heads": tower.heads,
        "num_hidden_layers": tower.layers,
        "projection_dim": shape.projection,
    }


def preprocessor_config(size):
    """preprocessor_config.json."""
    return {
        "crop_size": size,
        "do_center_crop": True,
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_resize": True,
        "feature_extractor_type": "CLIPFeatureExtractor",
        "image_mean": MEAN,
        "image_std": STD,
        "resample": 3,
        "size": size,
    }

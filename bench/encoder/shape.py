"""How much work the towers are: multiplications and additions of the matrix products (two operations each), and weights."""
import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Tower:
    width: int
    layers: int
    wide: int           # of the MLP
    projection: int
    before: int         # operations before the first layer, of one picture

    @property
    def layer_weights(self):
        return 4 * self.width ** 2 + 2 * self.width * self.wide

    @property
    def weights(self):
        """Those that a text reads whole: all but the embeddings."""
        return self.layers * self.layer_weights + self.width * self.projection

    def operations(self, tokens):
        """Of the whole tower, every token through every layer, as a plain export computes it."""
        attention = 2 * 2 * tokens ** 2 * self.width
        return self.before + self.layers * (2 * tokens * self.layer_weights + attention) + 2 * self.width * self.projection

    def needed(self, tokens):
        """Of what the vector depends on: after the last layer one token is looked at, so only that one asks in it."""
        key_and_value = 2 * 2 * tokens * self.width ** 2
        one = 2 * (self.layer_weights - 2 * self.width ** 2) + 2 * 2 * tokens * self.width
        last = 2 * tokens * self.layer_weights + 2 * 2 * tokens ** 2 * self.width
        return self.operations(tokens) - last + key_and_value + one


@dataclass(frozen=True)
class Shape:
    text: Tower
    vision: Tower
    patches: int

    @property
    def weights(self):
        """Of all matrices."""
        return self.text.weights + self.vision.weights + self.vision.before // (2 * self.patches)

    def operations(self, case, needed=False):
        tower, tokens = (self.vision, self.patches + 1) if case.images else (self.text, case.tokens)
        return max(case.images, 1) * (tower.needed(tokens) if needed else tower.operations(tokens))


def read_shape(model):
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    text, vision = config["text_config"], config["vision_config"]
    patches = (vision["image_size"] // vision["patch_size"]) ** 2
    embedding = 2 * patches * 3 * vision["patch_size"] ** 2 * vision["hidden_size"]

    def tower(part, before):
        return Tower(part["hidden_size"], part["num_hidden_layers"], part["intermediate_size"], config["projection_dim"], before)
    return Shape(tower(text, 0), tower(vision, embedding), patches)

"""Fits the demo model to the demo shop: what makes "robe bleue" find blue dresses with towers that nobody has trained.

The towers stay random: a random network is already a usable set of features (Rahimi and Recht 2007, "Random features for
large-scale kernel machines"), and reading concepts out of features is ridge regression, solved exactly. Both towers are
read out into the same concepts (captions.py), so a picture and the words for it meet. Training by contrast, as CLIP was
trained, would know more, but needs gradients through both towers; this takes seconds, and knows this shop only.

Two more things are set rather than drawn. A word's embedding is the mean of the concepts it was said of, turned at random
into the tower's width: words said of everything, such as "with", come out small. And the bias of each tower's last
layer norm takes away the mean of the features, which the projection, having no bias of its own, could not.
"""
import numpy as np

import captions
import clip_forward as clip
import picture
import products
from kinds import KINDS

DRAWN = 624             # products drawn to learn from: every kind in 24 looks
SHIPPED_WEIGHT = 20.0   # the shipped pictures count more than the others
RIDGE = 0.3
WORD_SCALE = 2.0        # of a word's concepts beside its position
SEED = 7


def fit(weights, shape, tokenizer, preprocess, shipped):
    """Changes the weights in place. `shipped` is how many of the drawn products are in demo/catalogue.jsonl."""
    generator = np.random.default_rng(SEED)
    readout = orthonormal(generator, shape.projection, len(captions.AXES))
    fit_image_tower(weights, shape, preprocess, shipped, readout)
    sayings = list(captions.sayings())
    set_word_embeddings(weights, shape, tokenizer, sayings, generator)
    fit_text_tower(weights, shape, tokenizer, sayings, readout)


def orthonormal(generator, dimensions, concepts):
    """A random direction for each concept, at right angles to the others: [dimensions][concepts]."""
    assert dimensions >= concepts
    directions, _ = np.linalg.qr(generator.standard_normal((dimensions, concepts)))
    return directions


def fit_image_tower(weights, shape, preprocess, shipped, readout):
    chosen = products.choose(KINDS, DRAWN)
    features = np.array([clip.image_features(weights, shape, preprocess(picture.draw(p))) for p in chosen])
    concepts = np.array([captions.about_product(p) for p in chosen])
    importance = np.where(np.arange(len(chosen)) < shipped, SHIPPED_WEIGHT, 1.0)
    set_readout(weights, "vision_model.post_layernorm", "visual_projection", readout,
                *ridge(features, concepts, importance))


def fit_text_tower(weights, shape, tokenizer, sayings, readout):
    texts, concepts, importance = zip(*sayings)
    features = np.array([clip.text_features(weights, shape, tokenizer.encode(t, shape.context)) for t in texts])
    set_readout(weights, "text_model.final_layer_norm", "text_projection", readout,
                *ridge(features, clip.unit(np.array(concepts)), np.array(importance)))


def set_word_embeddings(weights, shape, tokenizer, sayings, generator):
    table = weights["text_model.embeddings.token_embedding.weight"]
    said = np.zeros((len(table), len(captions.AXES)))
    count = np.full((len(table), 1), 1e-6)
    for text, concepts, importance in sayings:
        for token in set(tokenizer.encode(text, shape.context)):
            said[token] += importance * concepts
            count[token] += importance
    means = said / count
    known = count[:, 0] > 1e-3
    centre = means[tokenizer.ids["<|endoftext|>"]]      # every text has one: the mean of them all
    turn = WORD_SCALE * orthonormal(generator, shape.text.width, len(captions.AXES)).T
    table[known] = 0.1 * table[known] + (means[known] - centre) @ turn


def ridge(features, concepts, importance):
    """The mean of the features, and the map from centred features to centred concepts."""
    mean = np.average(features, axis=0, weights=importance)
    x = features - mean
    y = concepts - np.average(concepts, axis=0, weights=importance)
    weighted = x * importance[:, None]
    return mean, np.linalg.solve(weighted.T @ x + RIDGE * np.eye(x.shape[1]), weighted.T @ y)


def set_readout(weights, norm, projection, readout, mean, solution):
    weights[f"{norm}.bias"] -= mean.astype(np.float32)
    weights[f"{projection}.weight"][:] = readout @ solution.T

#!/usr/bin/python3
"""A CLIP folder to four ONNX files: each tower in float32, as torch exports it, and dynamically quantised to int8.

usage: export_onnx.py MODEL_DIR OUT_DIR

The int8 graphs are what ONNX Runtime's quantize_dynamic writes for op_types_to_quantize=["MatMul"], per_channel=True: each
product with weights becomes DynamicQuantizeLinear, MatMulInteger, Cast and Mul, which ONNX Runtime fuses back into one kernel.
Written here because that tool is not in Debian. Left in float32, as the tool's own advice for transformers has it: attention's
products of two activations, the patch convolution (its integer kernel is slower), the embeddings.

Needs python3-torch, python3-onnx, python3-numpy.
"""
import argparse
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

import towers

OPSET = 17      # the first with LayerNormalization
INT8_MOST = 127


def export(tower, name, example, axes, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")     # on index arithmetic; the benchmark checks the vectors before it times anything
        torch.onnx.export(tower, (example,), str(path), opset_version=OPSET, input_names=[name], output_names=["vectors"],
                          dynamic_axes={name: axes, "vectors": {0: "n"}})


def quantised_columns(weights):
    """[k][n] float32 to int8 and a scale for each column, symmetric about zero."""
    scales = np.abs(weights).max(axis=0) / INT8_MOST
    scales[scales == 0] = 1
    return np.rint(weights / scales).astype(np.int8), scales.astype(np.float32)


class Quantiser:
    """Rewrites a graph's products with weights. Products of one input (none here, queries, keys and values being one) share its
    quantisation."""

    def __init__(self, graph):
        self.graph = graph
        self.weights = {tensor.name: tensor for tensor in graph.initializer}
        self.nodes = []
        self.quantised_inputs = {}

    def run(self):
        for node in self.graph.node:
            if node.op_type == "MatMul" and node.input[1] in self.weights:
                self._replace(node)
            else:
                self.nodes.append(node)
        del self.graph.node[:]
        self.graph.node.extend(self.nodes)

    def _add(self, op, inputs, outputs, **attributes):
        self.nodes.append(helper.make_node(op, inputs, outputs, **attributes))
        return outputs

    def _quantised(self, name):
        if name not in self.quantised_inputs:
            outputs = [name + "/int8", name + "/scale", name + "/zero"]
            self.quantised_inputs[name] = self._add("DynamicQuantizeLinear", [name], outputs)
        return self.quantised_inputs[name]

    def _weights(self, name):
        """Replaces the initialiser; the names of its parts."""
        if name + "/int8" not in self.weights:
            tensor = self.weights[name]
            values, scales = quantised_columns(numpy_helper.to_array(tensor))
            parts = {"/int8": values, "/scale": scales, "/zero": np.zeros(len(scales), np.int8)}
            self.graph.initializer.remove(tensor)
            for suffix, part in parts.items():
                self.weights[name + suffix] = numpy_helper.from_array(part, name + suffix)
                self.graph.initializer.append(self.weights[name + suffix])
        return name + "/int8", name + "/scale", name + "/zero"

    def _replace(self, node):
        values, scale, zero = self._quantised(node.input[0])
        weights, weight_scale, weight_zero = self._weights(node.input[1])
        out = node.output[0]
        self._add("MatMulInteger", [values, weights, zero, weight_zero], [out + "/int32"])
        self._add("Cast", [out + "/int32"], [out + "/whole"], to=TensorProto.FLOAT)
        self._add("Mul", [scale, weight_scale], [out + "/scales"])
        self._add("Mul", [out + "/whole", out + "/scales"], [out])


def quantise(source, target):
    model = onnx.load(str(source))
    Quantiser(model.graph).run()
    onnx.save(model, str(target))


def export_all(model_dir, out_dir):
    out_dir.mkdir(parents=True, exist_ok=True)
    text, image = towers.read_towers(model_dir)
    export(text, "ids", torch.tensor([[1, 2, 3]]), {0: "n", 1: "tokens"}, out_dir / "text-f32.onnx")
    export(image, "pixels", torch.zeros(1, 3, image.side, image.side), {0: "n"}, out_dir / "image-f32.onnx")
    for tower in ("text", "image"):
        quantise(out_dir / f"{tower}-f32.onnx", out_dir / f"{tower}-int8.onnx")


def main():
    parser = argparse.ArgumentParser(description="Exports a CLIP folder to ONNX, in float32 and int8.")
    parser.add_argument("model_dir", type=Path)
    parser.add_argument("out_dir", type=Path)
    arguments = parser.parse_args()
    export_all(arguments.model_dir, arguments.out_dir)


if __name__ == "__main__":
    main()

"""The small files of a CLIPModel folder."""
import json
import shutil

import bpe
import clip_shape


def write_configs(out_dir, shape):
    write_json(out_dir / "config.json", clip_shape.config(shape))
    write_json(out_dir / "preprocessor_config.json", clip_shape.preprocessor_config(shape.image_size))
    special = {"bos_token": bpe.START, "eos_token": bpe.END, "unk_token": bpe.END, "pad_token": bpe.END}
    write_json(out_dir / "special_tokens_map.json", special)
    write_json(out_dir / "tokenizer_config.json", special | {
        "add_prefix_space": False,
        "do_lower_case": True,
        "errors": "replace",
        "model_max_length": shape.context,
        "tokenizer_class": "CLIPTokenizer",
    })


def write_tokenizer(out_dir, merges):
    with open(out_dir / "vocab.json", "w", encoding="utf-8", newline="\n") as file:
        json.dump(bpe.vocabulary(merges), file, ensure_ascii=False)
        file.write("\n")
    with open(out_dir / "merges.txt", "w", encoding="utf-8", newline="\n") as file:
        file.write("#version: 0.2\n")
        file.writelines(f"{left} {right}\n" for left, right in merges)


def copy_tokenizer(from_dir, out_dir, vocabulary):
    found = len(json.loads((from_dir / "vocab.json").read_text(encoding="utf-8")))
    if found != vocabulary:
        raise SystemExit(f"{from_dir / 'vocab.json'}: {found} entries, not {vocabulary}")
    for name in ("vocab.json", "merges.txt"):
        shutil.copyfile(from_dir / name, out_dir / name)


def write_json(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")

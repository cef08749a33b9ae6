#!/usr/bin/env python3
"""embed.py OUTPUT HEADER NAME=FILE...: files as C arrays, so that the binary needs none at run time.

Writes `const vt_asset vt_asset_NAME` for each FILE; HEADER declares vt_asset. Plain initialisers
are what every compiler takes; objcopy and .incbin tie the build to one assembler.
"""

import sys


def array(name, data):
    rows = [", ".join(str(b) for b in data[i : i + 24]) for i in range(0, len(data), 24)]
    return (
        f"static const unsigned char {name}_bytes[] = {{\n"
        + ",\n".join(rows)
        + f"}};\nconst vt_asset vt_asset_{name} = {{{name}_bytes, sizeof {name}_bytes}};\n"
    )


def main():
    output, header, *assets = sys.argv[1:]
    text = [f'#include "{header}"\n']
    for asset in assets:
        name, _, path = asset.partition("=")
        with open(path, "rb") as f:
            text.append(array(name, f.read()))
    with open(output, "w", encoding="ascii") as f:
        f.write("\n".join(text))


if __name__ == "__main__":
    main()

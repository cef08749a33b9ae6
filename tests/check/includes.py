"""The dependency table of docs/ARCHITECTURE.md, enforced: every #include "room/file.h" in src/ must be
of the own room, or the public header (room/room.h) of a room that the table allows."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| (\w+) \| .* \| ([\w, -]+) \|$", re.M)
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def allowed_rooms():
    table = ROW.findall((ROOT / "docs/ARCHITECTURE.md").read_text())
    rooms = {p.name for p in (ROOT / "src").iterdir() if p.is_dir()}
    allowed = {room: set(re.findall(r"\w+", may)) for room, may in table if room in rooms}
    missing = rooms - allowed.keys()
    if missing:
        sys.exit(f"rooms without a row in docs/ARCHITECTURE.md: {sorted(missing)}")
    return allowed


def wrong_includes(source, text, allowed):
    room = source.parts[1]
    for target in INCLUDE.findall(text):
        other, _, name = target.partition("/")
        if other == room or not name:
            continue
        if other not in allowed[room]:
            yield f"{source}: {room} may not include {target}"
        elif name != f"{other}.h":
            yield f"{source}: {target} is private to {other}"


def main():
    allowed = allowed_rooms()
    wrong = []
    for path in sorted((ROOT / "src").rglob("*.[ch]")):
        wrong += wrong_includes(path.relative_to(ROOT), path.read_text(), allowed)
    probe = pathlib.Path("src/base/probe.c")
    if len(list(wrong_includes(probe, '#include "engine/engine.h"\n#include "vec/vec.h"\n', allowed))) != 2:
        wrong.append("the check itself is blind: base including engine was not noticed")
    print("\n".join(wrong) or f"includes of {len(allowed)} rooms keep the table")
    sys.exit(bool(wrong))


main()

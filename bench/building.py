"""Programs that a benchmark needs, built as a release: optimised as what is shipped."""
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "bench"


def run(*words, **more):
    subprocess.run([str(word) for word in words], check=True, **more)


def build(*names):
    """bench/NAME of the build, for each name."""
    if not (FOLDER / "build.ninja").exists():
        run("meson", "setup", FOLDER, ROOT, "--buildtype=release", stdout=subprocess.DEVNULL)
    run("ninja", "-C", FOLDER, *(f"bench/{name}" for name in names), stdout=sys.stderr)
    return [FOLDER / "bench" / name for name in names]

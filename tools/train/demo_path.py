"""Imported first by every program here: puts the demo shop's generator, tools/demo, on Python's path."""
import os
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "demo"))
os.environ.setdefault("OMP_NUM_THREADS", "1")   # a second thread mostly waits for the first: products this small end too soon

"""A process that stays open and answers one command a line with one line of JSON (bench/talk.h)."""
import json
import os
import subprocess


class Serving:
    def __init__(self, title, words, changed=None):
        """changed: of the environment. The process first says how it opened."""
        self.title = title
        environment = os.environ | {name: str(value) for name, value in (changed or {}).items()}
        self.process = subprocess.Popen([str(word) for word in words], env=environment, text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        self.opened = self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.title}: ended with status {self.process.wait()}")
        return json.loads(line)

    def ask(self, *words):
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

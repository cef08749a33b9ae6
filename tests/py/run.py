"""Runs one unittest file and prints TAP, so that Meson counts each test: run.py FILE."""
import importlib.util
import pathlib
import sys
import unittest


class TapResult(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.count = 0

    def tell(self, word, test, note=""):
        self.count += 1
        print(f"{word} {self.count} - {test.id()}{note}", flush=True)

    def explain(self, err, test):
        for line in self._exc_info_to_string(err, test).splitlines():
            print(f"# {line}", flush=True)

    def addSuccess(self, test):
        self.tell("ok", test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.tell("ok", test, f" # SKIP {reason}")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.explain(err, test)
        self.tell("not ok", test)

    def addError(self, test, err):
        super().addError(test, err)
        self.explain(err, test)
        self.tell("not ok", test)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err:
            self.explain(err, test)
            self.tell("not ok", subtest)


def load(path):
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def main():
    suite = unittest.defaultTestLoader.loadTestsFromModule(load(pathlib.Path(sys.argv[1]).resolve()))
    result = TapResult()
    suite.run(result)
    print(f"1..{result.count}")
    sys.exit(not result.wasSuccessful())


main()

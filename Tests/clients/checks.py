"""Counts checks and prints the line that scripts/test reads."""
import sys
import traceback


class Checks:
    def __init__(self, name):
        self.name = name
        self.passed = 0

    def equal(self, got, expected, what):
        if got != expected:
            raise AssertionError(f"{what}: expected {expected!r:.300}, got {got!r:.300}")
        self.passed += 1

    def true(self, condition, what):
        if not condition:
            raise AssertionError(what)
        self.passed += 1

    def raises(self, body, what, containing=""):
        try:
            body()
        except Exception as error:  # noqa: BLE001 - every client has exceptions of its own
            if containing.lower() not in str(error).lower():
                raise AssertionError(f"{what}: the error says {error!s:.300}, not {containing!r}") from error
            self.passed += 1
            return error
        raise AssertionError(f"{what}: nothing was raised")

    def run(self, *parts):
        for part in parts:
            try:
                part(self)
            except Exception:  # noqa: BLE001 - shown with its trace, then the run fails
                traceback.print_exc()
                print(f"{self.name}: {part.__name__} failed after {self.passed} checks", flush=True)
                sys.exit(1)
        print(f"{self.name}: {self.passed} checks passed", flush=True)

"""What a suite of cases in Python is made of: a case is a function with @case, fails by expect() or Failed, and is skipped
by Skipped, whose text says what is missing. Its name is the function's, with dashes."""
from vm import Failed

CASES = []


class Skipped(Exception):
    """This machine lacks what the case needs; the text says what."""


def case(function):
    CASES.append(function)
    return function


def expect(condition, text):
    if not condition:
        raise Failed(text)


def name_of(function):
    return function.__name__.replace("_", "-")


def run_case(function, *arguments):
    """passed, failed, skipped"""
    try:
        function(*arguments)
        print("ok", name_of(function), flush=True)
        return 1, 0, 0
    except Skipped as why:
        print("SKIP %s: %s" % (name_of(function), why), flush=True)
        return 0, 0, 1
    except Exception as problem:
        text = str(problem) if isinstance(problem, Failed) else repr(problem)
        print("FAIL %s: %s" % (name_of(function), text[:400]), flush=True)
        return 0, 1, 0


def run_cases(names, run):
    """Those of these names (none: all), by run(function), which returns as run_case() does. The suite's exit status."""
    results = [run(f) for f in CASES if not names or name_of(f) in names]
    passed, failed, skipped = map(sum, zip(*results)) if results else (0, 0, 0)
    print("%d passed, %d failed" % (passed, failed) + (", %d skipped" % skipped if skipped else ""))
    return 1 if failed else 0

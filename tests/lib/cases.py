#!/usr/bin/env python3
"""Reads TAP as Node's test runner writes it.

    cases.py slowest 10 LOG...   the cases that took longest, a line each
    cases.py failed LOG...       each case that failed, with what it said
    cases.py files LOG...        the file of each case that failed, a tab, and its name
"""
import re
import sys

# Of what a failed case says; all of it is in the log.
LINES_MAX = 12
COLUMNS_MAX = 400


def cases(path):
    """Yields (is it good, name, ms, lines of its diagnosis) of each case that was run."""
    with open(path, encoding="utf-8", errors="replace") as log:
        lines = log.read().splitlines()
    for at, line in enumerate(lines):
        head = re.match(r"(not ok|ok) \d+ - (.*)", line)
        if not head or re.search(r" # (?:SKIP|TO[D]O)\b", line):
            continue
        block = []
        for below in lines[at + 1:]:
            if below == "  ..." or not below.startswith("  "):
                break
            block.append(below[2:])
        text = "\n".join(block)
        took = re.search(r"^duration_ms: ([\d.]+)", text, re.M)
        yield head[1] == "ok", head[2], float(took[1]) if took else 0.0, block


def diagnosis(block):
    """Where the case is, how it failed, the error's words, and the innermost lines of the stack."""
    limits = {"location": 1, "failureType": 1, "error": LINES_MAX, "stack": 4}
    keep, left = [], 0
    for line in block:
        key = re.match(r"(\w+):", line)
        if key:
            left = limits.get(key[1], 0)
        if left > 0:
            keep.append(line[:COLUMNS_MAX])
        left -= 1
    return keep


def main(what, *rest):
    if what == "slowest":
        count, *paths = rest
        found = sorted((case for path in paths for case in cases(path)), key=lambda case: -case[2])
        for _, name, ms, _ in found[:int(count)]:
            print(f"time | {ms / 1000:.0f} s: {name}")
        print(f"time | {sum(ms for _, _, ms, _ in found) / 1000:.0f} s: all {len(found)} cases")
    elif what == "failed":
        for path in rest:
            for is_good, name, ms, block in cases(path):
                if not is_good:
                    print(f"--- failed after {ms / 1000:.0f} s: {name}")
                    print("\n".join(diagnosis(block)))
    elif what == "files":
        for path in rest:
            for is_good, name, _, block in cases(path):
                if not is_good:
                    file = re.search(r"^location: '.*/([^/]+)\.mjs:\d+:\d+'", "\n".join(block), re.M)
                    print(f"{file[1] if file else ''}\t{name}")
    else:
        sys.exit(f"there is no \"{what}\"; there are: slowest, failed, files")


if __name__ == "__main__":
    main(*sys.argv[1:])

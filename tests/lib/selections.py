#!/usr/bin/env python3
"""Whether `cargo run --release` and the tests build the same libraries: the second command of the README finds what the first one
built. Says which differ, and in which features; the root manifest says what to do about it.
"""
import json
import os
import subprocess
import sys


def libraries(*selection):
    """The features of each library of others, by name, version, kind and for what it is built."""
    command = ["cargo", "build", "--release", "--locked", "-Zunstable-options", "--unit-graph", *selection]
    graph = json.loads(subprocess.run(command, check=True, capture_output=True, env={**os.environ, "RUSTC_BOOTSTRAP": "1"}).stdout)
    found = {}
    for unit in graph["units"]:
        if unit["pkg_id"].startswith("path+"):
            continue
        key = (unit["pkg_id"].rpartition("#")[2], unit["mode"], *unit["target"]["kind"], unit["platform"] or "")
        found.setdefault(key, []).append((unit["features"], unit["profile"]["opt_level"]))
    return {key: sorted(built) for key, built in found.items()}


def main():
    venue, tests = libraries(), libraries("--workspace", "--all-targets")
    different = [key for key in venue if venue[key] != tests.get(key)]
    for key in different:
        features = [{feature for built, _ in one.get(key, []) for feature in built} for one in (venue, tests)]
        print(f"{' '.join(key)}: the tests ask for {sorted(features[1] - features[0])} more, the venue for {sorted(features[0] - features[1])}")
    print(f"{len(venue)} libraries and their build scripts, {len(different)} of them otherwise for the tests")
    return len(different) > 0


if __name__ == "__main__":
    sys.exit(main())

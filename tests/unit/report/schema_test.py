#!/usr/bin/env python3
"""Check every golden result against the JSON Schema, and that the schema finds missing and misspelt keys.

Usage: schema_test.py SCHEMA GOLDEN_DIR
Exit code: 0 all good, 1 a failure, 77 skipped without python3-jsonschema (with EP_LAB_REQUIRED=1 that is a failure).
"""

import copy
import json
import os
import pathlib
import sys

# Objects with keys of the user's options and host: any key is right there.
FREE = {("config",), ("host",)}
# The same, wherever they are: counts by status.
FREE_NAMES = {"causes"}
# Members that may be absent, and names of those that may be wherever they are.
OPTIONAL = {("impair",), ("ceiling",)}
OPTIONAL_NAMES = {"icmp"}


def objects(value, path=()):
    """Yield (path, object) for each object inside a value; list entries after the first are alike and left out, but those of tcp."""
    if isinstance(value, dict):
        yield path, value
        for key, member in value.items():
            yield from objects(member, path + (key,))
    elif isinstance(value, list) and value:
        for index, member in enumerate(value if path == ("tcp",) else value[:1]):
            yield from objects(member, path + (index,))


def at(value, path):
    """The part of a value that a path leads to."""
    for key in path:
        value = value[key]
    return value


def mutations(result):
    """Yield (what, result) for each way to leave a key out or to add one that does not exist."""
    for path, member in objects(result):
        if path in FREE or (path and path[-1] in FREE_NAMES):
            continue
        changed = copy.deepcopy(result)
        at(changed, path)["misspelt"] = 1
        yield f"extra key in {path}", changed
        for key in member:
            if path + (key,) in OPTIONAL or (path and key in OPTIONAL_NAMES):
                continue
            changed = copy.deepcopy(result)
            del at(changed, path)[key]
            yield f"{path + (key,)} missing", changed


def main():
    """Run the check."""
    try:
        from jsonschema import Draft202012Validator
    except ImportError:
        print("python3-jsonschema is not installed")
        return 1 if os.environ.get("EP_LAB_REQUIRED") == "1" else 77
    schema = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    goldens = sorted(pathlib.Path(sys.argv[2]).glob("*.json"))
    failures = 0 if goldens else 1
    tried = set()
    for path in goldens:
        result = json.loads(path.read_text(encoding="utf-8"))
        for error in validator.iter_errors(result):
            failures += 1
            print(f"{path.name}: {list(error.absolute_path)}: {error.message}")
        for what, changed in mutations(result):
            if what in tried:
                continue
            tried.add(what)
            if validator.is_valid(changed):
                failures += 1
                print(f"{path.name}: the schema does not find: {what}")
    print(f"{len(goldens)} results, {len(tried)} mutations, {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

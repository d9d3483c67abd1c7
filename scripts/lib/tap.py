#!/usr/bin/env python3
"""Adds up the TAP points of all tests.

  tap.py tap NAME EXIT_CODE SECONDS LOG TOTALS     the output of a program that speaks TAP
  tap.py point NAME EXIT_CODE SECONDS LOG TOTALS   a program that is one point by itself
  tap.py meson TESTLOG TOTALS                      meson's testlog.json: each test speaks TAP, or is one point (protocol "exitcode")
  tap.py total TOTALS                              last line "N passed, M failed[, K skipped]"; exit code 1 when M > 0

Each call but `total` appends "passed failed skipped name" lines to TOTALS and shows what failed. A program that crashed, ran
out of time, has no plan, or did not keep to it, is one more failed point: what did not run has not passed.
"""

import json
import os
import re
import sys

POINT = re.compile(r"^(not )?ok\b\s*(\d+)?\s*-?\s*([^#]*?)\s*(?:#\s*(.*))?$")
PLAN = re.compile(r"^1\.\.(\d+)\s*(?:#\s*(skip.*))?$", re.IGNORECASE)


class Program:
    """Points of one program, read from its TAP."""

    def __init__(self, name):
        self.name = name
        self.passed = self.failed = self.skipped = 0
        self.complaints = []

    def fail(self, text, details=()):
        self.failed += 1
        self.complaints.append([f"FAILED {self.name}: {text}", *(f"    {line}" for line in details)])

    def read(self, output):
        planned = None
        lines = output.splitlines()
        for at, line in enumerate(lines):
            plan = PLAN.match(line)
            point = POINT.match(line)
            if plan:
                planned = (planned or 0) + int(plan[1])
                if plan[1] == "0":
                    self.skipped += 1
                    planned += 1
            elif line.startswith("Bail out!"):
                self.fail(line)
            elif point and (point[4] or "").lower().startswith("skip"):
                self.skipped += 1
            elif point and point[1]:
                self.fail(point[3] or f"point {point[2]}", comments_around(lines, at))
            elif point:
                self.passed += 1
        count = self.passed + self.failed + self.skipped
        if count == 0:
            self.fail("not one point", lines[-40:])
        elif planned is None:
            self.fail(f"ended after {count} points, without a plan", lines[-40:])
        elif planned != count:
            self.fail(f"{planned} points planned, {count} run", lines[-10:])

    def report(self, totals, seconds):
        for complaint in self.complaints:
            print("\n".join(complaint))
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        print(f"{'not ok' if self.failed else 'ok':6} {self.name}: {self.passed} passed, {self.failed} failed{skipped} ({float(seconds):.0f} s)", flush=True)
        with open(totals, "a", encoding="utf-8") as file:
            print(self.passed, self.failed, self.skipped, self.name, file=file)


def comments_around(lines, at):
    """Comment lines next to a failed point: the shell tests write them below it, cmocka too."""
    details = []
    for line in lines[at + 1:]:
        if POINT.match(line) or PLAN.match(line):
            break
        details.append(line)
    return details[:60]


def text_of(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def read_tap(name, exit_code, seconds, log, totals):
    program = Program(name)
    output = text_of(log)
    program.read(output)
    if exit_code != "0" and program.failed == 0:
        program.fail(f"exit code {exit_code}, although no point failed", output.splitlines()[-40:])
    program.report(totals, seconds)


def read_point(name, exit_code, seconds, log, totals):
    program = Program(name)
    if exit_code == "0":
        program.passed = 1
    else:
        program.fail(f"exit code {exit_code}", text_of(log).splitlines()[-80:])
    program.report(totals, seconds)


def meson_protocols(testlog):
    """{test: protocol}, as the build directory has it beside its logs; TAP where that is not known."""
    path = os.path.join(os.path.dirname(testlog), "..", "meson-info", "intro-tests.json")
    if not os.path.exists(path):
        return {}
    return {test["name"]: test["protocol"] for test in json.loads(text_of(path))}


def read_meson(testlog, totals):
    protocols = meson_protocols(testlog)
    tests = [json.loads(line) for line in text_of(testlog).splitlines()]
    if not tests:
        sys.exit(f"tap.py: {testlog} has no tests")
    for test in tests:
        program = Program(test["name"])
        errors = (test.get("stderr") or "").splitlines()[-60:]
        output = test.get("stdout") or ""
        # The log has "name" or "project:suite / name".
        name = re.split(r"[ :/]+", test["name"])[-1]
        if protocols.get(name) == "exitcode":
            if test["result"] == "OK":
                program.passed = 1
            else:
                program.fail(f"{test['result'].lower()}, return code {test['returncode']}", output.splitlines()[-60:])
        else:
            program.read(output)
        if test["result"] not in ("OK", "SKIP") and program.failed == 0:
            program.fail(f"{test['result'].lower()}, return code {test['returncode']}, although no point failed")
        if program.failed and errors:
            program.complaints.append([f"    {line}" for line in errors])
        program.report(totals, test.get("duration") or 0)


def total(totals):
    sums = [0, 0, 0]
    for line in text_of(totals).splitlines():
        for i, count in enumerate(line.split(" ", 3)[:3]):
            sums[i] += int(count)
    if sums[0] + sums[1] == 0:
        sums[1] = 1  # nothing ran: that is no success
    print(f"{sums[0]} passed, {sums[1]} failed" + (f", {sums[2]} skipped" if sums[2] else ""), flush=True)
    sys.exit(1 if sums[1] else 0)


def main():
    commands = {"tap": (read_tap, 5), "point": (read_point, 5), "meson": (read_meson, 2), "total": (total, 1)}
    what = sys.argv[1] if len(sys.argv) > 1 else ""
    if what not in commands or len(sys.argv) - 2 != commands[what][1]:
        sys.exit(__doc__)
    commands[what][0](*sys.argv[2:])


if __name__ == "__main__":
    main()

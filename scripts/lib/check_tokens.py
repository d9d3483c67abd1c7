#!/usr/bin/env python3
"""Rules of the code that a machine can see: layers, banned calls, hot-path tokens, and so on.

  check_tokens.py FILE...    one "file:line: sentence" for each finding; exit code 1 when there is one

C is looked at without comments, character constants and strings, so that words in them are no findings.
"""

import re
import sys

LAYER_0 = "base range wire sched pace acct hist stat nat nic slow path plan ctrl search result report stun http livekit".split()
DPDK_FOLDERS = ("lib/dev/", "lib/engine/", "lib/slowdev/", "lib/exc/", "app/", "tests/eal/", "tests/bench/")


def calls(*names):
    return r"(?<![\w.>])(?:" + "|".join(names) + r")\s*\("


def in_layer_0(path):
    return any(path.startswith(f"lib/{name}/") for name in LAYER_0)


# What a rule is, where it holds, what it looks for in a line of C, and the sentence.
C_RULES = [
    (lambda p: not p.startswith(DPDK_FOLDERS), r'#\s*include\s*[<"]rte_', "DPDK's headers are for lib/dev, lib/engine, lib/slowdev and app"),
    (in_layer_0, r"#\s*include\s*<(sys/socket|time|sys/time|sys/epoll|poll|pthread|signal)\.h>",
     "layer 0 has no sockets, clocks, threads and signals"),
    (in_layer_0, calls("clock_gettime", "gettimeofday", "time", "nanosleep", "usleep", "sleep", "socket", "open", "fopen", "getenv",
                       "getrandom"), "layer 0 is handed time, randomness and bytes"),
    (lambda p: p.startswith("lib/"), calls("printf", "vprintf", "puts", "putchar", "perror", "exit", "_exit", "abort", "signal",
                                           "sigaction"), "nothing in lib/ prints, exits or changes signal handlers"),
    (lambda p: p.startswith("lib/"), r"(?<!fflush\()\b(?:stdout|stderr)\b", "nothing in lib/ writes to the standard streams"),
    (lambda p: True, calls("strcpy", "strcat", "sprintf", "vsprintf", "gets", "atoi", "atol", "atoll", "atof", "strtok", "alloca",
                           "system", "rand", "srand"), "a banned call"),
    (lambda p: True, calls("rte_get_tsc_hz", "rte_get_timer_hz", r"rte_delay_\w+"),
     "DPDK rounds the counter's frequency: use the calibrated clock of lib/engine"),
    (lambda p: p.endswith("_hot.c"), calls(r"\w*(?:malloc|calloc|realloc)(?:_socket)?", "free", "rte_free", r"\w*printf", "RTE_LOG",
                                           "rte_log", r"[A-Z]+_LOG", r"clock_\w+", "read", "write", "ioctl", "sendto", "poll"),
     "no allocation, log or system call in a hot path"),
    (lambda p: p.endswith("_hot.c"), r"\b\w*(?:mutex|spinlock|rwlock|seqlock|_lock\b)\w*", "no lock in a hot path"),
    (lambda p: p.endswith("_hot.c"), r"\b(?:double|float|volatile)\b", "no floating point and no volatile in a hot path"),
    # A divisor that is a number, an ALL_CAPS constant or a sizeof is the compiler's to turn into a multiplication.
    (lambda p: p.endswith("_hot.c"), r"^(?!\s*#).*[/%]=?\s*(?!sizeof\b|[A-Z][A-Z0-9_]*\b)[A-Za-z_(]",
     "no division or modulo by a variable in a hot path"),
]
TEXT_RULES = [
    (r"\b(?:TODO|FIXME|XXX)\b", "a bare note: write NEEDSWORK: with the condition that would trigger the work"),
    (r"(?<![\w.])/(?:work|home|root|Users)/\w", "a path of one machine"),
    (r"(?<=[^ ])[ \t]+$", "white space at the end of the line"),
]


def without_words(text):
    """C with comments, strings and character constants blanked; line breaks and #include names stay."""
    token = re.compile(
        r'(?P<include>^[ \t]*#[ \t]*include[^\n]*)|(?P<gone>/\*.*?\*/|//(?:\\\n|[^\n])*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\')',
        re.DOTALL | re.MULTILINE)
    return token.sub(lambda m: m[0] if m["include"] else '""' + "\n" * m[0].count("\n"), text)


def matches(rules, text):
    for number, line in enumerate(text.split("\n"), 1):
        for regex, sentence in rules:
            found = re.search(regex, line)
            if found:
                yield number, f"'{found[0].strip()}': {sentence}"


def findings(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if path.endswith((".c", ".h")):
        rules = [(regex, sentence) for holds, regex, sentence in C_RULES if holds(path)]
        yield from matches(rules, without_words(text))
    if not path.endswith("check_tokens.py"):
        yield from matches(TEXT_RULES, text)
    if text and not text.endswith("\n"):
        yield text.count("\n") + 1, "no newline at the end of the file"


def main():
    count = 0
    for path in sys.argv[1:]:
        for number, sentence in findings(path):
            print(f"{path}:{number}: {sentence}")
            count += 1
    sys.exit(1 if count else 0)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Look into a JSON result of everyport, for the shell tests.

  check_result.py FILE CHECK...

Checks: schema (docs/result.schema.json, or docs/doctor.schema.json for a doctor's report), closes (every ledger, and ports
against ledger), clean (sent == received on each port and in each direction, nothing lost), model (each port equals the count of the --impair model), ports=N.
Prints what is wrong, at most ten lines, and exits 1; or prints nothing and exits 0.
"""

import json
import os
import sys

DIRECTIONS = ("up", "down")
DOCS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "docs")


def schema(result):
    import jsonschema

    name = "doctor" if result.get("schema", "").startswith("everyport.doctor/") else "result"
    with open(os.path.join(DOCS, f"{name}.schema.json"), encoding="utf-8") as file:
        validator = jsonschema.Draft202012Validator(json.load(file))
    for error in validator.iter_errors(result):
        yield f"schema: {'/'.join(map(str, error.absolute_path))}: {error.message[:200]}"


def ledger_closes(name, led):
    sums = (
        ("intended", led["intended"], led["accepted"] + led["not_sent"]),
        ("accepted", led["accepted"], led["received"] - led["duplicates"] + led["lost_max"]),
        ("nic_tx", led["nic_tx"], led["accepted"] - led.get("oerrors", 0)),
        (
            "nic_rx",
            led["nic_rx"],
            sum(led[k] for k in ("received", "late", "bad_tag", "wrong_port", "foreign", "imissed", "ierrors", "rx_nombuf")),
        ),
    )
    for what, left, right in sums:
        if left != right:
            yield f"{name}: {what} is {left}, not {right}"


def queues_close(name, queues, led):
    """What came out of the receive queues is what the receiver counted."""
    if queues is None:
        return
    counted = sum(led[k] for k in ("received", "late", "bad_tag", "wrong_port", "foreign"))
    if sum(queues) != counted:
        yield f"{name}: the receive queues {queues} sum up to {sum(queues)}, not {counted}"


def closes(result):
    for d in DIRECTIONS:
        yield from ledger_closes(d, result["ledger"][d])
        for key, ledger_key in (("sent", "accepted"), ("received", "received"), ("lost", "lost_max"),
                                ("duplicates", "duplicates"), ("reordered", "reordered"), ("late", "late")):
            total = sum(port[d][key] for port in result["ports"])
            if total != result["ledger"][d][ledger_key]:
                yield f"{d}: ports' {key} sum up to {total}, not {result['ledger'][d][ledger_key]}"
    for trial in result["trials"]:
        for d in DIRECTIONS:
            yield from ledger_closes(f"{trial['kind']} {d}", trial["ledger"][d])
            yield from queues_close(f"{trial['kind']} {d}", trial["queues"][d], trial["ledger"][d])


def clean(result):
    for port in result["ports"]:
        for d in DIRECTIONS:
            p = port[d]
            if p["sent"] != p["received"] or p["sent"] == 0 or p["lost"] or p["duplicates"] or p["reordered"] or p["late"]:
                yield f"port {port['port']} {d}: {p}"


def model(result):
    for port, truth in zip(result["ports"], result["impair"]["ports"], strict=True):
        for d in DIRECTIONS:
            for key, truth_key in (("sent", "seen"), ("lost", "lost"), ("duplicates", "duplicates"), ("reordered", "reordered")):
                if port[d][key] != truth[d][truth_key]:
                    yield f"port {port['port']} {d}: {key} is {port[d][key]}, the model says {truth[d][truth_key]}"


def main():
    checks = {"schema": schema, "closes": closes, "clean": clean, "model": model}
    with open(sys.argv[1], encoding="utf-8") as file:
        result = json.load(file)
    wrong = []
    for name in sys.argv[2:]:
        if name.startswith("ports="):
            if len(result["ports"]) != int(name[6:]):
                wrong.append(f"{len(result['ports'])} ports, not {name[6:]}")
        else:
            wrong.extend(checks[name](result))
    print("\n".join(wrong[:10]), end="")
    sys.exit(len(wrong) > 0)


main()

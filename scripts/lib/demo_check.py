#!/usr/bin/env python3
"""Whether a result names the faults of the demo's firewall, and no others.

  demo_check.py RESULT.json DEAD_PORTS SHUT_TCP_PORT
"""

import json
import sys


def ports_of(ranges):
    """The ports of ["50100-50110", "55555"]."""
    ports = set()
    for item in ranges:
        low, _, high = item.partition("-")
        ports.update(range(int(low), int(high or low) + 1))
    return ports


def checks(result, dead, tcp_port):
    dead_ports, totals, tcp = result["dead_ports"], result["totals"], result["tcp"]
    # Through a NAT nothing can be sent down to a flow that never came up: such a port is dead up, and not tested down.
    not_sent_down = {port["port"] for port in result["ports"] if not port["down"]["sent"]}
    came_down = {port["port"] for port in result["ports"] if port["down"]["received"]}
    wanted = ports_of(dead.split(","))
    shut = {row["port"] for row in tcp if row["status"] != "open"}
    yield result["verdict"] == "fail", "the verdict is fail"
    yield ports_of(dead_ports["up"]) == wanted, f"exactly {dead} are dead going up: {','.join(dead_ports['up'])}"
    yield ports_of(dead_ports["down"]) | not_sent_down == wanted, f"exactly {dead} are dead or could not be tested going down"
    yield len(came_down) == len(result["ports"]) - len(wanted), f"all other ports carried packets down: {len(came_down)} ports"
    yield totals["down"]["received"] > 0, f"the down stream came through the NAT: {totals['down']['received']} packets"
    yield totals["up"]["lost"] > 0 and totals["down"]["lost"] > 0, "packets were lost both ways"
    yield shut == {tcp_port}, f"exactly TCP {tcp_port} is shut: {sorted(shut)}"
    yield any(str(tcp_port) in reason for reason in result["reasons"]), f"a reason names TCP {tcp_port}"


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        result = json.load(file)
    failed = 0
    for holds, text in checks(result, sys.argv[2], int(sys.argv[3])):
        print("yes" if holds else "NO ", text)
        failed += not holds
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

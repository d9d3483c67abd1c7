#!/usr/bin/env bash
# The main job on one machine: 10,001 UDP ports through a real nftables firewall with NAT and faults, and everyport's numbers
# beside the firewall's own. Exit codes: 0 both agree, 1 they do not, 2 usage, 3 this host cannot run it.
set -euo pipefail
cd "$(dirname "$0")/.."

dead=50100-50110,55555
lossy=52000-52999=1%
# The sources that the responder sees are none that the initiator uses.
nat=198.18.1.100:10000-29999
tcp_shut=7881
tries=3

export EP_LAB_PREFIX=${EP_LAB_PREFIX:-epdemo}
lab=scripts/lab/lab
bin=build/app/everyport

say()
{
	echo "demo: $*" >&2
}

if (($# > 0)); then
	say "takes no options, not '$1'"
	exit 2
fi
[[ -n ${EP_DEMO_IS_SET_UP:-} ]] || scripts/setup.sh --lab
if ((EUID != 0)); then
	if [[ -z $(type -P sudo) ]]; then
		say "needs root for network namespaces, and there is no sudo; run it as root"
		exit 3
	fi
	exec sudo EP_DEMO_IS_SET_UP=1 EP_LAB_PREFIX="$EP_LAB_PREFIX" "$PWD/scripts/demo.sh"
fi

tmp=$(mktemp -d)
serve_pid=
on_exit()
{
	if [[ -n $serve_pid ]]; then
		kill "$serve_pid" 2>/dev/null || true
		wait "$serve_pid" 2>/dev/null || true
	fi
	$lab down || true
	rm -rf "$tmp"
}
trap on_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The responder is ready when it listens on a TCP port that the firewall lets through.
serve_is_ready()
{
	[[ -n $($lab exec responder ss -Hltn '( sport = :443 or sport = :80 )') ]]
}

start_serve()
{
	local deadline=$((SECONDS + 20))

	$lab exec responder $bin serve --dev eth0 --key-file "$tmp/key" >"$tmp/serve.log" 2>&1 &
	serve_pid=$!
	until serve_is_ready; do
		if ! kill -0 "$serve_pid" 2>/dev/null || ((SECONDS > deadline)); then
			say "everyport serve did not come up:"
			cat "$tmp/serve.log" >&2
			exit 3
		fi
		sleep 0.1
	done
}

say "a firewall with source NAT between two hosts; UDP $dead dropped, 1 % lost on ${lossy%=*}, TCP $tcp_shut shut"
$lab up --lean --dead "$dead" --loss "$lossy" --snat "$nat" --tcp-shut "$tcp_shut"
(umask 077 && $bin keygen >"$tmp/key")
start_serve

for ((try = 1; try <= tries; try++)); do
	$lab flush
	code=0
	$lab exec initiator $bin run --peer 198.18.1.2 --dev eth0 --rate 50kpps --key-file "$tmp/key" --csv "$tmp/result.csv" \
		--json "$tmp/result.json" || code=$?
	((code == 5)) || break
	say "invalid: this machine was too busy to measure (try $try of $tries)"
done
if ((code == 3)); then
	say "this host cannot run it (see above)"
	exit 3
elif ((code != 1)); then
	say "everyport run ended with exit code $code; through this firewall it has to be 1 (not passed)"
	[[ ! -s $tmp/serve.log ]] || sed 's/^/serve: /' "$tmp/serve.log" >&2
	exit 1
fi

failed=0
echo
echo "The firewall's own counters (nftables):"
scripts/lab/compare "$tmp/result.csv" --json "$tmp/result.json" || failed=1
if ((failed)); then
	$lab status >&2
fi
echo
python3 scripts/lib/demo_check.py "$tmp/result.json" "$dead" "$tcp_shut" || failed=1
exit $failed

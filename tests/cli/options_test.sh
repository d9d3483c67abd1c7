#!/usr/bin/env bash
# Bad options get one sentence with the value and what is allowed, and the right exit code; nothing on stdout.
# Judges no time.
set -euo pipefail
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

key=$tmp/key
(umask 077 && "$EP_BIN" keygen >"$key")

fails_with 2 "60000-50000.*first.*last|60000-50000" "a range upside down" "$EP_BIN" loop --ports 60000-50000
fails_with 2 "\-\-ports '0'.*1 to 65535" "port 0" "$EP_BIN" loop --ports 0
fails_with 2 "\-\-rate '5'.*pps" "a rate without unit" "$EP_BIN" loop --rate 5
fails_with 2 "\-\-size '10'.*64" "a frame that is too small" "$EP_BIN" loop --size 10
fails_with 2 "\-\-duration '-1s'.*above 0" "a negative duration" "$EP_BIN" loop --duration -1s
fails_with 2 "\-\-duration '10'.*unit" "a duration without unit" "$EP_BIN" loop --duration 10
fails_with 2 "\-\-direction sideways.*up, down, both" "an unknown direction" "$EP_BIN" loop --direction sideways
fails_with 2 "\-\-max-loss '200%'.*100%" "a goal above 100 %" "$EP_BIN" loop --max-loss 200%
fails_with 2 "\-\-impair.*explode.*block" "an unknown impairment" "$EP_BIN" loop --impair explode=1
fails_with 2 "\-\-ring 100.*128" "a ring that is no power of two" "$EP_BIN" loop --ring 100
fails_with 2 "\-\-queues.* 1 to 64" "more queues than can be covered" "$EP_BIN" run --queues 65
fails_with 2 "\-\-busy-poll.* 0 to 65535" "a budget beyond the kernel's" "$EP_BIN" serve --busy-poll 65536
fails_with 2 "\-\-busy-poll: .*AF_XDP" "--busy-poll without a device" "$EP_BIN" loop --busy-poll 64
fails_with 2 "\-\-cores x" "cores that are no numbers" "$EP_BIN" loop --cores x
fails_with 2 "\-\-cores 0,1,0.*CPU 0 twice" "a core named twice" "$EP_BIN" loop --cores 0,1,0
fails_with 2 "\-\-sweep-rate max" "a sweep as fast as possible" "$EP_BIN" loop --sweep-rate max
fails_with 2 "\-\-sweep-rate.*366 days" "a sweep that takes years" "$EP_BIN" loop --sweep-rate 1pps --sources 45000
fails_with 2 "\-\-fast.*unknown option" "an unknown option" "$EP_BIN" loop --fast
fails_with 2 "\-\-once is no option of everyport loop" "an option of another command" "$EP_BIN" loop --once
fails_with 2 "\-\-peer 127.0.0.1.*two --dev" "a server behind the in-memory pair" "$EP_BIN" loop --peer 127.0.0.1
fails_with 2 "needs --peer" "a check of nowhere" "$EP_BIN" loop --tcp 443
fails_with 2 "\-\-addr 198.18.0.2.*prefix, such as 198.18.0.2/24" "an address without its prefix" "$EP_BIN" loop --addr 198.18.0.2
fails_with 2 "\-\-addr.*prefix.*33.*32" "a prefix that is too long" "$EP_BIN" loop --addr 198.18.0.2/33
fails_with 2 "\-\-addr: give one for each of two --dev" "addresses without devices" "$EP_BIN" loop --addr 198.18.0.2/24 --addr 198.18.0.3/24
fails_with 2 "\-\-dev net_memif0.*--addr IP/BITS is needed" "serve on a device without an address" \
	"$EP_BIN" serve --dev net_memif0 --key-file "$key"
fails_with 2 "\-\-addr 198.18.0.2/24.*no kernel owns, eth0" "an address where the kernel has one" \
	"$EP_BIN" run --peer 198.18.0.1 --dev eth0 --key-file "$key" --addr 198.18.0.2/24
fails_with 2 "\-\-gateway 198.18.0.1.*of eth0 the kernel has the routes" "a gateway where the kernel has one" \
	"$EP_BIN" serve --dev eth0 --key-file "$key" --gateway 198.18.0.1
fails_with 2 "\-\-control-dev eth1.*the kernel has eth0" "another control interface where the kernel has the device" \
	"$EP_BIN" serve --dev eth0 --key-file "$key" --control-dev eth1
fails_with 2 "one address of each family" "two addresses of one family" \
	"$EP_BIN" serve --dev net_memif0 --key-file "$key" --addr 198.18.0.2/24 --addr 198.18.0.3/24
fails_with 2 "\-\-gateway 2001:2::1.*no --addr of its family" "a gateway without an address" \
	"$EP_BIN" serve --dev net_memif0 --key-file "$key" --addr 198.18.0.2/24 --gateway 2001:2::1
fails_with 2 "\-\-control-dev is no option of everyport loop" "a control interface in a loop" "$EP_BIN" loop --control-dev eth0
fails_with 3 "nosuch0" "a control interface that is not there" \
	"$EP_BIN" serve --dev net_null0 --key-file "$key" --addr 198.18.0.2/24 --control-dev nosuch0
fails_with 2 "two families" "addresses of two families" "$EP_BIN" loop --dev net_tap0 --dev net_tap1 --addr 198.18.0.2/24 --addr 2001:2::3/64
fails_with 2 "\-\-rate needs a value" "an option without its value" "$EP_BIN" loop --rate
fails_with 2 "stray.*not an option" "a stray word" "$EP_BIN" loop stray
fails_with 2 "\-\-html.*not in this version" "what is not there yet is refused" "$EP_BIN" loop --html x
fails_with 2 "nat is not in this version" "a command that is not there yet" "$EP_BIN" nat
fails_with 2 "unknown command fly" "an unknown command" "$EP_BIN" fly
fails_with 2 "\-\-dev.*two devices" "loop with one device" "$EP_BIN" loop --dev eth0
fails_with 2 "\-\-json - and --csv -" "two results on one stdout" "$EP_BIN" loop --json - --csv -
fails_with 2 "\-\-json /nowhere/x" "a result that cannot be written is known before the run" "$EP_BIN" loop --json /nowhere/x
fails_with 2 "\-\-rate" "a share of a link without speed" "$EP_BIN" loop --rate 50% --json "$tmp/never.json"
is "$(ls "$tmp")" "$(printf '%s\n' fails.err fails.out key)" "... and a run that never began leaves no empty result"
fails_with 2 "\-\-sources.*45000" "more sources than there are" "$EP_BIN" loop --sources 100000
fails_with 2 "\-\-queues '0'.*1 to 64" "no queues" "$EP_BIN" loop --queues 0
fails_with 2 "\-\-queues 17: end 1 of the in-memory pair can have 1 to 16" "more queues than the in-memory pair has" \
	"$EP_BIN" loop --queues 17
fails_with 2 "\-\-queues 2: the model of --impair has one queue" "queues for the model of a path" \
	"$EP_BIN" loop --queues 2 --impair drop=1%
fails_with 2 "\-\-queues 17: net_tap0 can have 1 to 16" "more queues than a driver has" \
	"$EP_BIN" loop --queues 17 --dev net_tap0 --dev net_tap1
fails_with 3 "cannot|not allowed|no such|core" "a core that this machine does not have" "$EP_BIN" loop --cores 1000

fails_with 2 "\-\-vlan.* 1 to 4094" "a VLAN that there is not" "$EP_BIN" loop --vlan 4095
fails_with 2 "\-\-vlan 5: nothing lies between" "a VLAN in memory" "$EP_BIN" loop --vlan 5
fails_with 2 "\-\-vlan 5: is for PCI and net_.*type vlan id 5" "a VLAN on the kernel's interface" "$EP_BIN" loop --vlan 5 --dev lo --dev lo
fails_with 2 "\-\-vlan 5: is for PCI and net_.*type vlan id 5" "... of run" "$EP_BIN" run --peer 127.0.0.1 --vlan 5 --dev lo --key-file "$key"
fails_with 2 "\-\-vlan 5: is for PCI and net_.*type vlan id 5" "... of serve" "$EP_BIN" serve --vlan 5 --dev af_packet:lo --key-file "$key"
fails_with 2 "\-\-vlan.* 1 to 4094" "no VLAN" "$EP_BIN" serve --vlan 0 --dev net_tap0 --addr 198.18.0.1/24 --key-file "$key"
fails_with 2 "\-\-size 64: .*VLAN tag needs a frame of at least 68 B" "a frame without room for its tag" \
	"$EP_BIN" run --peer 198.18.0.2 --vlan 5 --dev net_tap0 --addr 198.18.0.1/24 --key-file "$key"

fails_with 2 "\-\-peer is missing" "run without a peer" "$EP_BIN" run --dev eth0 --key-file "$key"
fails_with 2 "\-\-key-file is missing" "run without a key" "$EP_BIN" run --peer 127.0.0.1 --dev eth0
# shellcheck disable=SC2016 # for the inner shell
fails_with 3 "need [0-9]+ open files.*ulimit -Hn" "more connects under load than files" \
	bash -c 'ulimit -n 500 && exec "$@"' - "$EP_BIN" run --peer 127.0.0.1 --dev eth0 --key-file "$key" --tcp-rate 1000/s
fails_with 2 "link-local" "a peer that means nothing without its link" "$EP_BIN" run --peer fe80::1 --dev eth0 --key-file "$key"
fails_with 2 "\-\-ports: the list has [0-9]+ characters.*1023" "more ports than the greeting has room for" \
	"$EP_BIN" run --peer 127.0.0.1 --dev eth0 --key-file "$key" --ports "$(seq -s, 50000 2 50500)"
fails_with 2 "\-\-tcp and --control-port name 17 ports" "more ports than can be listened on" \
	"$EP_BIN" serve --dev eth0 --key-file "$key" --tcp 1001-1016 --control-port 999
fails_with 2 "$tmp/none" "a key file that is not there" "$EP_BIN" serve --dev eth0 --key-file "$tmp/none"
echo c2hvcnQ= >"$tmp/short" && chmod 600 "$tmp/short"
fails_with 2 "32" "a key that is too short" "$EP_BIN" serve --dev eth0 --key-file "$tmp/short"
echo '%%%' >"$tmp/junk" && chmod 600 "$tmp/junk"
fails_with 2 "base64" "a key that is no key" "$EP_BIN" serve --dev eth0 --key-file "$tmp/junk"
cp "$key" "$tmp/open" && chmod 644 "$tmp/open"
fails_with 2 "644.*chmod 600|chmod 600" "a key that others can read" "$EP_BIN" serve --dev eth0 --key-file "$tmp/open"
fails_with 3 "nosuch0" "a device that is not there" "$EP_BIN" serve --dev nosuch0 --key-file "$key"
fails_with 3 "--dev 0000:ff:1f.7: there is no such PCI device" "serve over a PCI device that is not there" \
	"$EP_BIN" serve --dev ff:1f.7 --addr 198.18.0.1/24 --key-file "$key"
fails_with 3 "--dev 0000:ff:1f.7: there is no such PCI device.*lspci -D" "a PCI device that is not there" \
	"$EP_BIN" loop --dev ff:1f.7 --dev 0000:ff:1e.7
fails_with 2 "0000:01:20.0.*not a PCI address" "a PCI address that cannot be" "$EP_BIN" loop --dev 0000:01:20.0 --dev 0000:01:00.0
fails_with 2 "sixteen_letters_" "a device that cannot be" "$EP_BIN" loop --dev sixteen_letters_ --dev net_null0

is "$("$EP_BIN" keygen | tr -d '\n' | wc -c)" 44 "keygen prints 44 characters of base64"
unlike "$("$EP_BIN" keygen)" "$("$EP_BIN" keygen | tr '+' '.')" "... another key each time"
for command in loop serve run keygen; do
	like "$("$EP_BIN" $command --help)" "everyport $command" "$command --help"
done
like "$("$EP_BIN" --version)" '^everyport [0-9]+\.[0-9]+\.[0-9]+$' "--version"

need_root_or_skip "devices as an ordinary user"
chmod 755 "$tmp"
install -m 755 "$EP_BIN" "$tmp/everyport"
install -m 600 -o 65534 "$key" "$tmp/nobodys"
fails_with 3 "root" "a kernel interface needs root" \
	setpriv --reuid=65534 --regid=65534 --clear-groups -- "$tmp/everyport" serve --dev eth0 --key-file "$tmp/nobodys"
install -m 000 "$key" "$tmp/closed"
fails_with 2 "closed" "a key file that this user cannot read" \
	setpriv --reuid=65534 --regid=65534 --clear-groups -- "$tmp/everyport" serve --dev eth0 --key-file "$tmp/closed"
fails_with 3 "exception interface.*run as root.*--control-dev" "an exception interface needs root" \
	setpriv --reuid=65534 --regid=65534 --clear-groups -- "$tmp/everyport" serve --dev net_null0 --addr 198.18.0.2/24 --key-file "$tmp/nobodys"
fails_with 3 "loopback" "the loopback interface is refused" "$EP_BIN" serve --dev lo --key-file "$key"

finish

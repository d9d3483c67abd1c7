#!/usr/bin/env bash
# In the guest, as root: from two NICs that the kernel drives to a measurement over them, by the commands that everyport itself names.
# Each step leaves NAME.code, NAME.err (stderr) and, where there is one, NAME.json in /out. run.sh judges them.
set -uo pipefail
# shellcheck disable=SC1091 # of run.sh
. /out/env

export HOME=/tmp PATH=/tmp/bin:$QEMU_TOOLS/usr/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
dev=(--dev 0000:00:03.0 --dev 00:04.0)
load=(--rate "$RATE" --duration 2s --drain 500ms --sweeps 1 --sweep-rate 10kpps)

# The commands are for a user of a host with sudo; here is root without.
mkdir -p /tmp/bin /lib/modules
printf '#!/bin/sh\nexec "$@"\n' >/tmp/bin/sudo
chmod +x /tmp/bin/sudo
ln -s "$QEMU_KERNEL/lib/modules/$(uname -r)" /lib/modules/
# The tools that the commands need are installed, so that the doctor does not ask apt for them.
[[ -e /usr/bin/dpdk-devbind.py ]] || ln -s "$QEMU_TOOLS/usr/bin/dpdk-devbind.py" /usr/local/bin/
mkdir -p /boot
cp "$QEMU_KERNEL/boot/config-$(uname -r)" /boot/

# step NAME COMMAND...
step()
{
	local name=$1 code=0

	shift
	"$@" >"/out/$name.out" 2>"/out/$name.err" || code=$?
	echo "$code" >"/out/$name.code"
	echo "$(cut -d' ' -f1 /proc/uptime) s: $name: $code"
}

# fix FILE ID: run the commands that a doctor's report names for a finding, each once.
fix()
{
	python3 -c 'import json, sys
seen = []
for f in json.load(open(sys.argv[1]))["findings"]:
    if f["id"] == sys.argv[2] and f["status"] == "stop" and f["fix"] not in seen:
        seen.append(f["fix"])
print("\n".join(seen))' "$1" "$2" >"/out/fix-$2.sh"
	step "fix-$2" bash -e "/out/fix-$2.sh"
}

# From the kernel's driver to DPDK's, with huge pages, by what the doctor says.
doctor_leads()
{
	step doctor-before "$EP_BIN" doctor --no-measure "${dev[@]}" --json /out/doctor-before.json
	fix /out/doctor-before.json driver
	step no-huge "$EP_BIN" loop "${dev[@]}" "${load[@]}"
	step doctor-fix "$EP_BIN" doctor --fix --no-measure "${dev[@]}" --json /out/doctor-fix.json
}

# raise NAME: the command for huge pages in a step's refusal.
raise()
{
	grep -o 'echo [0-9]* | sudo tee [^ ]*$' "/out/$1.err" >/out/raise.sh
	step raise bash -e /out/raise.sh
}

# Whether a program has a group of vfio.
group_taken()
{
	[[ -n $(find /proc/[0-9]*/fd -lname '/dev/vfio/[0-9]*' -print -quit 2>/dev/null) ]]
}

# What is given back is the kernel's again.
give_back()
{
	step back dpdk-devbind.py --bind="$QEMU_DRIVER" 0000:00:03.0 0000:00:04.0
	ls /sys/bus/pci/devices/0000:00:03.0 >/out/back.list
}

# --- Both NICs in one process -------------------------------------------------------------------------------------------------

case_loop()
{
	local i

	step bound "$EP_BIN" loop "${dev[@]}" "${load[@]}"
	doctor_leads
	step loop "$EP_BIN" loop "${dev[@]}" "${load[@]}" --json /out/loop.json
	step ipv4 "$EP_BIN" loop "${dev[@]}" "${load[@]}" --addr 198.18.0.1/24 --addr 198.18.0.2/24 --json /out/ipv4.json
	step ipv6 "$EP_BIN" loop "${dev[@]}" "${load[@]}" --size 84 --addr 2001:2::1/64 --addr 2001:2::2/64 --json /out/ipv6.json
	step offload "$EP_BIN" loop "${dev[@]}" "${load[@]}" --checksum offload --json /out/offload.json
	# While one everyport has the NICs, a second one is refused, and they are the first one's still.
	step first "$EP_BIN" loop "${dev[@]}" --rate 1kpps --duration 6s --sweeps 1 --sweep-rate 10kpps --quiet --json /out/first.json &
	for ((i = 0; i < 100; i++)); do
		! group_taken || break
		sleep 0.1
	done
	step second "$EP_BIN" loop "${dev[@]}" "${load[@]}"
	wait
	give_back
}

# --- Two queues of each NIC ----------------------------------------------------------------------------------------------------

case_queues()
{
	doctor_leads
	step queues-few "$EP_BIN" loop "${dev[@]}" "${load[@]}" --queues 2
	raise queues-few
	step queues "$EP_BIN" loop "${dev[@]}" "${load[@]}" --queues 2 --json /out/queues.json
	give_back
}

# --- Without an IOMMU ---------------------------------------------------------------------------------------------------------

case_uio()
{
	step bound "$EP_BIN" loop "${dev[@]}" "${load[@]}"
	doctor_leads
	step loop "$EP_BIN" loop "${dev[@]}" "${load[@]}" --json /out/loop.json
	give_back
}

# --- run and serve, each with a NIC and a network namespace of its own ---------------------------------------------------------

# run_to NAME PEER OPTION...: with a fresh serve at the far NIC.
run_to()
{
	local name=$1 peer=$2 serve_pid i

	shift 2
	ip netns exec far "$EP_BIN" serve --key-file /tmp/key "${ports[@]}" --dev 0000:00:04.0 --addr 198.18.0.2/24 --addr 2001:2::2/64 --once \
		>"/out/$name-serve.out" 2>"/out/$name-serve.err" &
	serve_pid=$!
	for ((i = 0; i < 600; i++)); do
		! grep -q "ready on" "/out/$name-serve.err" || break
		sleep 0.1
	done
	step "$name" ip netns exec near "$EP_BIN" run --key-file /tmp/key "${ports[@]}" --dev 0000:00:03.0 --addr 198.18.0.1/24 --addr 2001:2::1/64 \
		--peer "$peer" --rate 500pps --duration 4s --sweeps 1 --sweep-rate 1kpps --tcp-rate 1/s --json "/out/$name.json" "$@"
	# --once ends it after a session; where there was none, it is ended here.
	for ((i = 0; i < 100; i++)); do
		kill -0 "$serve_pid" 2>/dev/null || break
		sleep 0.1
	done
	kill "$serve_pid" 2>/dev/null
	wait "$serve_pid"
	echo $? >"/out/$name-serve.code"
}

case_sessions()
{
	local ns

	modprobe tun
	for ns in near far; do
		ip netns add "$ns"
		ip -n "$ns" link set lo up
	done
	(umask 077 && "$EP_BIN" keygen >/tmp/key)
	ports=(--ports 50000-50999)
	doctor_leads
	# That was for one process of one device, without an exception path.
	echo 512 >/proc/sys/vm/nr_hugepages
	run_to run 198.18.0.2
	run_to run6 2001:2::2 --size 84
	give_back
}

# --- An ordinary user of a host without NIC and without huge pages -------------------------------------------------------------

# What a doctor could have changed.
settings()
{
	cat /proc/sys/vm/nr_hugepages /sys/kernel/mm/transparent_hugepage/enabled /proc/sys/net/ipv4/ip_local_reserved_ports
	cut -d' ' -f1 /proc/modules | sort
	ip -o link
	ip -o route
}

as_user()
{
	setpriv --reuid=1000 --regid=1000 --clear-groups -- env HOME=/tmp/home "$@"
}

# commands FILE: of a report, what mends what is not OK, each once.
commands()
{
	jq -r '[.findings[] | select(.status != "OK" and .fix != "") | .fix] | unique[]' "$1"
}

case_bare()
{
	local command number=0

	mkdir -m 755 /tmp/home
	chown 1000:1000 /tmp/home
	ip link set lo up
	settings >/out/settings-before
	step user as_user "$EP_BIN" doctor --duration 500ms --json -
	step user-text as_user "$EP_BIN" doctor --no-measure
	step user-fix as_user "$EP_BIN" doctor --no-measure --fix --json -
	settings >/out/settings-after
	commands /out/user.out >/out/commands
	while read -r command; do
		number=$((number + 1))
		step "command-$number" bash -c "$command"
	done </out/commands
	step mended as_user "$EP_BIN" doctor --no-measure --json -
	# A boot later, so to speak: only what --fix does.
	echo 0 >/proc/sys/vm/nr_hugepages
	echo >/proc/sys/net/ipv4/ip_local_reserved_ports
	settings >/out/settings-before-fix
	step fix "$EP_BIN" doctor --no-measure --fix --json -
	settings >/out/settings-after-fix
	step root-loop "$EP_BIN" loop --ports 50000-50099 --rate 10kpps --duration 1s --quiet
	step again as_user "$EP_BIN" doctor --no-measure --json -
	step loop as_user "$EP_BIN" loop --ports 50000-50099 --rate 10kpps --duration 1s --json /tmp/home/loop.json
	cp /tmp/home/loop.json /out/
}

[[ $QEMU_CASE == bare ]] || modprobe "$QEMU_MODULE"
ls -l /sys/bus/pci/devices/0000:00:0[34].0/driver
"case_$QEMU_CASE"
dmesg >/out/dmesg

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

modprobe "$QEMU_MODULE"
for address in 0000:00:03.0 0000:00:04.0; do
	ls -l "/sys/bus/pci/devices/$address/driver"
done
step bound "$EP_BIN" loop "${dev[@]}" "${load[@]}"
step doctor-before "$EP_BIN" doctor --no-measure "${dev[@]}" --json /out/doctor-before.json
fix /out/doctor-before.json driver
step no-huge "$EP_BIN" loop "${dev[@]}" "${load[@]}"
step doctor-fix "$EP_BIN" doctor --fix --no-measure "${dev[@]}" --json /out/doctor-fix.json
step loop "$EP_BIN" loop "${dev[@]}" "${load[@]}" --json /out/loop.json
step ipv4 "$EP_BIN" loop "${dev[@]}" "${load[@]}" --addr 198.18.0.1/24 --addr 198.18.0.2/24 --json /out/ipv4.json
step ipv6 "$EP_BIN" loop "${dev[@]}" "${load[@]}" --size 84 --addr 2001:2::1/64 --addr 2001:2::2/64 --json /out/ipv6.json
step offload "$EP_BIN" loop "${dev[@]}" "${load[@]}" --checksum offload --json /out/offload.json

# Whether a program has a group of vfio.
group_taken()
{
	[[ -n $(find /proc/[0-9]*/fd -lname '/dev/vfio/[0-9]*' -print -quit 2>/dev/null) ]]
}

# While one everyport has the NICs, a second one is refused, and they are the first one's still.
step first "$EP_BIN" loop "${dev[@]}" --rate 1kpps --duration 6s --sweeps 1 --sweep-rate 10kpps --quiet --json /out/first.json &
for ((i = 0; i < 100; i++)); do
	! group_taken || break
	sleep 0.1
done
step second "$EP_BIN" loop "${dev[@]}" "${load[@]}"
wait
# What is given back is the kernel's again.
step back dpdk-devbind.py --bind="$QEMU_DRIVER" 0000:00:03.0 0000:00:04.0
ls /sys/bus/pci/devices/0000:00:03.0 >/out/back.list
dmesg >/out/dmesg

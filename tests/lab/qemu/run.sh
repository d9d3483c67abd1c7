#!/usr/bin/env bash
# A guest under qemu with two emulated NICs on PCI, joined by a hub: everyport between them, from a bare guest to the result. Takes
# some minutes, needs no root, and no KVM.
#
#   tests/lab/qemu/run.sh [e1000e|vmxnet3|virtio-net-pci] [loop|queues|sessions|uio|bare]
#
# loop: both NICs in one process, over vfio-pci behind an emulated IOMMU. queues: the same on two
# queues of each. sessions: serve and run each with one of them, the control connection over the exception path. uio: loop in a machine without an IOMMU. bare: the doctor of an ordinary user in a machine
# without NIC, whose commands are then run.
#
# EP_QEMU_RATE is the rate of the load (default 4kpps); EP_QEMU_KEEP names a folder that keeps what the guest left; EP_QEMU_SETUP=0
# leaves out scripts/setup.sh --qemu, which installs and builds what is missing.
set -euo pipefail
# shellcheck source=../../lib.sh
. "$(dirname "$0")/../../lib.sh"

here=$top/tests/lab/qemu
nic=${1:-e1000e}
case=${2:-loop}
cache=$top/build/qemu
out=$tmp/out
check=$top/tests/check_result.py
# A minute on a host with two CPUs that are free, several where others use them.
guest_timeout_s=900
# Without VAES: qemu 7.2 takes the bytes of the lower half of a register for both halves, and so computes wrong tags.
cpu=max,-vaes
qemu_pid=
netdev=hubport,id=net@,hubid=0
in_ns=()

usage()
{
	echo "usage: tests/lab/qemu/run.sh [e1000e|vmxnet3|virtio-net-pci] [loop|queues|sessions|uio|bare]" >&2
	exit 2
}

case $nic in
e1000e) driver=e1000e module=e1000e pmd=net_e1000_em device=e1000e ;;
vmxnet3) driver=vmxnet3 module=vmxnet3 pmd=net_vmxnet3 device=vmxnet3 ;;
virtio-net-pci) driver=virtio-pci module=virtio_net pmd=net_virtio device=virtio-net-pci,disable-legacy=on,iommu_platform=on ;;
*)
	usage
	;;
esac
case $case in
loop | queues | sessions) iommu=(-device "intel-iommu,intremap=on,aw-bits=48") ;;
bare) iommu=() ;;
uio) iommu=() device=${device%,iommu_platform=on} ;;
*) usage ;;
esac

cleanup()
{
	((${#in_ns[@]} == 0)) || ip netns del "$ns" 2>/dev/null || true
	[[ -z ${EP_QEMU_KEEP:-} ]] || cp -r "$out/." "$EP_QEMU_KEEP/"
}

# --- What the guest is made of ------------------------------------------------------------------------------------------------

# module_order KERNEL_FOLDER MODULE...: paths of the modules and of all that they need, in the order in which they load.
module_order()
{
	local root=$1

	shift
	python3 - "$root" "$@" <<'END'
import os
import sys

root, wanted = sys.argv[1], sys.argv[2:]
needs = {}
for line in open(os.path.join(root, "modules.dep"), encoding="ascii"):
    path, _, rest = line.partition(":")
    name = os.path.basename(path).split(".")[0].replace("-", "_")
    needs[name] = (path, [os.path.basename(p).split(".")[0].replace("-", "_") for p in rest.split()])
done = []


def load(name):
    name = name.replace("-", "_")
    if name not in needs or name in done:
        return
    for other in needs[name][1]:
        load(other)
    done.append(name)


for module in wanted:
    load(module)
print("\n".join(needs[name][0] for name in done))
END
}

initramfs_make()
{
	local modules=$1 root=$tmp/initramfs path

	mkdir -p "$root/bin" "$root/modules"
	cp "$(type -P busybox)" "$root/bin/busybox"
	cp "$here/init" "$root/init"
	chmod 755 "$root/init"
	while read -r path; do
		cp "$modules/$path" "$root/modules/"
		basename "$path" >>"$root/modules/order"
	done < <(module_order "$modules" virtio_pci 9pnet_virtio 9p overlay)
	(cd "$root" && find . | busybox cpio -o -H newc 2>/dev/null) >"$tmp/initramfs.cpio"
}

guest_files()
{
	mkdir -p "$out"
	cp "$here/guest.sh" "$out/"
	printf '%s=%q\n' EP_BIN "$EP_BIN" QEMU_TOOLS "$cache/dpdk" QEMU_KERNEL "$cache/kernel" QEMU_DRIVER "$driver" QEMU_MODULE "$module" \
		QEMU_CASE "$case" RATE "${EP_QEMU_RATE:-4kpps}" >"$out/env"
}

# --- The guest ----------------------------------------------------------------------------------------------------------------

guest_run()
{
	local release=$1 nics=() i

	for i in 3 4; do
		[[ $case != bare ]] || break
		nics+=(-netdev "${netdev//@/$i}" -device "$device,netdev=net$i,addr=$i,mac=52:54:00:00:00:0$i,romfile=")
	done
	code=0
	"${in_ns[@]}" timeout -k 10 $guest_timeout_s qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot -serial stdio \
		-accel tcg,thread=multi -cpu "$cpu" -smp 2 -m 2048 -M q35 "${iommu[@]}" \
		-kernel "$cache/kernel/boot/vmlinuz-$release" -initrd "$tmp/initramfs.cpio" \
		-append "console=ttyS0 quiet panic=-1 intel_iommu=on" \
		-fsdev local,id=root,path=/,security_model=none,readonly=on,multidevs=remap -device virtio-9p-pci,fsdev=root,mount_tag=root \
		-fsdev "local,id=out,path=$out,security_model=none" -device virtio-9p-pci,fsdev=out,mount_tag=out \
		"${nics[@]}" >"$tmp/console" 2>&1 </dev/null &
	qemu_pid=$!
	own_pids+=("$qemu_pid")
	wait "$qemu_pid" || code=$?
	sed 's/^/# /' "$tmp/console"
	[[ ! -f $out/guest.log ]] || sed 's/^/# guest: /' "$out/guest.log"
}

# A hub has one queue: for virtio, two taps of two queues in a bridge, in a network namespace.
taps_make()
{
	local i

	ns=${EP_LAB_PREFIX:-eptest$$}-qemu
	in_ns=(ip netns exec "$ns")
	ip netns add "$ns"
	ip -n "$ns" link add br0 type bridge
	ip -n "$ns" link set br0 up
	for i in 3 4; do
		"${in_ns[@]}" ip tuntap add "tap$i" mode tap multi_queue
		ip -n "$ns" link set "tap$i" master br0
		ip -n "$ns" link set "tap$i" up
	done
	netdev=tap,id=net@,ifname=tap@,script=no,downscript=no,queues=2
	device+=,mq=on,vectors=6
}

# --- What it left -------------------------------------------------------------------------------------------------------------

left()
{
	cat "$out/$1" 2>/dev/null || true
}

# finding FILE ID KEY: of a doctor's report, the first of this id.
finding()
{
	jq -r --arg id "$2" --arg key "$3" 'first(.findings[] | select(.id == $id)) | .[$key]' "$out/$1"
}

# measured STEP: a load over the NICs whose account closes, and from which nothing is missing but what the ledger blames on us.
measured()
{
	json=$out/$1.json
	code=$(left "$1.code")
	code_is 0 "$1: pass"
	[[ $code == 5 ]] || succeeds "$1: every probe came" "$check" "$json" clean
	succeeds "$1: the account of each of the 10,001 ports closes, as the schema has it" "$check" "$json" schema closes ports=10001
	is "$(jq -r .host.driver "$json")" "$pmd" "$1: DPDK's own driver"
	like "$(jq -r '.totals.up.received, .totals.down.received' "$json" | sort -n | head -1)" '^[1-9][0-9]{4,}$' "$1: both ways"
}

if [[ ${EP_QEMU_SETUP:-1} == 1 ]] && ! CI=true "$top/scripts/setup.sh" --qemu; then
	skip "loop between two NICs on vfio-pci in a guest" "qemu or the guest's kernel cannot be had"
	finish
	exit
fi
release=$(basename "$cache"/kernel/lib/modules/*)
initramfs_make "$cache/kernel/lib/modules/$release"
guest_files
if [[ $case-$nic == queues-virtio-net-pci ]]; then
	need_root_or_skip "two queues of virtio"
	taps_make
fi
begin_s=$SECONDS
guest_run "$release"
is "$code" 0 "the guest ends by itself, after $((SECONDS - begin_s)) s"

# doctor_led BIND: from the kernel's driver to BIND, and to huge pages, by the doctor's own commands.
doctor_led()
{
	local report

	is "$(left doctor-before.code)" 3 "the doctor says stop of NICs that the kernel drives"
	for report in doctor-before doctor-fix; do
		succeeds "... $report is as the schema has it" "$check" "$out/$report.json" schema
	done
	is "$(finding doctor-before.json driver fix)" "sudo modprobe $1 && sudo dpdk-devbind.py --bind=$1 0000:00:03.0" "... with the command"
	is "$(finding doctor-before.json hugepages status)" stop "... and that huge pages are missing"
	is "$(left fix-driver.code)" 0 "the doctor's commands bind both"
	is "$(left no-huge.code)" 3 "without huge pages they are refused"
	like "$(left no-huge.err)" "needs huge pages.*[0-9]+ of them, and 0 are free; raise them: echo [0-9]+ \| sudo tee" "... with what raises them"
	is "$(left doctor-fix.code)" 0 "doctor --fix raises them, and nothing is in the way any more"
	is "$(finding doctor-fix.json driver status)" OK "... the driver is OK"
}

given_back()
{
	is "$(left back.code)" 0 "everything given back, the kernel takes the NICs again"
	like "$(left back.list)" "net|virtio" "... as interfaces"
}

# The emulated vmxnet3 reads its shared memory at 0 before the driver has told where that is.
no_stray_access()
{
	is "$(grep 'DMAR: \[DMA' "$out/dmesg" | grep -vc 'DMA Read .*fault addr 0x0 ' || true)" 0 "the IOMMU met no access that it had to stop"
}

# Only virtio's taps spread flows over its queues; the emulated e1000e and vmxnet3 fill the first.
judge_queues()
{
	local used="1"

	[[ $nic != virtio-net-pci ]] || used="2"
	doctor_led vfio-pci
	is "$(left queues-few.code)" 3 "two queues take more huge pages"
	is "$(left raise.code)" 0 "... and the refusal's command raises them"
	measured queues
	is "$(jq -c '[.queues | .up, .down | .received | length]' "$json")" "[2,2]" "... on two queues of each NIC"
	is "$(jq -c '[.queues | .up, .down | .received | map(select(. > 0)) | length]' "$json")" "[$used,$used]" "... of which $used received"
	given_back
	no_stray_access
}

judge_loop()
{
	is "$(left bound.code)" 3 "NICs that the kernel drives are refused"
	like "$(left bound.err)" "0000:00:03.0: is bound to the kernel's driver $driver as [a-z0-9]+; .*dpdk-devbind.py --bind=vfio-pci 0000:00:03.0" \
		"... by their driver, with the command"
	doctor_led vfio-pci
	is "$(finding doctor-fix.json iommu status)" OK "... so is the IOMMU"
	measured loop
	is "$(jq -r .host.mode "$json")" "DPDK driver, vfio-pci" "... behind the IOMMU"
	measured ipv4
	measured ipv6
	if [[ $nic == e1000e ]]; then
		measured offload
		is "$(jq -r .host.offloads "$json")" "udp and ipv4 checksum" "... which the NIC computes"
	else
		is "$(left offload.code)" 3 "checksums that the driver does not compute are refused"
		is "$(grep -c '^everyport loop: .*no checksum offload' "$out/offload.err" || true)" 1 "... with a sentence"
		unlike "$(left offload.err)" "DMA remapping" "... and both NICs, of which one was never opened, are given back"
	fi
	json=$out/first.json
	code=$(left first.code)
	code_is 0 "an everyport that has the NICs"
	is "$(left second.code)" 3 "... keeps a second one out"
	like "$(left second.err)" "another program has its group" "... which says why"
	given_back
	no_stray_access
}

judge_uio()
{
	is "$(left bound.code)" 3 "NICs that the kernel drives are refused"
	like "$(left bound.err)" "0000:00:03.0: is bound to the kernel's driver $driver as [a-z0-9]+; this host has no IOMMU for it, .*everyport doctor --dev 0000:00:03.0" \
		"... and the doctor knows what takes them without an IOMMU"
	doctor_led uio_pci_generic
	like "$(finding doctor-before.json iommu sentence)" "this virtual machine has no IOMMU and, .*no-IOMMU mode.*uio_pci_generic can take the NIC" \
		"... which says why not vfio-pci"
	like "$(finding doctor-fix.json iommu sentence)" "uio_pci_generic needs none: it works" "... and what it costs"
	measured loop
	is "$(jq -r .host.mode "$json")" "DPDK driver, uio_pci_generic" "... without an IOMMU"
	given_back
}

# session STEP: run against serve; of 1,000 ports.
session()
{
	json=$out/$1.json
	code=$(left "$1.code")
	code_is 0 "$1: pass"
	[[ $code != [34] ]] || sed 's/^/# /' "$out/$1.err" "$out/$1-serve.err"
	succeeds "$1: the account of each of the 1,000 ports closes, as the schema has it" "$check" "$json" schema closes ports=1000
	is "$(jq -c '[.ledger.up.accepted, .ledger.down.accepted] == [.ledger.up.received, .ledger.down.received]' "$json")" true \
		"$1: each probe that was sent has arrived"
	is "$(jq -r .host.driver "$json")" "$pmd" "$1: over DPDK's own driver"
	is "$(jq -c '[.host.exception.interface, .host.exception.dropped]' "$json")" '["everyport0",0]' "$1: the control connection over everyport0"
	is "$(jq '[.tcp[] | select(.required and .status != "open")] | length' "$json")" 0 "$1: every fallback port is open"
	is "$(left "$1-serve.code")" 0 "$1: serve --once ends well"
}

judge_sessions()
{
	doctor_led vfio-pci
	session run
	session run6
	given_back
	no_stray_access
}

# findings FILE: of a doctor's report, what is not OK.
not_ok_of()
{
	jq -c '[.findings[] | select(.status != "OK") | .id]' "$out/$1"
}

judge_bare()
{
	local report number

	is "$(left user.code)" 0 "an ordinary user without NIC and huge pages: exit 0, since loop and tcp can run"
	for report in user user-fix mended fix again; do
		succeeds "$report: the report is as the schema has it" "$check" "$out/$report.out" schema
	done
	is "$(left settings-after)" "$(left settings-before)" "... nothing has changed, by --fix of an ordinary user neither"
	is "$(jq -c '[.findings[] | select(.status == "stop")]' "$out/user.out")" "[]" "... nothing says stop"
	is "$(finding user.out rights status)" warn "... rights: warn"
	is "$(finding user.out hugepages status)" warn "... huge pages: warn"
	is "$(finding user.out device status)" warn "... no NIC: warn"
	like "$(finding user-fix.out hugepages sentence)" "could not be raised from 0 to [0-9]+: .*Permission denied" "... --fix says why it cannot"
	sed 's/^/# command: /' "$out/commands"
	for ((number = 1; number <= $(wc -l <"$out/commands"); number++)); do
		is "$(left "command-$number.code")" 0 "a command that it prints can be run: $(sed -n "${number}p" "$out/commands")"
	done
	# The emulated counter is not invariant, and may be too bad for a clock; neither is a matter of the guest's.
	like "$(not_ok_of mended.out)" '^\["rights"(,"tsc")?(,"clocksource")?,"device"\]$' "... and then only what no command mends is left"
	[[ $(finding mended.out clocksource status) == OK ]] ||
		like "$(finding mended.out clocksource fix)" "^sudo dmesg " "... where a clock that is not offered is not promised"
	is "$(left fix.code)" 0 "--fix as root: exit 0"
	is "$(finding fix.out hugepages status)" OK "... huge pages: OK"
	is "$(diff <(tail -n +2 "$out/settings-before-fix") <(tail -n +2 "$out/settings-after-fix"))" "" "... and changes nothing else"
	is "$(left root-loop.err)" "" "... a loop that takes them has nothing to say of them"
	like "$(finding again.out hugepages sentence)" "suffice.*only root's everyport takes them" "... which an ordinary user is told"
	json=$out/loop.json
	code=$(left loop.code)
	code_is 0 "an ordinary user's loop"
	sed 's/^/# /' "$out/user-text.out"
}

"judge_$case"
finish

#!/usr/bin/env bash
# A guest under qemu with two emulated NICs on PCI behind an emulated IOMMU, joined by a hub: everyport's loop between them over
# vfio-pci, from a bare guest to the result. Takes a minute or two, needs no root, and no KVM.
#
#   tests/lab/qemu/run.sh [e1000e|vmxnet3|virtio-net-pci]
#
# EP_QEMU_RATE is the rate of the load (default 4kpps); EP_QEMU_KEEP names a folder that keeps what the guest left; EP_QEMU_SETUP=0
# leaves out scripts/setup.sh --qemu, which installs and builds what is missing.
set -euo pipefail
# shellcheck source=../../lib.sh
. "$(dirname "$0")/../../lib.sh"

here=$top/tests/lab/qemu
nic=${1:-e1000e}
cache=$top/build/qemu
out=$tmp/out
check=$top/tests/check_result.py
# A minute on a host with two CPUs that are free, several where others use them.
guest_timeout_s=900
# Without VAES: qemu 7.2 takes the bytes of the lower half of a register for both halves, and so computes wrong tags.
cpu=max,-vaes
qemu_pid=

case $nic in
e1000e) driver=e1000e module=e1000e pmd=net_e1000_em device=e1000e ;;
vmxnet3) driver=vmxnet3 module=vmxnet3 pmd=net_vmxnet3 device=vmxnet3 ;;
virtio-net-pci) driver=virtio-pci module=virtio_net pmd=net_virtio device=virtio-net-pci,disable-legacy=on,iommu_platform=on ;;
*)
	echo "usage: tests/lab/qemu/run.sh [e1000e|vmxnet3|virtio-net-pci]" >&2
	exit 2
	;;
esac

cleanup()
{
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
		RATE "${EP_QEMU_RATE:-4kpps}" >"$out/env"
}

# --- The guest ----------------------------------------------------------------------------------------------------------------

guest_run()
{
	local release=$1 nics=() i

	for i in 3 4; do
		nics+=(-netdev "hubport,id=net$i,hubid=0" -device "$device,netdev=net$i,addr=$i,mac=52:54:00:00:00:0$i,romfile=")
	done
	code=0
	timeout -k 10 $guest_timeout_s qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot -serial stdio \
		-accel tcg,thread=multi -cpu "$cpu" -smp 2 -m 2048 -M q35 -device intel-iommu,intremap=on,aw-bits=48 \
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
begin_s=$SECONDS
guest_run "$release"
is "$code" 0 "the guest ends by itself, after $((SECONDS - begin_s)) s"

is "$(left bound.code)" 3 "NICs that the kernel drives are refused"
like "$(left bound.err)" "0000:00:03.0: is bound to the kernel's driver $driver as [a-z0-9]+; .*dpdk-devbind.py --bind=vfio-pci 0000:00:03.0" \
	"... by their driver, with the command"
is "$(left doctor-before.code)" 3 "... and the doctor says stop"
is "$(finding doctor-before.json driver fix)" "sudo modprobe vfio-pci && sudo dpdk-devbind.py --bind=vfio-pci 0000:00:03.0" \
	"... with the same command"
is "$(finding doctor-before.json hugepages status)" stop "... and that huge pages are missing"
is "$(left fix-driver.code)" 0 "the doctor's commands bind both"
is "$(left no-huge.code)" 3 "without huge pages they are refused"
like "$(left no-huge.err)" "needs huge pages.*[0-9]+ of them, and 0 are free; sudo everyport doctor" "... with what raises them"
is "$(left doctor-fix.code)" 0 "doctor --fix raises them, and nothing is in the way any more"
is "$(finding doctor-fix.json driver status)" OK "... the driver is OK"
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
is "$(left back.code)" 0 "everything given back, the kernel takes the NICs again"
like "$(left back.list)" "net|virtio" "... as interfaces"
# The emulated vmxnet3 reads its shared memory at 0 before the driver has told where that is.
is "$(grep 'DMAR: \[DMA' "$out/dmesg" | grep -vc 'DMA Read .*fault addr 0x0 ' || true)" 0 "the IOMMU met no access that it had to stop"
finish

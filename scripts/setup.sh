#!/usr/bin/env bash
# Install what is missing (Debian packages) and build everyport into build/. Safe to run again: it does only what is not done.
set -euo pipefail
cd "$(dirname "$0")/.."

build_packages=(meson ninja-build gcc libc6-dev clang pkg-config libdpdk-dev libbpf-dev libjansson-dev libmnl-dev libnuma-dev libssl-dev libyaml-dev
	libcmocka-dev python3)
lab_packages=(nftables iproute2 ethtool)
# Servers that are not ours, for the tests to run in their own namespaces: nothing of them is to run on this host.
server_packages=(coturn nginx-light libnginx-mod-stream libnice10)
test_packages=("${lab_packages[@]}" "${server_packages[@]}" tcpdump tshark iputils-ping openssl python3-jsonschema shellcheck
	iputils-arping ndisc6 cppcheck clang-format jq valgrind groff-base)
bench_packages=(dpdk-dev iproute2 libbpf-dev)
cross_packages=(gcc-aarch64-linux-gnu qemu-user-static)
qemu_packages=(qemu-system-x86 busybox-static kmod pciutils jq python3-jsonschema)
log=build/setup.log

usage()
{
	cat <<'END'
Usage: scripts/setup.sh [--lab] [--tests] [--bench] [--cross] [--qemu] [--debug]

  --lab    also what the lab and the demo need (nftables, iproute2, ethtool)
  --tests  also what the tests need
  --bench  also what the compare.sh of tests/bench and its folders need (DPDK's testpmd)
  --cross  also what scripts/aarch64.sh needs, the build for aarch64 on x86-64
  --qemu   also what tests/lab/qemu/run.sh needs: an emulator, and in build/qemu/ a kernel for its guest, which is not installed
  --debug  also the debug build with ASan and UBSan, in build-debug/

The program is build/app/everyport. With CI=true a compiler warning is an error. Exit codes: 0 done, 1 the build failed,
2 wrong usage, 3 this host lacks something that cannot be installed here.
END
}

say()
{
	echo "setup: $*" >&2
}

# fail CODE SENTENCE: with the end of what was logged.
fail()
{
	local code=$1

	shift
	say "$*"
	if [[ -s $log ]]; then
		tail -n 40 "$log" >&2
		say "the whole log is $PWD/$log"
	fi
	exit "$code"
}

# missing PACKAGE...: those that are not installed.
missing()
{
	local package

	for package in "$@"; do
		[[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || echo "$package"
	done
}

apt()
{
	local as_root=()

	((EUID == 0)) || as_root=(sudo)
	# Offline: systemd starts no service that comes with a package.
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive SYSTEMD_OFFLINE=1 apt-get -qq -o DPkg::Lock::Timeout=300 "$@" >>"$log" 2>&1 </dev/null
}

# idle_services PACKAGE...: those of them that are servers do not start at the next boot either.
idle_services()
{
	local package as_root=()

	[[ -n $(type -P systemctl) ]] || return 0
	((EUID == 0)) || as_root=(sudo)
	for package in "$@"; do
		case $package in
		coturn) "${as_root[@]}" systemctl disable coturn >>"$log" 2>&1 || true ;;
		nginx-light) "${as_root[@]}" systemctl disable nginx >>"$log" 2>&1 || true ;;
		esac
	done
}

install_packages()
{
	local wanted

	[[ -n $(type -P dpkg-query) && -n $(type -P apt-get) ]] ||
		fail 3 "this is not Debian; install the equivalents of: $*"
	mapfile -t wanted < <(missing "$@")
	((${#wanted[@]} > 0)) || return 0
	((EUID == 0)) || [[ -n $(type -P sudo) ]] ||
		fail 3 "not root and no sudo; as root: apt-get install ${wanted[*]}"
	say "installing ${wanted[*]}"
	# The package lists are fetched only where those that are there do not do.
	if ! apt install -y --no-install-recommends "${wanted[@]}"; then
		say "updating the package lists"
		apt update || fail 3 "apt-get update failed"
		apt install -y --no-install-recommends "${wanted[@]}" || fail 3 "apt-get could not install ${wanted[*]}"
	fi
	idle_services "${wanted[@]}"
}

# unpack FOLDER PACKAGE: the newest version of a package, unpacked and not installed, so that neither a kernel to boot nor a service
# comes with it.
unpack()
{
	local folder=$1 package=$2 deb

	deb=$(mktemp -d build/qemu/deb.XXXXXX)
	(cd "$deb" && apt-get -qq -o APT::Sandbox::User=root download "$package") >>"$log" 2>&1 || {
		say "updating the package lists"
		apt update && (cd "$deb" && apt-get -qq -o APT::Sandbox::User=root download "$package") >>"$log" 2>&1
	} || fail 3 "apt-get could not download $package"
	rm -rf "$folder.part"
	dpkg-deb -x "$deb"/*.deb "$folder.part" >>"$log" 2>&1 || fail 1 "$package does not unpack"
	rm -rf "$deb" "$folder"
	mv "$folder.part" "$folder"
}

# The guest's kernel and the tool that binds its NICs. Debian's linux-image-amd64 is empty and depends on the kernel of the day.
qemu_files()
{
	local image

	[[ $(uname -m) == x86_64 ]] || fail 3 "the guest is for x86-64 hosts"
	mkdir -p build/qemu
	if [[ ! -f build/qemu/dpdk/usr/bin/dpdk-devbind.py ]]; then
		unpack build/qemu/dpdk dpdk
	fi
	[[ ! -f build/qemu/kernel/.whole ]] || return 0
	image=$(apt-cache depends --no-recommends --no-suggests linux-image-amd64 | awk '$1 == "Depends:" && $2 ~ /^linux-image-/ { print $2; exit }')
	[[ -n $image ]] || fail 3 "apt knows no linux-image-amd64"
	say "fetching $image for the guest"
	unpack build/qemu/kernel "$image"
	"$(type -P depmod || echo /sbin/depmod)" -b build/qemu/kernel "${image#linux-image-}" >>"$log" 2>&1 || fail 1 "depmod failed on $image"
	touch build/qemu/kernel/.whole
}

# build_in DIRECTORY MESON_OPTION...: configure when new or when the options are others than last time, then build.
build_in()
{
	local dir=$1 stamp=$1/.setup-options reconfigure=()

	shift
	if [[ ! -f $dir/build.ninja || ! -f $stamp || $(<"$stamp") != "$*" ]]; then
		say "configuring $dir/"
		[[ ! -f $dir/build.ninja ]] || reconfigure=(--reconfigure)
		meson setup "${reconfigure[@]}" "$dir" "$@" >>"$log" 2>&1 || fail 1 "meson could not configure $dir/"
		echo "$*" >"$stamp"
	fi
	say "building $dir/"
	ninja --quiet -C "$dir" >>"$log" 2>&1 || fail 1 "the build in $dir/ failed"
}

packages=("${build_packages[@]}")
debug=0
qemu=0
for option in "$@"; do
	case $option in
	--lab) packages+=("${lab_packages[@]}") ;;
	--tests) packages+=("${test_packages[@]}") ;;
	--bench) packages+=("${bench_packages[@]}") ;;
	--cross) packages+=("${cross_packages[@]}") ;;
	--qemu)
		packages+=("${qemu_packages[@]}")
		qemu=1
		;;
	--debug) debug=1 ;;
	--help | -h)
		usage
		exit 0
		;;
	*)
		say "'$option' is not an option: --lab, --tests, --bench, --cross, --qemu, --debug"
		exit 2
		;;
	esac
done

werror=false
[[ ${CI:-} != true ]] || werror=true
mkdir -p build
: >"$log"
install_packages "${packages[@]}"
((qemu == 0)) || qemu_files
build_in build --buildtype=release -Dwerror=$werror
if ((debug)); then
	build_in build-debug --buildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false -Dwerror=$werror
fi
say "done: $PWD/build/app/everyport"

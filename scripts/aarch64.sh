#!/usr/bin/env bash
# Build everything for aarch64 on an x86-64 Debian, into build-aarch64/, warnings as errors. The arm64 packages are unpacked into
# build/aarch64/sysroot: nothing of them is installed, and dpkg needs no second architecture. Safe to run again.
# What runs the result: qemu-aarch64-static -L build/aarch64/sysroot build-aarch64/app/everyport
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(libc6-dev libdpdk-dev libbpf-dev libjansson-dev libmnl-dev libnuma-dev libssl-dev libyaml-dev libcmocka-dev)
work=$PWD/build/aarch64
sysroot=$work/sysroot
dir=build-aarch64
log=$work/log
export APT_CONFIG=$work/apt.conf

fail()
{
	echo "aarch64: $1" >&2
	if [[ -s $log ]]; then
		tail -n 40 "$log" >&2
		echo "aarch64: the whole log is $log" >&2
	fi
	exit 1
}

# An apt of its own, that knows the host's package sources and keys, and believes that nothing is installed.
apt_set_up()
{
	rm -rf "$work/apt" "$sysroot"
	mkdir -p "$work/apt/lists/partial" "$work/apt/archives/partial" "$sysroot"
	: >"$work/apt/status"
	cat >"$APT_CONFIG" <<END
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Debug::NoLocking "true";
Dir::State "$work/apt";
Dir::State::status "$work/apt/status";
Dir::Cache "$work/apt";
END
}

unpack()
{
	# shellcheck disable=SC2016 # for the shell that xargs starts
	find "$work/apt/archives" -maxdepth 1 -name '*.deb' -print0 | xargs -0 -n 16 -P "$(nproc)" bash -c '
		set -eo pipefail
		sysroot=$1
		shift
		for deb in "$@"; do
			dpkg-deb --fsys-tarfile "$deb" |
				tar -x -C "$sysroot" --no-same-owner --exclude=./usr/share/doc --exclude=./usr/share/man
		done' unpack "$sysroot"
}

# A link to /lib/... is one to the host's file otherwise.
links_into_sysroot()
{
	local link target

	find "$sysroot" -type l -lname '/*' -printf '%p\n%l\n' | while read -r link && read -r target; do
		ln -sfr "$sysroot$target" "$link"
	done
}

# The stamp is written last: what was cut off is done again from the start.
sysroot_set_up()
{
	[[ ! -f $work/packages || $(<"$work/packages") != "${packages[*]}" ]] || return 0
	echo "aarch64: fetching the arm64 packages" >&2
	rm -f "$work/packages"
	apt_set_up
	apt-get -qq update >>"$log" 2>&1 || fail "apt-get update failed"
	apt-get -qq install -y --download-only "${packages[@]}" >>"$log" 2>&1 </dev/null ||
		fail "no arm64 packages to be had from this host's package sources"
	unpack >>"$log" 2>&1 || fail "a package could not be unpacked"
	links_into_sysroot
	rm -rf "$work/apt"
	echo "${packages[*]}" >"$work/packages"
}

if (($# > 0)); then
	echo "usage: scripts/aarch64.sh (no options; scripts/setup.sh --cross installs what it needs)" >&2
	exit 2
fi
[[ $(uname -m) == x86_64 ]] || fail "this is a build for aarch64 on x86-64; here, scripts/setup.sh builds"
for tool in apt-get dpkg-deb aarch64-linux-gnu-gcc qemu-aarch64-static; do
	[[ -n $(type -P $tool) ]] || fail "'$tool' is not installed; on Debian, scripts/setup.sh --cross installs it"
done

mkdir -p "$work"
: >"$log"
sysroot_set_up
if [[ ! -f $dir/build.ninja ]]; then
	# Meson 1.0 cannot name the source folder in a cross file.
	printf "[constants]\nsysroot = '%s'\n" "$sysroot" >"$work/sysroot.ini"
	meson setup $dir --cross-file "$work/sysroot.ini" --cross-file scripts/aarch64.ini --buildtype=release -Dwerror=true >>"$log" 2>&1 ||
		fail "meson could not configure $dir/"
fi
echo "aarch64: building $dir/" >&2
ninja --quiet -C $dir >>"$log" 2>&1 || fail "the build in $dir/ failed"
echo "aarch64: done: $PWD/$dir/app/everyport" >&2

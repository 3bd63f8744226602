#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Boots the kernel of compare.sh with the series, which has the detector on, into a
# Debian of the release that runs here: dpkg, apt, a compiler and stress-ng, for
# SECONDS of the guest. harness/userland/init is what runs there.
#
#   PLATFORM=NAME [SECONDS=1800] userland.sh
#
# Fails if a program fails that is not to, or if the kernel complains or hangs.

# shellcheck source=harness/kernel.sh
. "$(dirname "$0")/kernel.sh"

# For a round that has begun in time.
PATIENCE=1800
PACKAGES=stress-ng,gcc,libc6-dev,make

# root_files: what debootstrap unpacks; the guest configures it, as only it can run it.
root_files() {
	local log=$LOGS/userland.${P[Debian]} release

	release=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
	[ -f "$FILES/done" ] || {
		[ "$(id -u)" = 0 ] || die "debootstrap has to be run by root"
		rm -rf "$FILES"
		mkdir -p "$FILES"
		echo "getting Debian $release for ${P[Debian]}; log: $(named "$log")"
		debootstrap --foreign --variant=minbase --arch="${P[Debian]}" --include="$PACKAGES" \
			"$release" "$FILES/root" >"$log" 2>&1 </dev/null ||
			die "debootstrap fails; log: $(named "$log")"
		# Those that it takes away when it is done.
		cp -al "$FILES/root/var/cache/apt/archives" "$FILES/root/packages"
		touch "$FILES/done"
	}
	cp "$ROOT/harness/userland/init" "$FILES/root/userland"
}

# disk FILE: a new one of these files, whatever a guest did with the last one.
disk() {
	rm -f "$1"
	mke2fs -q -t ext4 -d "$FILES/root" "$1" 3G || die "there is no disk for ${P[Name]}"
}

[ "${PLATFORM:-}" ] || die "say PLATFORM=NAME; there are: $(platforms_for userland all | one_line)"
platform "$PLATFORM"
TIME=$(printenv SECONDS) || TIME=1800
positive SECONDS "${TIME:=1800}"
takes_part userland
# shellcheck disable=SC2086 # lists of packages
need $BUILD_PACKAGES ${P[Packages]} debootstrap e2fsprogs
"$ROOT/harness/tree.py" tree
need_space 8 "make userland"
FILES=$BUILD/userland/${P[Debian]}
root_files
pair compare lazy-mmu
PAIR_OUT=$HOME_DIR/${P[Kernel]}
LOG=$LOG.userland
mkdir -p "$PAIR_OUT"
# No init: the kernel mounts the disk, on /root.
{ cat "$ROOT/harness/initramfs" && echo "dir /root 0755 0 0"; } | keep "$PAIR_OUT/initramfs"
configure_compare
build_pair series
disk "$BUILD/userland/${P[Name]}.disk"
echo "running on ${P[Name]} for $TIME s; log: $(named "$LOG.boot")"
P[Qemu]+=" -drive file=$BUILD/userland/${P[Name]}.disk,format=raw,if=virtio"
watched "$PAIR_OUT/series" userland "passed: $TIME s" "userland_seconds=$TIME" \
	root=/dev/vda rw init=/userland
echo "${P[Name]}: $TIME s without a failure; log: $(named "$LOG.boot")"

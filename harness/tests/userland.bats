#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# userland: how a Debian is put on a disk, and what its kernel and programs say.

load fake

setup_file() {
	fake_kernel 6.12.999
}

setup() {
	with_two
	stub id 0
	cat >"$STUBS/debootstrap" <<'END'
#!/bin/sh
echo "debootstrap $*" >>"$FAKE/calls"
[ ! -e "$FAKE/no-debian" ] || exit 1
mkdir -p "${6?}/var/cache/apt/archives"
echo deb >"$6/var/cache/apt/archives/make_1_arm64.deb"
END
	cat >"$STUBS/mke2fs" <<'END'
#!/bin/sh
echo "mke2fs $*" >>"$FAKE/calls"
cp "${5?}/userland" "$FAKE/init" && ls "$5/packages" >"$FAKE/packages" && echo disk >"$6"
END
	chmod +x "$STUBS/debootstrap" "$STUBS/mke2fs"
	STARTED="[ 1.0] userland: 9 s: round 1"
	PASSED="[ 2.0] userland: passed: 30 s"
}

userland() {
	SECONDS=30 PLATFORM=${PLATFORM-arm64} make_in_repo userland
}

@test "a run that passes" {
	boots "$STARTED" "$PASSED"
	works userland
	is "${lines[-1]}" "arm64: 30 s without a failure; log: build/log/arm64.userland.boot"
	is "$(grep -c '^9 s: round 1$' <<<"$output")" 1
	is "$(calls debootstrap --foreign --arch=arm64 stress-ng)" 1
	cmp "$FAKE/init" "$REPO/harness/userland/init"
	is "$(cat "$FAKE/packages")" make_1_arm64.deb
	is "$(calls 'kunit.py exec' --arch=arm64 --timeout=1830 --kernel_args=panic_on_warn=1 --kernel_args=init=/userland \
		--kernel_args=userland_seconds=30 --kernel_args=root=/dev/vda build/userland/arm64.disk,)" 1
	# The kernel is the one that compare.sh boots, with the series.
	is "$(calls 'kunit.py exec' build/compare/arm64/series)" 1
	grep -q '^CONFIG_DEBUG_LAZY_MMU_MODE=y' "$REPO/build/compare/arm64/series/.config"
}

@test "a second run has the files of the first one, on a disk of its own" {
	boots "$STARTED" "$PASSED"
	works userland
	works userland
	is "$(calls debootstrap)" 1
	is "$(calls mke2fs)" 2
}

@test "files that cannot be had" {
	touch "$FAKE/no-debian"
	complains "^error: debootstrap fails; log: build/log/userland.arm64$" userland
	is "$(calls 'kunit.py')" 0
	rm "$FAKE/no-debian"
	boots "$STARTED" "$PASSED"
	works userland
}

@test "somebody who is not root" {
	stub id 1000
	complains "^error: debootstrap has to be run by root$" userland
}

@test "a program that fails" {
	boots "$STARTED" "[ 1.0] userland: FAILED: apt"
	complains "^error: arm64: apt; log: build/log/arm64.userland.boot$" userland
}

@test "a kernel that complains, hangs or ends too early" {
	boots "$STARTED" "[ 1.0] WARNING: CPU: 0" "$PASSED"
	complains "^error: arm64: the kernel complains: WARNING: CPU: 0" userland
	boots "$STARTED" "[ERROR] The kernel timed out after 1830 seconds"
	complains "^error: arm64: hang: no end after 1830 s; last: 9 s: round 1;" userland
	boots "$STARTED"
	complains "^error: arm64: the kernel ended too early; last: 9 s: round 1;" userland
}

@test "a platform that there is not, or that cannot" {
	refuses "^error: say PLATFORM=NAME; there are: arm64 .* x86_64 .*x86_64_xen" make_in_repo userland
	refuses "^error: PLATFORM=powerpc has no userland: Debian has no release" make_in_repo userland PLATFORM=powerpc
	refuses "^error: SECONDS=1m is not a number" make_in_repo userland PLATFORM=arm64 SECONDS=1m
}

# What runs in the guest, as far as it can run without one.
@test "the program that is compiled gives the same sum with and without optimization" {
	command -v /usr/bin/gcc >/dev/null || skip "no gcc"
	sed -n '/^compile()/,/^}/p' "$REPO/harness/userland/init" | sed "s,/tmp/,$BATS_TEST_TMPDIR/,g" >"$BATS_TEST_TMPDIR/compile"
	rm "$STUBS/gcc"
	# shellcheck source=/dev/null
	. "$BATS_TEST_TMPDIR/compile"
	# Not by ccache, which looks for compilers among the stubs.
	PATH=/usr/bin:/bin compile
	grep -qxE '[1-9][0-9]{5,9}' "$BATS_TEST_TMPDIR/is0"
}

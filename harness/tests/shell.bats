#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# shell: what is booted, and what is refused. The emulator is kunit.py's, which
# shell.py gives the terminal.

load fake

setup_file() {
	fake_kernel 6.12.999
}

setup() {
	with_two
	stub apt-get "E: no network"
	# What would be started.
	printf '#!/bin/sh\necho "shell.py $*"\n' >"$REPO/harness/shell.py"
}

shell() {
	PLATFORM=${PLATFORM-arm64} make_in_repo shell "$@"
}

@test "the kernel of the tests" {
	works shell
	is "$(calls 'make all' "O=$REPO/build/arm64")" 1
	is "$(grep ^shell.py <<<"$output")" "shell.py $TREE exec --arch=arm64 --build_dir=$REPO/build/arm64 $(
		)--kernel_args=guest_end=reboot --qemu_args=-accel tcg --qemu_args=-smp 2"
	is "$(grep -c '^waits for' <<<"$output")" 0
	works shell PLATFORM=sparc64
	is "$(grep ^shell.py <<<"$output")" "shell.py $TREE exec --arch=sparc64 --build_dir=$REPO/build/sparc64 $(
		)--kernel_args=guest_end=poweroff --qemu_args=-accel tcg"
	# It has the program of make stress.
	is "$(grep -c '^file /stress ' "$REPO/build/arm64/guest/initramfs")" 1
	works shell PLATFORM=um
	is "$(grep -c '^file /stress ' "$REPO/build/um/guest/initramfs")" 0
}

@test "GDB=1 waits, in a kernel of its own" {
	works shell GDB=1
	is "$(grep '^waits' <<<"$output")" \
		"waits for: gdb-multiarch build/gdb/arm64/vmlinux -ex 'target remote :1234'"
	grep -q "^shell.py .*--build_dir=$REPO/build/gdb/arm64 .*--kernel_args=nokaslr --qemu_args=-s -S --qemu_args=-accel tcg --qemu_args=-smp 2$" <<<"$output"
	grep -qxF "$(grep -m 1 ^CONFIG "$REPO/platforms/common/gdb.config")" "$REPO/build/gdb/arm64/.config"
	[ ! -e "$REPO/build/arm64/.config" ]
}

@test "busybox, where Debian has it" {
	works shell
	grep -qx "note: busybox-static cannot be had, log: build/log/busybox; the shell is harness/shell.c" <<<"$output"
	is "$(grep -c busybox "$REPO/build/arm64/guest/initramfs")" 0
	# shellcheck disable=SC2016 # for the stub
	printf '%s\n' '#!/bin/sh' 'for last; do :; done' '[ "$last" = update ] || touch busybox.deb' >"$STUBS/apt-get"
	printf '%s\n' '#!/bin/sh' 'mkdir -p bin' 'echo busybox >bin/busybox' >"$STUBS/dpkg-deb"
	chmod +x "$STUBS/dpkg-deb"
	works shell
	is "$(grep -c 'cannot be had' <<<"$output")" 0
	is "$(grep -c '^file /bin/busybox .* 0755 0 0$' "$REPO/build/arm64/guest/initramfs")" 1
	is "$(cat "$REPO/build/arm64/guest/busybox")" busybox
	# It is fetched once, and also without a network.
	rm "$STUBS/apt-get" "$STUBS/dpkg-deb"
	works shell
	is "$(grep -c '^file /bin/busybox ' "$REPO/build/arm64/guest/initramfs")" 1
}

@test "what is refused" {
	refuses "^error: say PLATFORM=NAME; there are: arm64 .* um " make_in_repo shell
	refuses "^error: unknown PLATFORM=vax; there are: arm64 " shell PLATFORM=vax
	refuses "^error: PLATFORM=um has no gdb: it is a program of its own; run it under gdb; there are: arm64 " \
		shell PLATFORM=um GDB=1
	stub dpkg-query "unknown ok not-installed"
	stub id 1000
	refuses "^error: packages are missing; as root: apt-get install .*qemu-system-arm" shell
}

@test "a kernel that does not build" {
	echo broken >>"$TREE/mm/memory.c"
	complains "^error: the kernel does not build for arm64" shell
	is "$(grep -c ^shell.py <<<"$output")" 0
}

@test "shell.py runs no test, and becomes the emulator" {
	cp "$ROOT/harness/shell.py" "$REPO/harness"
	mkdir -p "$BATS_TEST_TMPDIR/tree/tools/testing/kunit"
	# As kunit.py starts one: a list of words, an input and an output that are not ours.
	cat >"$BATS_TEST_TMPDIR/tree/tools/testing/kunit/kunit.py" <<-'END'
		import subprocess, sys
		subprocess.Popen(['sh', '-c', 'echo "$0" "$@"; cat; echo $$', 'qemu', '-append',
			'kunit.enable=1 console=x kunit_shutdown=reboot ' + ' '.join(sys.argv[1:])],
			stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
		print('it came back')
	END
	# shellcheck disable=SC2016 # for the inner shell
	works bash -c 'echo typed | "$0" "$1" exec --arch=arm64 & wait $!; echo $!' \
		"$REPO/harness/shell.py" "$BATS_TEST_TMPDIR/tree"
	is "${lines[0]}" "qemu -append kunit.enable=0 console=x  exec --arch=arm64"
	is "${lines[1]}" typed
	# The same process.
	is "${lines[2]}" "${lines[3]}"
	is "${#lines[@]}" 4
	is "$(find "$BATS_TEST_TMPDIR/tree" -name __pycache__)" ""
}

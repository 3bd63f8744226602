#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The compiler of this name, by ccache. In depend mode a miss takes a fifth less time,
# but the compiler's list of headers is all that ccache knows then. It lacks what
# .incbin takes in, such as an initramfs, and the headers of the C library.

case $* in
*.S* | *kernel/configs.c | *kernel/kheaders.c) ;;
*-nostdinc*)
	unset CCACHE_NODEPEND
	export CCACHE_DEPEND=1
	;;
esac
exec "/usr/lib/ccache/${0##*/}" "$@"

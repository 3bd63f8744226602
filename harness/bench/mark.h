/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What kernel.c, init.c and count.c agree on.
 *
 * The guest prints "bench: PAGES STEP..." and then does BENCH_REPS times all of
 * these steps in this order, each between MARK_START and MARK_STOP. Everything
 * else that it does is not counted.
 */
#ifndef BENCH_MARK_H
#define BENCH_MARK_H

#define BENCH_REPS	5

/* In an instruction that does nothing and that no compiler emits. */
#define MARK_START	0x4c30
#define MARK_STOP	0x4c31

#if defined(__aarch64__)
#define MARK_INSN	"movz xzr, #%c0"
#elif defined(__x86_64__)
#define MARK_INSN	"nopl %c0(%%rax)"
#elif defined(__powerpc64__)
#define MARK_INSN	"twi 0, 0, %c0"
#elif defined(__sparc__)
#define MARK_INSN	"sethi %c0, %%g0"
#endif

#ifdef MARK_INSN
#define mark_start()	asm volatile(MARK_INSN : : "i" (MARK_START) : "memory")
#define mark_stop()	asm volatile(MARK_INSN : : "i" (MARK_STOP) : "memory")
#endif

#endif /* BENCH_MARK_H */

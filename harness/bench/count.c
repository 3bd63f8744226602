// SPDX-License-Identifier: GPL-2.0
/*
 * A TCG plugin for QEMU: counts what the guest executes between two marks.
 *
 *	-plugin count.so,out=FILE
 *
 * The first line of FILE names the counters of the guest's architecture; then
 * comes a line of counts for each pair of marks. There is one CPU.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "mark.h"

/* Version 1 of QEMU's plugin API, for which Debian has no header. */
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info {
	const char *target_name;
	/* There is more, which is not used here. */
};

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id,
		void (*cb)(uint64_t id, struct qemu_plugin_tb *tb));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb,
						 size_t i);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
		void (*cb)(unsigned int cpu, void *data), int flags, void *data);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn,
						int op, void *counter,
						uint64_t add);

enum { CB_NO_REGS = 0, INLINE_ADD_U64 = 0 };

#define EXPORT __attribute__((visibility("default")))

EXPORT int qemu_plugin_version = 1;
EXPORT int qemu_plugin_install(uint64_t id, const struct qemu_info *info,
			       int argc, char **argv);

struct insn {
	const uint8_t *byte;
	size_t size;
	uint64_t address;
	uint32_t word;		/* where instructions are of 32 bits */
};

struct counter {
	const char *name;
	bool (*match)(const struct insn *insn);
};

#define MAX_COUNTERS 4

struct target {
	const char *name;
	bool little;
	uint32_t (*mark)(const struct insn *insn);
	struct counter counters[MAX_COUNTERS];
};

static bool any(const struct insn *insn)
{
	return true;
}

/* arm64 */

static uint32_t arm64_mark(const struct insn *insn)
{
	return (insn->word & 0xffe0001f) == 0xd280001f ?
	       insn->word >> 5 & 0xffff : 0;
}

static bool arm64_dsb(const struct insn *insn)
{
	return (insn->word & 0xfffff0ff) == 0xd503309f;
}

static bool arm64_isb(const struct insn *insn)
{
	return (insn->word & 0xfffff0ff) == 0xd50330df;
}

static bool arm64_tlbi(const struct insn *insn)
{
	return (insn->word & 0xfff8f000) == 0xd5088000;
}

/* x86_64, with Xen below the kernel or without */

static uint32_t x86_mark(const struct insn *insn)
{
	uint32_t value;

	if (insn->size != 7 || memcmp(insn->byte, "\x0f\x1f\x80", 3))
		return 0;
	memcpy(&value, insn->byte + 3, sizeof(value));
	return value;
}

/* Nothing in the text of the kernel but a hypercall. */
static bool xen_hypercall(const struct insn *insn)
{
	return insn->address >= 0xffffffff80000000 && insn->size == 2 &&
	       !memcmp(insn->byte, "\x0f\x05", 2);
}

static bool in_xen(const struct insn *insn)
{
	return insn->address >> 39 == 0xffff82d000000000 >> 39;
}

/* Hypercalls, page faults, emulated instructions: Xen was entered. */
static bool xen_exit(const struct insn *insn)
{
	return in_xen(insn) &&
	       ((insn->size == 2 && !memcmp(insn->byte, "\x48\xcf", 2)) ||
		(insn->size == 3 && !memcmp(insn->byte, "\x48\x0f\x07", 3)));
}

/* powerpc */

static uint32_t powerpc_mark(const struct insn *insn)
{
	return insn->word >> 16 == 0x0c00 ? insn->word & 0xffff : 0;
}

static bool powerpc_hcall(const struct insn *insn)
{
	return insn->word == 0x44000022;
}

static bool powerpc_tlbie(const struct insn *insn)
{
	/* tlbie, tlbiel */
	return insn->word >> 26 == 31 && ((insn->word >> 1 & 0x3ff) == 306 ||
					  (insn->word >> 1 & 0x3ff) == 274);
}

static bool powerpc_ptesync(const struct insn *insn)
{
	return insn->word == 0x7c4004ac;
}

/* sparc64 */

static uint32_t sparc_mark(const struct insn *insn)
{
	return insn->word >> 22 == 0x01000000 >> 22 ?
	       insn->word & 0x3fffff : 0;
}

static bool sparc_demap(const struct insn *insn)
{
	uint32_t asi = insn->word >> 5 & 0xff;

	/* stxa to ASI_IMMU_DEMAP or ASI_DMMU_DEMAP */
	return (insn->word & 0xc1f82000) == 0xc0f00000 &&
	       (asi == 0x57 || asi == 0x5f);
}

static const struct target targets[] = {
	{ "aarch64", true, arm64_mark, {
		{ "instructions", any },
		{ "dsb", arm64_dsb },
		{ "isb", arm64_isb },
		{ "tlbi", arm64_tlbi } } },
	{ "x86_64", true, x86_mark, {
		{ "instructions", any },
		{ "instructions in Xen", in_xen },
		{ "hypercalls", xen_hypercall },
		{ "exits from Xen", xen_exit } } },
	{ "ppc64", false, powerpc_mark, {
		{ "instructions", any },
		{ "hcalls", powerpc_hcall },
		{ "tlbie", powerpc_tlbie },
		{ "ptesync", powerpc_ptesync } } },
	{ "sparc64", false, sparc_mark, {
		{ "instructions", any },
		{ "TLB demaps", sparc_demap } } },
};

static const struct target *target;
static uint64_t now[MAX_COUNTERS], start[MAX_COUNTERS];
static bool started;
static FILE *out;

static void on_start(unsigned int cpu, void *data)
{
	memcpy(start, now, sizeof(start));
	started = true;
}

static void on_stop(unsigned int cpu, void *data)
{
	int i;

	if (!started)
		fprintf(out, "stop without start\n");
	started = false;
	for (i = 0; i < MAX_COUNTERS && target->counters[i].name; i++)
		fprintf(out, "%s%llu", i ? "\t" : "",
			(unsigned long long)(now[i] - start[i]));
	fprintf(out, "\n");
	fflush(out);
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
	struct qemu_plugin_insn *q;
	uint32_t mark;
	size_t i;
	int c;

	for (i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
		struct insn insn;
		const uint8_t *b;

		q = qemu_plugin_tb_get_insn(tb, i);
		b = qemu_plugin_insn_data(q);
		insn.byte = b;
		insn.size = qemu_plugin_insn_size(q);
		insn.address = qemu_plugin_insn_vaddr(q);
		insn.word = 0;
		if (insn.size >= 4)
			insn.word = target->little ?
				    (uint32_t)b[3] << 24 | b[2] << 16 |
				    b[1] << 8 | b[0] :
				    (uint32_t)b[0] << 24 | b[1] << 16 |
				    b[2] << 8 | b[3];

		mark = target->mark(&insn);
		if (mark == MARK_START || mark == MARK_STOP) {
			qemu_plugin_register_vcpu_insn_exec_cb(q,
				mark == MARK_START ? on_start : on_stop,
				CB_NO_REGS, NULL);
			continue;
		}
		for (c = 0; c < MAX_COUNTERS && target->counters[c].name; c++)
			if (target->counters[c].match(&insn))
				qemu_plugin_register_vcpu_insn_exec_inline(q,
					INLINE_ADD_U64, &now[c], 1);
	}
}

int qemu_plugin_install(uint64_t id, const struct qemu_info *info, int argc,
			char **argv)
{
	size_t i;
	int c;

	for (i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
		if (!strcmp(info->target_name, targets[i].name))
			target = &targets[i];
	if (!target || argc != 1 || strncmp(argv[0], "out=", 4))
		return -1;
	out = fopen(argv[0] + 4, "w");
	if (!out)
		return -1;
	for (c = 0; c < MAX_COUNTERS && target->counters[c].name; c++)
		fprintf(out, "%s%s", c ? "\t" : "", target->counters[c].name);
	fprintf(out, "\n");
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}

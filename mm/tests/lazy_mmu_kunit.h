/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MM_TESTS_LAZY_MMU_KUNIT_H
#define _MM_TESTS_LAZY_MMU_KUNIT_H

#include <linux/types.h>

enum lazy_test_call {
	LAZY_TEST_ENABLE,
	LAZY_TEST_DISABLE,
	LAZY_TEST_PAUSE,
	LAZY_TEST_RESUME,
	NR_LAZY_TEST_CALLS,
};

enum lazy_test_hook {
	LAZY_TEST_NO_HOOK,
	LAZY_TEST_ENTER,
	LAZY_TEST_LEAVE,
	LAZY_TEST_FLUSH,
};

struct lazy_seen {
	u8 enable;
	u8 pause;
	bool on;
};

/* What a helper has done besides: its hook, and what that sees. */
struct lazy_recorded {
	enum lazy_test_hook hook;
	unsigned int nr_hooks;
	struct lazy_seen at_hook;
	bool has_warned;
};

void lazy_look(struct lazy_seen *seen);
void lazy_recorded_call(enum lazy_test_call call, struct lazy_recorded *recorded);

#endif /* _MM_TESTS_LAZY_MMU_KUNIT_H */

/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _RV_LAZYMMU_KUNIT_H
#define _RV_LAZYMMU_KUNIT_H

#include <linux/rv.h>

#if IS_ENABLED(CONFIG_KUNIT)
extern struct rv_monitor rv_lazymmu;
#endif

#endif /* _RV_LAZYMMU_KUNIT_H */

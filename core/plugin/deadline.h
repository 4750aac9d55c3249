/* SPDX-License-Identifier: MIT */
/*
 * The watch over calls under way: one thread that cancels those whose time is
 * up and, a quarter of a second later, answers for those that still have not
 * ended. What a plugin does about a cancellation runs elsewhere (plugin/canceller.h), and
 * is watched here too. Calls without a deadline are watched too: it is the list of all calls
 * that go on beyond the thread of their client. Any thread, but for start and
 * stop, which are dispatch.c's; times are those of clock_now.
 */
#ifndef PLUGIN_DEADLINE_H
#define PLUGIN_DEADLINE_H

#include "plugin/call.h"

/* How long a plugin has to end a call that was cancelled at its deadline. */
#define DEADLINE_GRACE_NS (INT64_C(250) * 1000 * 1000)

bool deadline_start(struct error *err);
void deadline_stop(void);

/* False: out of memory. */
bool deadline_add(struct call *call);
void deadline_remove(struct call *call);
/* It is never due any more, but still among those under way. */
void deadline_lift(struct call *call); /* harmless when it is not there */

/* Has it look at the on_cancel functions that run (canceller_look) at `due_ns`. */
void deadline_look_by(int64_t due_ns);

/* Waits until no call is watched; false when `until_ns` came first. */
bool deadline_wait_none(int64_t until_ns);
size_t deadline_count(void);

#endif

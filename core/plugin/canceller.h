/* SPDX-License-Identifier: MIT */
/*
 * Where the on_cancel functions of plugins run: on threads of their own, so that one that
 * does not return holds up nobody who cancels - the watch over deadlines, who serves
 * clients - and no other provider. Of one provider one runs at a time: one that is stuck
 * holds one thread, whatever comes behind it. The log names it.
 *
 * Threads start when they are needed, CANCELLER_THREADS at most; that many providers stuck
 * at once keep all others from being told. Their calls are answered at their deadlines
 * all the same. One thread stops it; all else may be called on any thread. The mutex is
 * a leaf.
 */
#ifndef PLUGIN_CANCELLER_H
#define PLUGIN_CANCELLER_H

#include "plugin/call.h"

#define CANCELLER_THREADS 16
/* How long an on_cancel function may take before the log has it. */
#define CANCELLER_PATIENCE_NS (INT64_C(1000) * 1000 * 1000)

/* Has the call's on_cancel function called, unless the plugin ends the call before. False:
 * there is no thread for it. */
bool canceller_tell(struct call *call);
/* The plugin ends it: the function is not called any more. One that runs is the affair of
 * cancel_mutex. */
void canceller_forget(struct call *call);

/* Names those that have run for too long in the log. Returns when to look again. */
int64_t canceller_look(int64_t now);

/* Ends the threads, which start anew when they are needed. False: by `until_ns` a function
 * has not returned; its thread is left behind. */
bool canceller_stop(int64_t until_ns);

#endif

/* SPDX-License-Identifier: MIT */
/* Telling the service manager how we are (sd_notify(3)'s protocol: one datagram
 * to $NOTIFY_SOCKET). Does nothing where nobody asked. */
#ifndef BASE_NOTIFY_H
#define BASE_NOTIFY_H

/* `state` as in sd_notify(3), such as "READY=1". */
void notify(const char *state);

/* "RELOADING=1" with the time it needs (MONOTONIC_USEC). */
void notify_reloading(void);

#endif

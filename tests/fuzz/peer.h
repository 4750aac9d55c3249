/* SPDX-License-Identifier: MIT */
/*
 * A client without a transport, for fuzzers: it gives mcp_receive what the input says and
 * looks at everything that comes back. One conversation for each input.
 *
 * The input is messages with 0x1e between them. The first line of each is
 *
 *     VERB SESSION ACCEPT VERSION|METHOD|NAME|PARAM|EVENT
 *
 * the first three one character each, without spaces; the rest is the body. VERB: 0 POST,
 * 1 GET, 2 DELETE, 3 and 4 those of 2024-11-05, c and C lines over one channel (stdio; C:
 * sessions only), u a resource has changed. SESSION: 0 to 2 one of the three revisions, s
 * the one that the input has begun, m that of the stream of 2024-11-05. ACCEPT: bit 0
 * JSON, bit 1 an event stream.
 *
 * What only mcpd can know stands in for itself: @I the id of its last question, @S the last
 * requestState, @E the last event's id, @C the last cursor, @T the last task's id.
 */
#ifndef FUZZ_PEER_H
#define FUZZ_PEER_H

#include "base/bytes.h"
#include "mcp/mcp.h"

/* Once: mcpd's inside with a provider that ends calls as their arguments say. `tasks`: also
 * what goes with tasks, which the caller serves. */
struct mcp *peer_set_up(bool tasks);
extern struct registry *peer_registry;
/* That provider (peer_provider.c). */
struct provider *peer_provider(bool tasks);

/* `settle`, which may be NULL, is called after each message. */
void peer_converse(struct bytes input, void (*settle)(void));

#endif

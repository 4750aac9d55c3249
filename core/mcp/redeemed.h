/* SPDX-License-Identifier: MIT */
/*
 * Which single-use states have been used (MCP_TOOL_STATE_ONCE): an id is
 * remembered until its state would have expired anyway. In the memory of this
 * process; another mcpd does not know of it. Any thread.
 */
#ifndef MCP_REDEEMED_H
#define MCP_REDEEMED_H

#include "mcp/request_state.h"

enum redeem_result {
    REDEEMED_NOW, /* it is the caller's */
    REDEEMED_BEFORE,
    REDEEMED_FULL /* too many to remember: nobody gets it */
};

struct redeemed;

struct redeemed *redeemed_new(void);
void redeemed_free(struct redeemed *redeemed); /* NULL is allowed */

enum redeem_result redeemed_take(struct redeemed *redeemed,
                                 const unsigned char id[REQUEST_STATE_ID_SIZE], int64_t expires_ms,
                                 int64_t now_ms);
/* Nothing was done with it: it may be used again. */
void redeemed_give_back(struct redeemed *redeemed, const unsigned char id[REQUEST_STATE_ID_SIZE]);

#endif

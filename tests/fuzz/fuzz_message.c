/* SPDX-License-Identifier: MIT */
/*
 * Whatever a client can send, past HTTP's syntax, in conversations of some messages
 * (peer.h). Every message must be answered, or have made its reply a stream, and
 * everything must let go of the reply when the peer has gone; what is sent must be JSON.
 */
#include "must.h"
#include "peer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct mcp *mcp;

    if (mcp == NULL)
        mcp = peer_set_up(false);
    peer_converse((struct bytes){(const char *)data, size}, NULL);
    return 0;
}

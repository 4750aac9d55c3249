/* SPDX-License-Identifier: MIT */
/* Compiled as tests/abi/header.c is, with -DHEADER=<...>: one extension's header alone,
 * twice. */
#include HEADER
#include HEADER

/* Nothing else must be needed for this. */
extern int32_t extension_header(const struct mcp_host *host);
int32_t extension_header(const struct mcp_host *host)
{
    return host->get_extension(host, EXTENSION) != NULL ? MCP_OK : MCP_ENOTSUP;
}

/* SPDX-License-Identifier: MIT */
/*
 * Reading configurations and arguments through the host, with sentences for
 * what is wrong; for the bundled plugins. `pointer` is a JSON Pointer.
 */
#ifndef PLUGINS_READING_H
#define PLUGINS_READING_H

#include <stdbool.h>

#include <mcp/plugin.h>

/* Configuration. Absent: *out stays as it is (the default). False: it is wrong, and the
 * host has been told. */
bool config_string(const struct mcp_host *host, const char *pointer, struct mcp_bytes *out);
bool config_bool(const struct mcp_host *host, const char *pointer, bool *out);
bool config_integer(const struct mcp_host *host, const char *pointer, int64_t min, int64_t max,
                    int64_t *out);
/* host->fail with a format; returns false. What is not UTF-8 becomes U+FFFD. */
bool config_fail(const struct mcp_host *host, const char *pointer, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Arguments. Absent: *out stays as it is. False: it is wrong, and the call has been
 * ended with a failure that says so. */
bool argument_string(struct mcp_call *call, const char *pointer, struct mcp_bytes *out);
bool argument_bool(struct mcp_call *call, const char *pointer, bool *out);
bool argument_integer(struct mcp_call *call, const char *pointer, int64_t min, int64_t max,
                      int64_t *out);

/* Ends the call with a failure for the model; returns MCP_OK, for call_tool. What is not
 * UTF-8 becomes U+FFFD. */
int32_t fail_call(struct mcp_call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same with a text that is a result. */
int32_t pass_call(struct mcp_call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

struct text; /* text.h */
/* Ends a resources/read with one content: text, or bytes in Base64. Returns MCP_OK. */
int32_t finish_contents(struct mcp_call *call, const char *mime_type, bool is_text,
                        const struct text *content);

/* For "%.*s". */
#define SHOW(bytes) (int)(bytes).size, (bytes).data

static inline bool bytes_are(struct mcp_bytes a, const char *nul_terminated)
{
    return a.size == __builtin_strlen(nul_terminated) &&
           (a.size == 0 || __builtin_memcmp(a.data, nul_terminated, a.size) == 0);
}

#endif

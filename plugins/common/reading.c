/* SPDX-License-Identifier: MIT */
/* Reading configurations and arguments. */
#include "reading.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

#define SENTENCE_MAX (64 * 1024)

/* What a library or the kernel puts into a sentence may be anything, and what was cut to
 * fit may end inside a character; the host takes nothing but UTF-8. */
static struct text make_sentence(const char *format, va_list arguments)
    __attribute__((format(printf, 1, 0)));

static struct text make_sentence(const char *format, va_list arguments)
{
    struct text t;
    char *sentence = NULL;
    text_init(&t, SENTENCE_MAX);
    int size = vasprintf(&sentence, format, arguments);
    if (size >= 0) {
        text_add_utf8(&t, sentence, (size_t)size);
        free(sentence);
    }
    return t;
}

bool config_fail(const struct mcp_host *host, const char *pointer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    struct text t = make_sentence(format, arguments);
    va_end(arguments);
    host->fail(host, (struct mcp_bytes){pointer, strlen(pointer)}, text_bytes(&t));
    text_free(&t);
    return false;
}

int32_t fail_call(struct mcp_call *call, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    struct text t = make_sentence(format, arguments);
    va_end(arguments);
    call->ops->finish_failure(call, t.size > 0 ? text_bytes(&t) : MCP_STR("Out of memory."));
    text_free(&t);
    return MCP_OK;
}

int32_t pass_call(struct mcp_call *call, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    struct text t = make_sentence(format, arguments);
    va_end(arguments);
    call->ops->finish_text(call, text_bytes(&t));
    text_free(&t);
    return MCP_OK;
}

/* A JSON number that is an integer and fits, in whatever form; false otherwise. */
static bool parse_integer(struct mcp_bytes number, int64_t *out)
{
    char digits[64];
    if (number.size == 0 || number.size >= sizeof(digits))
        return false;
    memcpy(digits, number.data, number.size);
    digits[number.size] = '\0';
    char *end;
    errno = 0;
    if (strpbrk(digits, ".eE") == NULL) {
        intmax_t value = strtoimax(digits, &end, 10);
        *out = value;
        return errno == 0 && *end == '\0';
    }
    /* 12.0 and 1.2e1 are integers, too. */
    double value = strtod(digits, &end);
    if (*end != '\0' || !(fabs(value) <= 9007199254740992.0) || value != (double)(int64_t)value)
        return false;
    *out = (int64_t)value;
    return true;
}

bool config_string(const struct mcp_host *host, const char *pointer, struct mcp_bytes *out)
{
    int32_t kind;
    struct mcp_bytes value;
    if (host->config(host, pointer, &kind, &value) != MCP_OK)
        return true;
    if (kind != MCP_JSON_STRING)
        return config_fail(host, pointer, "expected a string");
    *out = value;
    return true;
}

bool config_bool(const struct mcp_host *host, const char *pointer, bool *out)
{
    int32_t kind;
    struct mcp_bytes value;
    if (host->config(host, pointer, &kind, &value) != MCP_OK)
        return true;
    if (kind != MCP_JSON_TRUE && kind != MCP_JSON_FALSE)
        return config_fail(host, pointer, "expected true or false");
    *out = kind == MCP_JSON_TRUE;
    return true;
}

bool config_integer(const struct mcp_host *host, const char *pointer, int64_t min, int64_t max,
                    int64_t *out)
{
    int32_t kind;
    struct mcp_bytes value;
    if (host->config(host, pointer, &kind, &value) != MCP_OK)
        return true;
    int64_t number;
    if (kind != MCP_JSON_NUMBER || !parse_integer(value, &number) || number < min || number > max)
        return config_fail(host, pointer, "expected an integer from %" PRId64 " to %" PRId64, min,
                           max);
    *out = number;
    return true;
}

bool argument_string(struct mcp_call *call, const char *pointer, struct mcp_bytes *out)
{
    int32_t kind;
    struct mcp_bytes value;
    if (call->ops->argument(call, pointer, &kind, &value) != MCP_OK)
        return true;
    if (kind != MCP_JSON_STRING) {
        fail_call(call, "The argument \"%s\" must be a string.", pointer + 1);
        return false;
    }
    *out = value;
    return true;
}

bool argument_bool(struct mcp_call *call, const char *pointer, bool *out)
{
    int32_t kind;
    struct mcp_bytes value;
    if (call->ops->argument(call, pointer, &kind, &value) != MCP_OK)
        return true;
    if (kind != MCP_JSON_TRUE && kind != MCP_JSON_FALSE) {
        fail_call(call, "The argument \"%s\" must be true or false.", pointer + 1);
        return false;
    }
    *out = kind == MCP_JSON_TRUE;
    return true;
}

bool argument_integer(struct mcp_call *call, const char *pointer, int64_t min, int64_t max,
                      int64_t *out)
{
    int32_t kind;
    struct mcp_bytes value;
    if (call->ops->argument(call, pointer, &kind, &value) != MCP_OK)
        return true;
    int64_t number;
    if (kind != MCP_JSON_NUMBER || !parse_integer(value, &number) || number < min || number > max) {
        fail_call(call, "The argument \"%s\" must be an integer from %" PRId64 " to %" PRId64 ".",
                  pointer + 1, min, max);
        return false;
    }
    *out = number;
    return true;
}

int32_t finish_contents(struct mcp_call *call, const char *mime_type, bool is_text,
                        const struct text *content)
{
    struct text json;

    text_init(&json, SIZE_MAX / 4);
    text_adds(&json, "{\"contents\":[{\"uri\":");
    text_add_string(&json, call->name.data, call->name.size);
    text_addf(&json, ",\"mimeType\":\"%s\",", mime_type);
    if (is_text) {
        text_adds(&json, "\"text\":");
        text_add_string(&json, content->data, content->size);
    } else {
        text_adds(&json, "\"blob\":\"");
        text_add_base64(&json, content->data, content->size);
        text_adds(&json, "\"");
    }
    text_adds(&json, "}]}");
    if (json.failed)
        fail_call(call, "mcpd is out of memory.");
    else
        call->ops->finish_result(call, text_bytes(&json));
    text_free(&json);
    return MCP_OK;
}

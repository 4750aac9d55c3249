/* SPDX-License-Identifier: MIT */
/* The values that go into a statement, exactly as the client wrote them: numbers are read
 * from their text, so that integers keep all 64 bits. */
#include "backend.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoding.h"
#include "reading.h"

#define POINTER_MAX 1024

/* How many members an object has, or elements an array; `json` is well-formed. */
static size_t count_members(struct mcp_bytes json)
{
    size_t commas = 0, depth = 0;
    bool in_string = false, empty = true;
    for (size_t i = 0; i < json.size; i++) {
        char c = json.data[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
            continue;
        }
        if (c == '}' || c == ']')
            depth--;
        else if (depth > 0 && c != ' ' && c != '\n' && c != '\t' && c != '\r')
            empty = false;
        if (c == '"')
            in_string = true;
        else if (c == '{' || c == '[')
            depth++;
        else if (c == ',' && depth == 1)
            commas++;
    }
    return empty ? 0 : commas + 1;
}

bool parameters_look(struct job *job, const struct statement *statement, struct parameters *out)
{
    char pointer[POINTER_MAX];
    int32_t kind;
    struct mcp_bytes json;
    *out = (struct parameters){.kind = PARAMETERS_NONE};
    snprintf(pointer, sizeof(pointer), "%s/parameters", statement->pointer);
    if (job->call->ops->argument(job->call, pointer, &kind, &json) != MCP_OK)
        return true;
    if (kind != MCP_JSON_ARRAY && kind != MCP_JSON_OBJECT)
        return complain(&job->complaint, "\"parameters\" must be an array, or an object with "
                                         "the names of the parameters.");
    out->kind = kind == MCP_JSON_ARRAY ? PARAMETERS_ARRAY : PARAMETERS_OBJECT;
    out->count = count_members(json);
    return true;
}

static bool read_number(struct job *job, const char *which, struct mcp_bytes number,
                        struct value *out)
{
    char digits[400];
    if (job->numbers_as_text) {
        *out = (struct value){.kind = VALUE_REAL, .bytes = number};
        return true;
    }
    if (number.size >= sizeof(digits))
        return complain(&job->complaint, "Parameter %s has too many digits.", which);
    memcpy(digits, number.data, number.size);
    digits[number.size] = '\0';
    errno = 0;
    if (strpbrk(digits, ".eE") == NULL) {
        *out = (struct value){.kind = VALUE_INTEGER, .integer = strtoimax(digits, NULL, 10)};
        if (errno != 0)
            return complain(&job->complaint,
                            "Parameter %s does not fit into 64 bits; give it as a string, or "
                            "with a decimal point if it may be rounded.",
                            which);
        return true;
    }
    *out = (struct value){.kind = VALUE_REAL, .real = strtod(digits, NULL)};
    if (!isfinite(out->real))
        return complain(&job->complaint, "Parameter %s is too large for a number.", which);
    return true;
}

static bool read_blob(struct job *job, const char *which, struct mcp_bytes base64,
                      struct value *out)
{
    size_t size;
    char *decoded = malloc(base64.size / 4 * 3 + 1);
    if (decoded == NULL)
        return complain(&job->complaint, "mcpd is out of memory.");
    if (!base64_decode(base64.data, base64.size, decoded, &size)) {
        free(decoded);
        return complain(&job->complaint, "Parameter %s is not Base64 (RFC 4648, section 4).",
                        which);
    }
    *out = (struct value){.kind = VALUE_BLOB, .bytes = {decoded, size}, .owned = decoded};
    return true;
}

/* {"$base64": "..."} and {"$float": "Infinity"}: as values come out. */
static bool read_object(struct job *job, const char *which, const char *pointer,
                        struct mcp_bytes json, struct value *out)
{
    char member[POINTER_MAX + 16];
    int32_t kind;
    struct mcp_bytes text;
    if (count_members(json) == 1) {
        snprintf(member, sizeof(member), "%s/$base64", pointer);
        if (job->call->ops->argument(job->call, member, &kind, &text) == MCP_OK &&
            kind == MCP_JSON_STRING)
            return read_blob(job, which, text, out);
        snprintf(member, sizeof(member), "%s/$float", pointer);
        if (job->call->ops->argument(job->call, member, &kind, &text) == MCP_OK &&
            kind == MCP_JSON_STRING &&
            (bytes_are(text, "Infinity") || bytes_are(text, "-Infinity") ||
             (job->numbers_as_text && bytes_are(text, "NaN")))) {
            *out = (struct value){.kind = VALUE_REAL,
                                  .real = text.data[0] == 'N'   ? (double)NAN
                                          : text.data[0] == '-' ? (double)-INFINITY
                                                                : (double)INFINITY};
            return true;
        }
    }
    if (job->numbers_as_text) {
        *out = (struct value){.kind = VALUE_TEXT, .bytes = json};
        return true;
    }
    return complain(&job->complaint,
                    "Parameter %s must be a string, a number, true, false, null, or "
                    "{\"$base64\": \"...\"} for a blob; give other JSON as a string.",
                    which);
}

/* 1: found, 0: nothing there, -1: complained. `which` is its name or number. */
static int read_value(struct job *job, const char *which, const char *pointer, struct value *out)
{
    int32_t kind;
    struct mcp_bytes value;
    if (job->call->ops->argument(job->call, pointer, &kind, &value) != MCP_OK)
        return 0;
    switch (kind) {
    case MCP_JSON_NULL:
        *out = (struct value){.kind = VALUE_NULL};
        return 1;
    case MCP_JSON_FALSE:
    case MCP_JSON_TRUE:
        *out = (struct value){.kind = VALUE_BOOLEAN, .integer = kind == MCP_JSON_TRUE};
        return 1;
    case MCP_JSON_NUMBER:
        return read_number(job, which, value, out) ? 1 : -1;
    case MCP_JSON_STRING:
        *out = (struct value){.kind = VALUE_TEXT, .bytes = value};
        return 1;
    default:
        return read_object(job, which, pointer, value, out) ? 1 : -1;
    }
}

bool parameters_at(struct job *job, const struct statement *statement, size_t index,
                   struct value *out)
{
    char pointer[POINTER_MAX], which[32];
    snprintf(pointer, sizeof(pointer), "%s/parameters/%zu", statement->pointer, index);
    snprintf(which, sizeof(which), "%zu", index + 1);
    int found = read_value(job, which, pointer, out);
    if (found == 0)
        complain(&job->complaint, "Parameter %s is missing.", which);
    return found > 0;
}

int parameters_named(struct job *job, const struct statement *statement, const char *name,
                     struct value *out)
{
    char pointer[POINTER_MAX];
    int at = snprintf(pointer, sizeof(pointer), "%s/parameters/", statement->pointer);
    size_t used = (size_t)at;
    for (const char *c = name; *c != '\0'; c++) {
        if (used + 3 > sizeof(pointer))
            return 0;
        if (*c == '~' || *c == '/')
            pointer[used++] = '~';
        pointer[used++] = *c == '~' ? '0' : *c == '/' ? '1' : *c;
    }
    pointer[used] = '\0';
    return read_value(job, name, pointer, out);
}

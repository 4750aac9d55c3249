/* SPDX-License-Identifier: MIT */
/* Errors as values. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* vsnprintf may have cut a character in two: takes its rest away, so that the
 * text stays valid UTF-8. Bytes that never were UTF-8 are left alone. */
static void trim_cut_character(char *text, size_t size)
{
    size_t lead = size;
    while (lead > 0 && size - lead < 3 && ((unsigned char)text[lead - 1] & 0xc0) == 0x80)
        lead--;
    if (lead == 0)
        return;
    unsigned char c = (unsigned char)text[lead - 1];
    size_t wanted = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
    if (size - (lead - 1) < wanted)
        text[lead - 1] = '\0';
}

static void format_cut(char *text, size_t capacity, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

static void format_cut(char *text, size_t capacity, const char *format, va_list args)
{
    int size = vsnprintf(text, capacity, format, args);
    if (size < 0)
        text[0] = '\0';
    else if ((size_t)size >= capacity)
        trim_cut_character(text, capacity - 1);
}

bool error_set(struct error *err, const char *format, ...)
{
    if (err == NULL)
        return false;
    /* The old text may be among the arguments, so not straight into it. */
    char text[sizeof(err->text)];
    va_list args;
    va_start(args, format);
    format_cut(text, sizeof(text), format, args);
    va_end(args);
    memcpy(err->text, text, strlen(text) + 1);
    err->no_memory = false;
    return false;
}

static const char *memory_hint = "";

void error_set_memory_hint(const char *hint)
{
    memory_hint = hint;
}

const char *error_memory_hint(void)
{
    return memory_hint;
}

bool error_no_memory(struct error *err)
{
    error_set(err, "out of memory%s", memory_hint);
    if (err != NULL)
        err->no_memory = true;
    return false;
}

bool error_no_memory_for(struct error *err, const char *context, ...)
{
    char text[sizeof(err->text)];
    va_list args;
    va_start(args, context);
    format_cut(text, sizeof(text), context, args);
    va_end(args);
    error_no_memory(err);
    return error_prefix(err, "%s", text);
}

bool error_prefix(struct error *err, const char *format, ...)
{
    if (err == NULL)
        return false;
    char context[sizeof(err->text)];
    va_list args;
    va_start(args, format);
    format_cut(context, sizeof(context), format, args);
    va_end(args);
    bool no_memory = err->no_memory;
    error_set(err, "%s: %s", context, err->text);
    err->no_memory = no_memory;
    return false;
}

/* SPDX-License-Identifier: MIT */
/* The operator's log. No heap and no lock: a line is built on the stack and
 * handed to the kernel whole. */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/utf8.h"

#define LINE_SIZE 8192

static struct {
    int level;
    enum log_format format;
    bool journal; /* stderr is journald's */
    log_sink *sink; /* NULL: stderr */
} settings = {.level = LOG_INFO, .format = LOG_TEXT};

/* systemd.exec(5): JOURNAL_STREAM is "DEVICE:INODE" of what the unit's stderr
 * was connected to. It is inherited, so it may speak of another file. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat st;
    if (stream == NULL || fstat(STDERR_FILENO, &st) != 0)
        return false;
    char expected[64];
    snprintf(expected, sizeof(expected), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    return strcmp(stream, expected) == 0;
}

void log_setup(enum log_level level, enum log_format format)
{
    settings.level = (int)level;
    settings.format = format;
    settings.journal = stderr_is_journal();
}

void log_set_sink(log_sink *sink)
{
    settings.sink = sink;
}

bool log_wants(enum log_level level)
{
    return (int)level <= settings.level;
}

/* ---- building a line ---- */

struct line {
    char *text;
    size_t size;
    size_t room; /* of text, without what is kept for the end of the line */
};

/* All of it or, without room, nothing. */
static bool add(struct line *line, const char *text, size_t size)
{
    if (size > line->room - line->size)
        return false;
    memcpy(line->text + line->size, text, size);
    line->size += size;
    return true;
}

static bool add_escape(struct line *line, unsigned code)
{
    char escape[8];
    int size = snprintf(escape, sizeof(escape), "\\u%04x", code & 0xffff);
    return add(line, escape, (size_t)size);
}

static bool add_ascii(struct line *line, char c)
{
    bool json = settings.format == LOG_JSON;
    if (c == '\n')
        return add(line, "\\n", 2);
    if (c == '\t')
        return add(line, "\\t", 2);
    if (c == '\r')
        return add(line, "\\r", 2);
    if ((unsigned char)c < 0x20 || c == 0x7f)
        return add_escape(line, (unsigned char)c);
    if (json && (c == '"' || c == '\\'))
        return add(line, c == '"' ? "\\\"" : "\\\\", 2);
    return add(line, &c, 1);
}

/* One character from `rest`; sets how many bytes it took. */
static bool add_character(struct line *line, struct bytes rest, size_t *taken)
{
    unsigned char lead = (unsigned char)rest.data[0];
    *taken = 1;
    if (lead < 0x80)
        return add_ascii(line, rest.data[0]);
    size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (size > rest.size || utf8_multibyte_prefix((struct bytes){rest.data, size}) != size)
        return add(line, "\xef\xbf\xbd", 3); /* U+FFFD */
    *taken = size;
    if (lead == 0xc2 && (unsigned char)rest.data[1] < 0xa0)
        return add_escape(line, (unsigned char)rest.data[1]); /* C1: terminals obey these too */
    return add(line, rest.data, size);
}

/* False when it had to be cut. */
static bool add_message(struct line *line, struct bytes message)
{
    size_t at = 0;
    while (at < message.size) {
        struct bytes rest = {message.data + at, message.size - at};
        size_t taken;
        if (!add_character(line, rest, &taken))
            return false;
        at += taken;
    }
    return true;
}

/* RFC 3339, in UTC, with milliseconds; 24 characters. */
static void now(char out[40])
{
    struct timespec t;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &t);
    gmtime_r(&t.tv_sec, &tm);
    size_t size = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + size, 40 - size, ".%03dZ", (int)(t.tv_nsec / 1000000));
}

static void add_head(struct line *line, int level)
{
    char head[128];
    char time[40];
    const char *prefix = "";
    char number[8];
    if (settings.journal) {
        snprintf(number, sizeof(number), "<%d>", level & 7);
        prefix = number; /* journald takes it off again */
    }
    int size;
    now(time);
    if (settings.format == LOG_JSON)
        size = snprintf(head, sizeof(head), "%s{\"time\":\"%s\",\"level\":\"%s\",\"message\":\"",
                        prefix, time, log_level_name(level));
    else if (settings.journal)
        size = snprintf(head, sizeof(head), "%s", prefix);
    else
        size = snprintf(head, sizeof(head), "%s %s: ", time, log_level_name(level));
    add(line, head, (size_t)size);
}

/* A nonblocking stderr that is full loses the line: the daemon does not wait for
 * who reads its log. */
static void write_line(const char *text, size_t size)
{
    while (size > 0) {
        ssize_t written = write(STDERR_FILENO, text, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return;
        text += written;
        size -= (size_t)written;
    }
}

void log_at(enum log_level level, const char *format, ...)
{
    if (!log_wants(level))
        return;
    int saved_errno = errno;
    char message[LINE_SIZE], text[LINE_SIZE];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    bool cut = size >= (int)sizeof(message);
    if (size < 0)
        size = 0;
    if (cut)
        size = (int)sizeof(message) - 1;
    if (settings.sink != NULL) {
        settings.sink(level, (struct bytes){message, (size_t)size});
        errno = saved_errno;
        return;
    }

    const char *end = settings.format == LOG_JSON ? "\"}\n" : "\n";
    const char *mark = "...";
    struct line line = {text, 0, sizeof(text) - strlen(mark) - strlen(end)};
    add_head(&line, (int)level);
    if (!add_message(&line, (struct bytes){message, (size_t)size}))
        cut = true;
    line.room = sizeof(text);
    if (cut)
        add(&line, mark, strlen(mark));
    add(&line, end, strlen(end));
    write_line(text, line.size);
    errno = saved_errno;
}

/* ---- names ---- */

static const char *const names[] = {"emergency", "alert",  "critical", "error",
                                    "warning",   "notice", "info",     "debug"};
#define NAMES (int)(sizeof(names) / sizeof(names[0]))

const char *log_level_name(int level)
{
    return names[level < 0 ? 0 : level >= NAMES ? NAMES - 1 : level];
}

int log_level_from_name(struct bytes name)
{
    for (int i = 0; i < NAMES; i++) {
        if (bytes_equal(name, bytes_of(names[i])))
            return i;
    }
    return -1;
}

/* SPDX-License-Identifier: MIT */
/*
 * edit_file: replaces texts in a file, one after the other, and shows what that changes.
 * A text that is not found as it is written is looked for line by line without regard to
 * the white space at the ends of lines. Line ends stay what they are in the file.
 */
#include "filesystem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "encoding.h"
#include "reading.h"

#define EDITS_MAX 1000
#define LOOK_NS 50000000 /* how long a waiting call does not see that it has been cancelled */

struct editing {
    const struct filesystem *fs;
    struct mcp_call *call;
    struct place place;
    struct stat st;
    bool crlf; /* every line of the file ends so */
    struct text before, after; /* with LF, if crlf */
    size_t edits;
    bool dry_run;
};

/* ---- line ends ---- */

static bool all_crlf(const char *data, size_t size)
{
    bool any = false;
    for (size_t i = 0; i < size; i++) {
        if (data[i] == '\n' && (i == 0 || data[i - 1] != '\r'))
            return false;
        any = any || data[i] == '\n';
    }
    return any;
}

static void add_with_lf(struct text *out, const char *data, size_t size)
{
    for (size_t at = 0; at < size;) {
        const char *cr = memmem(data + at, size - at, "\r\n", 2);
        size_t end = cr != NULL ? (size_t)(cr - data) : size;
        text_add(out, data + at, end - at);
        at = cr != NULL ? end + 1 : size;
    }
}

static void add_with_crlf(struct text *out, const char *data, size_t size)
{
    for (size_t at = 0; at < size;) {
        const char *lf = memchr(data + at, '\n', size - at);
        size_t end = lf != NULL ? (size_t)(lf - data) : size;
        text_add(out, data + at, end - at);
        if (lf != NULL)
            text_adds(out, "\r\n");
        at = lf != NULL ? end + 1 : size;
    }
}

/* ---- one edit ---- */

static void replace_range(struct text *t, size_t from, size_t to, struct mcp_bytes with)
{
    struct text out;
    text_init(&out, t->max);
    text_add(&out, t->data, from);
    text_add(&out, with.data, with.size);
    if (t->size > to)
        text_add(&out, t->data + to, t->size - to);
    out.failed = out.failed || t->failed;
    text_free(t);
    *t = out;
}

static bool is_white(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static struct mcp_bytes line_at(struct mcp_bytes text, size_t at)
{
    const char *newline = memchr(text.data + at, '\n', text.size - at);
    size_t end = newline != NULL ? (size_t)(newline - text.data) : text.size;
    return (struct mcp_bytes){text.data + at, end - at};
}

static struct mcp_bytes trim(struct mcp_bytes line)
{
    while (line.size > 0 && is_white(line.data[0])) {
        line.data++;
        line.size--;
    }
    while (line.size > 0 && is_white(line.data[line.size - 1]))
        line.size--;
    return line;
}

static size_t indent_of(struct mcp_bytes line)
{
    size_t size = 0;
    while (size < line.size && is_white(line.data[size]))
        size++;
    return size;
}

/* Each line without the white space at its ends, between newlines. */
static void add_trimmed(struct text *out, struct mcp_bytes text)
{
    text_adds(out, "\n");
    for (size_t at = 0; at <= text.size;) {
        struct mcp_bytes line = line_at(text, at), bare = trim(line);
        text_add(out, bare.data, bare.size);
        text_adds(out, "\n");
        at += line.size + 1;
    }
}

static size_t count_newlines(const char *data, size_t size)
{
    size_t count = 0;
    for (size_t i = 0; i < size; i++)
        count += data[i] == '\n';
    return count;
}

/* Which line of the text is the first of those that match `old`, counted from 0. SIZE_MAX:
 * there is none. One search in all of the text, for memmem(3) takes linear time; comparing
 * at each line takes the product of both. */
static size_t find_lines(struct mcp_bytes text, struct mcp_bytes old, bool *failed)
{
    struct text bare, wanted;
    text_init(&bare, SIZE_MAX / 4);
    text_init(&wanted, SIZE_MAX / 4);
    add_trimmed(&bare, text);
    add_trimmed(&wanted, old);
    *failed = bare.failed || wanted.failed;
    const char *found = *failed ? NULL : memmem(bare.data, bare.size, wanted.data, wanted.size);
    size_t line = found != NULL ? count_newlines(bare.data, (size_t)(found - bare.data)) : SIZE_MAX;
    text_free(&bare);
    text_free(&wanted);
    return line;
}

/* Where the line begins that is `count` lines behind the one that begins at `at`. */
static size_t skip_lines(struct mcp_bytes text, size_t at, size_t count)
{
    for (; count > 0; count--)
        at += line_at(text, at).size + 1;
    return at;
}

/* The new lines, as deep as the old ones stood in the file and to each other. */
static void add_indented(struct text *out, struct mcp_bytes found, struct mcp_bytes old,
                         struct mcp_bytes with)
{
    struct mcp_bytes indent = {found.data, indent_of(found)};
    for (size_t at = 0, o = 0, n = 0; at <= with.size; n++) {
        struct mcp_bytes line = line_at(with, at);
        struct mcp_bytes was = o <= old.size ? line_at(old, o) : (struct mcp_bytes){"", 0};
        size_t new_depth = indent_of(line), old_depth = indent_of(was);
        text_adds(out, n > 0 ? "\n" : "");
        if (n == 0 || (new_depth > 0 && old_depth > 0)) {
            text_add(out, indent.data, indent.size);
            for (size_t i = old_depth; n > 0 && i < new_depth; i++)
                text_adds(out, " ");
            text_add(out, line.data + new_depth, line.size - new_depth);
        } else {
            text_add(out, line.data, line.size);
        }
        at += line.size + 1;
        o += was.size + 1;
    }
}

static bool edit_by_lines(struct text *t, struct mcp_bytes old, struct mcp_bytes with)
{
    struct mcp_bytes text = {t->data != NULL ? t->data : "", t->size};
    size_t line = find_lines(text, old, &t->failed);
    if (line == SIZE_MAX)
        return t->failed;
    size_t at = skip_lines(text, 0, line);
    size_t last = skip_lines(text, at, count_newlines(old.data, old.size));
    struct text lines;
    text_init(&lines, t->max);
    add_indented(&lines, line_at(text, at), old, with);
    t->failed = t->failed || lines.failed;
    replace_range(t, at, last + line_at(text, last).size, text_bytes(&lines));
    text_free(&lines);
    return true;
}

static bool apply(struct text *t, struct mcp_bytes old, struct mcp_bytes with)
{
    const char *found =
        old.size > 0 && t->size > 0 ? memmem(t->data, t->size, old.data, old.size) : NULL;
    if (found != NULL || old.size == 0) {
        size_t at = found != NULL ? (size_t)(found - t->data) : 0;
        replace_range(t, at, at + old.size, with);
        return true;
    }
    return edit_by_lines(t, old, with);
}

/* ---- all edits ---- */

/* 1: there is one, 0: there are no more, -1: the call has been ended. */
static int read_edit(struct editing *e, size_t index, const char *name, struct mcp_bytes *out)
{
    char pointer[64];
    int32_t kind;
    snprintf(pointer, sizeof(pointer), "/edits/%zu/%s", index, name);
    if (e->call->ops->argument(e->call, pointer, &kind, out) != MCP_OK)
        return 0;
    if (kind == MCP_JSON_STRING)
        return 1;
    fail_call(e->call, "%s of edit %zu must be a string.", name, index + 1);
    return -1;
}

static bool edit_one(struct editing *e, struct mcp_bytes old, struct mcp_bytes with)
{
    struct text a, b;
    text_init(&a, SIZE_MAX / 4);
    text_init(&b, SIZE_MAX / 4);
    if (e->crlf) {
        add_with_lf(&a, old.data, old.size);
        add_with_lf(&b, with.data, with.size);
        old = text_bytes(&a);
        with = text_bytes(&b);
    }
    bool found = apply(&e->after, old, with);
    if (!found)
        fail_call(e->call,
                  "Edit %zu: oldText is not in %.*s, not even without regard to the white space at "
                  "the ends of lines; nothing was written. It is: %.*s",
                  e->edits + 1, SHOW(e->place.given), (int)(old.size < 2000 ? old.size : 2000),
                  old.data);
    else if (e->after.failed)
        fail_call(e->call, "The file would have more than the %lld bytes that it may have here.",
                  (long long)e->fs->max_file_size);
    found = found && !e->after.failed;
    text_free(&a);
    text_free(&b);
    return found;
}

static bool edit_all(struct editing *e)
{
    struct mcp_bytes old, with;
    int got = 1;
    for (; e->edits < EDITS_MAX; e->edits++) {
        got = read_edit(e, e->edits, "oldText", &old);
        if (got <= 0)
            break;
        got = read_edit(e, e->edits, "newText", &with);
        if (got == 0)
            fail_call(e->call, "Edit %zu has no newText.", e->edits + 1);
        if (got <= 0 || !edit_one(e, old, with) || was_cancelled(e->call))
            return false;
    }
    if (got == 0 && e->edits == 0)
        fail_call(e->call, "The argument \"edits\" must have 1 to 1000 edits.");
    return got >= 0 && e->edits > 0;
}

static bool read_content(struct editing *e)
{
    struct text raw;
    text_init(&raw, (size_t)e->fs->max_file_size);
    bool good = file_read_all(&e->place, e->call, &raw, &e->st);
    if (good && !is_text(raw.data, raw.size, true)) {
        good = false;
        fail_call(e->call, "%.*s is not UTF-8 text; only texts are edited.", SHOW(e->place.given));
    }
    if (good) {
        e->crlf = all_crlf(raw.data, raw.size);
        if (e->crlf)
            add_with_lf(&e->before, raw.data, raw.size);
        else
            text_add(&e->before, raw.data, raw.size);
        text_add(&e->after, e->before.data, e->before.size);
    }
    text_free(&raw);
    return good;
}

/* ---- writing and answering ---- */

static bool write_back(struct editing *e)
{
    struct text out;
    struct place parent = e->place;
    struct replacement r = {.old = &e->st, .unchanged = true};
    r.directory = place_open_parent(&parent, e->call, "write", &r.name);
    if (r.directory < 0)
        return false;
    text_init(&out, (size_t)e->fs->max_file_size);
    if (e->crlf)
        add_with_crlf(&out, e->after.data, e->after.size);
    else
        text_add(&out, e->after.data, e->after.size);
    r.content = text_bytes(&out);
    bool good =
        !out.failed && faccessat(r.directory, r.name, W_OK, AT_EACCESS | AT_SYMLINK_NOFOLLOW) == 0;
    int error = out.failed ? EFBIG : errno;
    if (good) {
        good = file_replace(&r, e->call);
        error = errno;
    }
    close(r.directory);
    text_free(&out);
    if (!good && error == ESTALE)
        fail_call(e->call,
                  "%.*s has been changed meanwhile, or is a symbolic link; nothing was written.",
                  SHOW(e->place.given));
    else if (!good && error == ECANCELED)
        fail_call(e->call, "The call was cancelled; %.*s is as it was.", SHOW(e->place.given));
    else if (!good)
        place_fail(&e->place, e->call, error, "write");
    return good;
}

/* The diff in a fence that is longer than any in it. */
static void add_fenced(struct text *words, const struct text *diff)
{
    char fence[64] = "```";
    while (diff->size > 0 && strlen(fence) < sizeof(fence) - 1 &&
           memmem(diff->data, diff->size, fence, strlen(fence)) != NULL)
        strcat(fence, "`");
    text_addf(words, "%sdiff\n", fence);
    text_add(words, diff->data, diff->size);
    text_addf(words, "%s\n\n", fence);
}

static int32_t finish(struct editing *e)
{
    struct text diff, name, words, json;
    text_init(&diff, SIZE_MAX / 4);
    text_init(&name, 64 * 1024);
    text_init(&words, SIZE_MAX / 4);
    text_init(&json, SIZE_MAX / 4);
    place_add_path(&name, e->place.root, e->place.beneath);
    diff_add(&diff, name.data != NULL ? name.data : "", text_bytes(&e->before),
             text_bytes(&e->after));
    bool cut = diff.size > (size_t)e->fs->max_output;
    if (cut)
        text_cut(&diff, utf8_prefix(diff.data, (size_t)e->fs->max_output));
    add_fenced(&words, &diff);
    text_adds(&json, "{\"path\":");
    text_add_string(&json, e->place.given.data, e->place.given.size);
    text_adds(&json, ",\"diff\":");
    text_add_string(&json, diff.data, diff.size);
    text_addf(&json, ",\"edits\":%zu,\"written\":%s", e->edits, e->dry_run ? "false" : "true");
    add_truncated(&words, &json, cut ? "the diff is larger than is shown" : NULL);
    text_adds(&json, "}");
    words.failed = words.failed || diff.failed;
    text_free(&diff);
    text_free(&name);
    return finish_call(e->call, &words, &json);
}

/* Waits for LOOK_NS at most; by the clock of the wall, for gcc's thread sanitizer does not
 * know pthread_mutex_clocklock(3). When that clock is set back, it waits longer, but not
 * longer than another edit has the turn. */
static bool take_turn(const struct filesystem *fs)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += LOOK_NS;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    return pthread_mutex_timedlock(fs->editing, &until) == 0;
}

/* False: the call has been ended, without having had its turn. */
static bool wait_for_turn(const struct filesystem *fs, struct mcp_call *call)
{
    while (now_ns() < answer_until_ns(call)) {
        if (was_cancelled(call))
            return false;
        if (take_turn(fs))
            return true;
    }
    fail_call(call,
              "Other edits took all the time that this one had; nothing was written. Edits are "
              "made one at a time: try again later.");
    return false;
}

int32_t edit_file(const struct filesystem *fs, struct mcp_call *call)
{
    struct editing e = {.fs = fs, .call = call};
    if (!argument_bool(call, "/dryRun", &e.dry_run) || !place_find(fs, call, &e.place))
        return MCP_OK;
    text_init(&e.before, (size_t)fs->max_file_size);
    text_init(&e.after, (size_t)fs->max_file_size);
    if (wait_for_turn(fs, call)) {
        bool good = read_content(&e) && edit_all(&e) && (e.dry_run || write_back(&e));
        pthread_mutex_unlock(fs->editing);
        if (good)
            finish(&e);
    }
    text_free(&e.before);
    text_free(&e.after);
    return MCP_OK;
}

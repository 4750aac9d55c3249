/* SPDX-License-Identifier: MIT */
/*
 * search_content: lines that have a text in them, or match a regular expression (PCRE2).
 * Files are read through one small buffer, however large they are. A pattern is somebody
 * else's program: it is bounded in its steps at each place and in each line, and in time.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "filesystem.h"

#include <errno.h>
#include <fcntl.h>
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reading.h"

#define BUFFER_SIZE (256 * 1024) /* and the longest line that is looked at whole */
#define LINE_SHOWN 500
#define MATCH_STEPS 200000 /* from one place in a line */
#define LINE_STEPS 10000000 /* from all of them, as step() counts */
#define STEPS_UNWATCHED 32 /* each may go through a whole line */
#define MATCH_HEAP_KIB 4096
#define PATTERN_MAX 4096

struct content {
    pcre2_code *code;
    pcre2_match_data *match;
    pcre2_match_context *context;
    struct globs include;
    char *buffer;
    struct text words, json;
    size_t count, max_results, max_output;
    size_t steps; /* in this line */
    size_t files, skipped; /* looked into; neither text nor small enough in some way */
    const char *truncated;
};

/* ---- the pattern ---- */

/* PCRE2 comes here before each item of the pattern that it tries (PCRE2_AUTO_CALLOUT). Its
 * own limit says nothing of time: it counts anew from each place in the line, and what is
 * repeated without a way back is one step, however long. */
static int step(pcre2_callout_block *block, void *context)
{
    struct walk *walk = context;
    struct content *c = walk->context;
    (void)block;
    if (++c->steps % STEPS_UNWATCHED == 0 && !walk_goes_on(walk))
        return PCRE2_ERROR_CALLOUT;
    return c->steps > LINE_STEPS ? PCRE2_ERROR_MATCHLIMIT : 0;
}

static bool compile(struct content *c, struct walk *walk)
{
    struct mcp_call *call = walk->call;
    struct mcp_bytes pattern = {NULL, 0};
    bool regex = false, ignore_case = false;
    if (!argument_string(call, "/pattern", &pattern) || !argument_bool(call, "/regex", &regex) ||
        !argument_bool(call, "/ignoreCase", &ignore_case))
        return false;
    if (pattern.size == 0 || pattern.size > PATTERN_MAX) {
        fail_call(call, "The pattern must have 1 to %d bytes.", PATTERN_MAX);
        return false;
    }
    uint32_t options = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C |
                       PCRE2_AUTO_CALLOUT | (regex ? 0 : PCRE2_LITERAL) |
                       (ignore_case ? PCRE2_CASELESS : 0);
    if (!regex)
        options &= ~(uint32_t)PCRE2_NEVER_BACKSLASH_C;
    int error;
    PCRE2_SIZE at;
    c->code = pcre2_compile((PCRE2_SPTR)pattern.data, pattern.size, options, &error, &at, NULL);
    if (c->code == NULL) {
        PCRE2_UCHAR words[256] = "";
        pcre2_get_error_message(error, words, sizeof(words));
        fail_call(call, "The pattern is wrong at %zu: %s.", (size_t)at, (const char *)words);
        return false;
    }
    c->match = pcre2_match_data_create(1, NULL);
    c->context = pcre2_match_context_create(NULL);
    c->buffer = malloc(BUFFER_SIZE);
    if (c->match == NULL || c->context == NULL || c->buffer == NULL) {
        fail_call(call, "mcpd is out of memory.");
        return false;
    }
    pcre2_set_match_limit(c->context, MATCH_STEPS);
    pcre2_set_depth_limit(c->context, MATCH_STEPS);
    pcre2_set_heap_limit(c->context, MATCH_HEAP_KIB);
    pcre2_set_callout(c->context, step, walk);
    return true;
}

/* ---- one file ---- */

static void add_match(struct content *c, const char *path, size_t number, const char *line,
                      size_t size)
{
    size_t shown = size < LINE_SHOWN ? size : LINE_SHOWN;
    while (shown < size && shown > 0 && ((unsigned char)line[shown] & 0xc0) == 0x80)
        shown--;
    add_shown_name(&c->words, path, strlen(path));
    text_addf(&c->words, ":%zu: ", number);
    text_add_utf8(&c->words, line, shown);
    text_adds(&c->words, shown < size ? "...\n" : "\n");
    text_adds(&c->json, c->count > 0 ? ",{\"path\":" : "{\"path\":");
    text_add_string(&c->json, path, strlen(path));
    text_addf(&c->json, ",\"line\":%zu,\"text\":", number);
    text_add_string(&c->json, line, shown);
    text_adds(&c->json, shown < size ? ",\"cut\":true}" : "}");
    c->count++;
}

/* False: enough. */
static bool look_at_line(struct content *c, const char *path, size_t number, const char *line,
                         size_t size)
{
    if (size > 0 && line[size - 1] == '\r')
        size--;
    c->steps = 0;
    int found = pcre2_match(c->code, (PCRE2_SPTR)line, size, 0, 0, c->match, c->context);
    if (found == PCRE2_ERROR_MATCHLIMIT || found == PCRE2_ERROR_DEPTHLIMIT ||
        found == PCRE2_ERROR_HEAPLIMIT)
        c->truncated = "the pattern needs too many steps for some lines";
    if (found < 0)
        return found != PCRE2_ERROR_CALLOUT;
    if (c->count == c->max_results || c->words.size >= c->max_output) {
        c->truncated = "there are more matches than are listed at once";
        return false;
    }
    add_match(c, path, number, line, size);
    return true;
}

/* The whole lines in the buffer; what is left of the last one moves to its front. A line
 * that fills the buffer is looked at in pieces. False: enough. */
static bool look_at_lines(struct walk *walk, const char *path, size_t *number, size_t *used,
                          bool last)
{
    struct content *c = walk->context;
    size_t at = 0;
    while (at < *used) {
        const char *newline = memchr(c->buffer + at, '\n', *used - at);
        bool piece = newline == NULL && !last && at == 0 && *used == BUFFER_SIZE;
        if (newline == NULL && !last && !piece)
            break;
        size_t end = newline != NULL ? (size_t)(newline - c->buffer) : *used;
        if (!look_at_line(c, path, *number, c->buffer + at, end - at))
            return false;
        *number += newline != NULL;
        at = newline != NULL ? end + 1 : end;
        if (*number % 1024 == 0 && !walk_goes_on(walk))
            return false;
    }
    memmove(c->buffer, c->buffer + at, *used - at);
    *used -= at;
    return walk_goes_on(walk);
}

/* False: enough. */
static bool look_into(struct walk *walk, int fd, const char *path)
{
    struct content *c = walk->context;
    size_t used = 0, number = 1;
    bool first = true;
    for (;;) {
        ssize_t got = read(fd, c->buffer + used, BUFFER_SIZE - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 || (first && memchr(c->buffer, '\0', (size_t)got) != NULL)) {
            c->skipped++;
            return true;
        }
        c->files += first;
        first = false;
        used += (size_t)got;
        if (!look_at_lines(walk, path, &number, &used, got == 0))
            return false;
        if (got == 0)
            return true;
    }
}

/* ---- all files ---- */

static bool may_be_read(const struct filesystem *fs, int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
           (st.st_nlink == 1 || fs->allow_hard_links) && !file_is_kernels(fd);
}

static bool visit(struct walk *walk, int directory, const char *path, const char *name,
                  const struct stat *st)
{
    struct content *c = walk->context;
    if (!S_ISREG(st->st_mode) || (c->include.count > 0 && !globs_match(&c->include, path)))
        return true;
    int fd = -1;
    if (st->st_nlink == 1 || walk->fs->allow_hard_links)
        fd = place_open_at(walk->fs, directory, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW,
                           0);
    bool good = true;
    if (fd >= 0 && may_be_read(walk->fs, fd))
        good = look_into(walk, fd, path);
    else
        c->skipped++;
    if (fd >= 0)
        close(fd);
    return good;
}

static int32_t finish(struct content *c, struct walk *walk, const struct place *place)
{
    if (c->count == 0)
        text_adds(&c->words, "No matches found");
    text_adds(&c->json, "],\"path\":");
    text_add_string(&c->json, place->given.data, place->given.size);
    text_addf(&c->json, ",\"files\":%zu,\"skipped\":%zu", c->files, c->skipped);
    add_truncated(&c->words, &c->json, walk->truncated != NULL ? walk->truncated : c->truncated);
    text_adds(&c->json, "}");
    return finish_call(walk->call, &c->words, &c->json);
}

int32_t search_content(const struct filesystem *fs, struct mcp_call *call)
{
    struct place place;
    struct content c = {.max_output = (size_t)fs->max_output};
    struct globs exclude = {.count = 0};
    struct walk walk = {.fs = fs, .call = call, .exclude = &exclude, .visit = visit, .context = &c};
    int64_t max_results = fs->max_entries < 100 ? fs->max_entries : 100;
    text_init(&c.words, SIZE_MAX / 4);
    text_init(&c.json, SIZE_MAX / 4);
    text_adds(&c.json, "{\"matches\":[");
    if (place_find(fs, call, &place) && compile(&c, &walk) &&
        argument_integer(call, "/maxResults", 1, fs->max_entries, &max_results) &&
        globs_read(&c.include, call, "/filePatterns", false) &&
        globs_read(&exclude, call, "/excludePatterns", false)) {
        c.max_results = (size_t)max_results;
        if (walk_run(&walk, &place))
            finish(&c, &walk, &place);
    }
    pcre2_code_free(c.code);
    pcre2_match_data_free(c.match);
    pcre2_match_context_free(c.context);
    free(c.buffer);
    globs_free(&c.include);
    globs_free(&exclude);
    text_free(&c.words);
    text_free(&c.json);
    return MCP_OK;
}

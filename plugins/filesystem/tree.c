/* SPDX-License-Identifier: MIT */
/* directory_tree: what is in a directory, as JSON that is nested like it. */
#include "filesystem.h"

#include <errno.h>
#include <string.h>

#include "reading.h"

#define DEPTH_MAX 48 /* two levels of JSON each; mcpd takes 128 */

struct tree {
    struct text words, json; /* the first for people, with white space */
    int depth;
    bool any[DEPTH_MAX + 2]; /* whether there is something at that depth already */
    size_t count, max_entries, max_output;
    const char *truncated;
};

static void indent(struct text *t, int steps)
{
    text_addf(t, "\n%*s", 2 * steps, "");
}

static void begin_entry(struct tree *t, const char *name, const char *type)
{
    int at = 2 * t->depth + 1;
    text_adds(&t->words, t->any[t->depth] ? "," : "");
    indent(&t->words, at);
    text_adds(&t->words, "{");
    indent(&t->words, at + 1);
    text_adds(&t->words, "\"name\": ");
    text_add_string(&t->words, name, strlen(name));
    text_adds(&t->words, ",");
    indent(&t->words, at + 1);
    text_addf(&t->words, "\"type\": \"%s\"", type);
    text_adds(&t->json, t->any[t->depth] ? ",{\"name\":" : "{\"name\":");
    text_add_string(&t->json, name, strlen(name));
    text_addf(&t->json, ",\"type\":\"%s\"", type);
    t->any[t->depth] = true;
}

static void end_entry(struct tree *t)
{
    indent(&t->words, 2 * t->depth + 1);
    text_adds(&t->words, "}");
    text_adds(&t->json, "}");
}

static bool visit(struct walk *walk, int directory, const char *path, const char *name,
                  const struct stat *st)
{
    struct tree *t = walk->context;
    (void)directory;
    (void)path;
    if (t->count == t->max_entries || t->words.size >= t->max_output)
        t->truncated = "there is more than is shown at once";
    if (t->truncated != NULL)
        return false;
    t->count++;
    begin_entry(t, name, type_word(st->st_mode));
    if (!S_ISDIR(st->st_mode)) {
        end_entry(t);
        return true;
    }
    text_adds(&t->words, ",");
    indent(&t->words, 2 * t->depth + 2);
    text_adds(&t->words, "\"children\": [");
    text_adds(&t->json, ",\"children\":[");
    t->any[++t->depth] = false;
    return true;
}

static void leave(struct walk *walk)
{
    struct tree *t = walk->context;
    if (t->any[t->depth])
        indent(&t->words, 2 * t->depth);
    text_adds(&t->words, "]");
    text_adds(&t->json, "]");
    t->depth--;
    end_entry(t);
}

int32_t directory_tree(const struct filesystem *fs, struct mcp_call *call)
{
    struct tree t = {.max_entries = (size_t)fs->max_entries, .max_output = (size_t)fs->max_output};
    struct globs exclude = {.count = 0};
    struct walk walk = {.fs = fs,
                        .call = call,
                        .exclude = &exclude,
                        .visit = visit,
                        .leave = leave,
                        .depth_max = DEPTH_MAX,
                        .context = &t};
    struct place place;
    text_init(&t.words, SIZE_MAX / 4);
    text_init(&t.json, SIZE_MAX / 4);
    text_adds(&t.words, "[");
    text_adds(&t.json, "{\"tree\":[");
    if (place_find(fs, call, &place) && globs_read(&exclude, call, "/excludePatterns", true) &&
        walk_run(&walk, &place)) {
        text_adds(&t.words, t.any[0] ? "\n]" : "]");
        text_adds(&t.json, "],\"path\":");
        text_add_string(&t.json, place.given.data, place.given.size);
        add_truncated(&t.words, &t.json, t.truncated != NULL ? t.truncated : walk.truncated);
        text_adds(&t.json, "}");
        finish_call(call, &t.words, &t.json);
    }
    globs_free(&exclude);
    text_free(&t.words);
    text_free(&t.json);
    return MCP_OK;
}

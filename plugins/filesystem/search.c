/* SPDX-License-Identifier: MIT */
/* search_files: the files and directories whose paths match a glob. */
#include "filesystem.h"

#include <string.h>

#include "reading.h"

struct search {
    const struct place *place;
    struct glob *glob;
    struct text words, json;
    size_t count, max_entries, max_output;
    const char *truncated;
};

/* Beneath the root, for what was found below the place. */
static bool add_found(struct search *s, const char *path)
{
    char beneath[PATH_MAX * 2];
    size_t used = 0;
    if (strcmp(s->place->beneath, ".") != 0) {
        used = strlen(s->place->beneath);
        memcpy(beneath, s->place->beneath, used);
        while (used > 0 && beneath[used - 1] == '/')
            used--;
        beneath[used++] = '/';
    }
    memcpy(beneath + used, path, strlen(path) + 1);
    struct text whole;
    text_init(&whole, 64 * 1024);
    place_add_path(&whole, s->place->root, beneath);
    text_adds(&s->words, s->count > 0 ? "\n" : "");
    add_shown_name(&s->words, whole.data, whole.size);
    text_adds(&s->json, s->count > 0 ? "," : "");
    text_add_string(&s->json, whole.data, whole.size);
    bool good = !whole.failed;
    text_free(&whole);
    s->count++;
    return good;
}

static bool visit(struct walk *walk, int directory, const char *path, const char *name,
                  const struct stat *st)
{
    struct search *s = walk->context;
    (void)directory;
    (void)name;
    (void)st;
    if (!glob_match(s->glob, path))
        return true;
    if (s->count == s->max_entries || s->words.size >= s->max_output) {
        s->truncated = "there are more matches than are listed at once";
        return false;
    }
    return add_found(s, path);
}

static bool read_pattern(struct mcp_call *call, struct search *s)
{
    struct mcp_bytes pattern = {NULL, 0};
    const char *wrong;
    if (!argument_string(call, "/pattern", &pattern))
        return false;
    s->glob = glob_new(pattern, &wrong);
    if (s->glob == NULL)
        fail_call(call, "The pattern is wrong: %s.", wrong);
    return s->glob != NULL;
}

int32_t search_files(const struct filesystem *fs, struct mcp_call *call)
{
    struct place place;
    struct search s = {.place = &place,
                       .max_entries = (size_t)fs->max_entries,
                       .max_output = (size_t)fs->max_output};
    struct globs exclude = {.count = 0};
    struct walk walk = {.fs = fs, .call = call, .exclude = &exclude, .visit = visit, .context = &s};
    text_init(&s.words, SIZE_MAX / 4);
    text_init(&s.json, SIZE_MAX / 4);
    text_adds(&s.json, "{\"matches\":[");
    if (place_find(fs, call, &place) && read_pattern(call, &s) &&
        globs_read(&exclude, call, "/excludePatterns", false) && walk_run(&walk, &place)) {
        text_adds(&s.words, s.count == 0 ? "No matches found" : "");
        text_adds(&s.json, "],\"path\":");
        text_add_string(&s.json, place.given.data, place.given.size);
        add_truncated(&s.words, &s.json, s.truncated != NULL ? s.truncated : walk.truncated);
        text_adds(&s.json, "}");
        finish_call(call, &s.words, &s.json);
    }
    glob_free(s.glob);
    globs_free(&exclude);
    text_free(&s.words);
    text_free(&s.json);
    return MCP_OK;
}

/* SPDX-License-Identifier: MIT */
/*
 * completion/complete for {+path} of the resource templates: what is in the directory
 * that has been typed so far, and begins with the rest. Offered is what resources/read
 * would take, and directories that lead there.
 */
#include "filesystem.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "encoding.h"
#include "reading.h"

#define OFFERED_MAX 100 /* of MCP */
#define LOOKED_AT_MAX 1000 /* names, of which some are not offered */

struct completing {
    struct place place; /* the directory */
    struct mcp_bytes typed; /* of it: up to the last slash */
    struct text json;
    size_t count;
};

/* The root whose template it is. */
static const struct root *find_root(const struct filesystem *fs, struct mcp_bytes uri_template)
{
    for (size_t i = 0; i < fs->roots.count; i++) {
        struct text t;
        text_init(&t, 64 * 1024);
        add_template(&t, &fs->roots.items[i]);
        bool same = t.size == uri_template.size && memcmp(t.data, uri_template.data, t.size) == 0;
        text_free(&t);
        if (same)
            return &fs->roots.items[i];
    }
    return NULL;
}

/* An escape that is not yet whole says nothing. */
static size_t without_unfinished_escape(struct mcp_bytes typed)
{
    for (size_t back = 1; back <= 2 && back <= typed.size; back++)
        if (typed.data[typed.size - back] == '%')
            return typed.size - back;
    return typed.size;
}

/* Decodes it; false: it is no path. */
static bool decode(struct text *out, const char *data, size_t size)
{
    text_init(out, PATH_MAX - 1);
    return text_add_unescaped(out, data, size) && !out->failed &&
           (out->size == 0 || memchr(out->data, '\0', out->size) == NULL);
}

/* Splits what has been typed into the place of a directory and the beginning of a name. */
static bool split(struct completing *c, struct mcp_bytes typed, struct text *prefix)
{
    struct text directory;
    size_t cut = typed.size;
    while (cut > 0 && typed.data[cut - 1] != '/')
        cut--;
    c->typed = (struct mcp_bytes){typed.data, cut};
    typed = (struct mcp_bytes){typed.data + cut, typed.size - cut};
    bool good = decode(&directory, c->typed.data, cut);
    if (good) {
        /* As a URI with two slashes would be read. */
        const char *beneath = cut > 0 ? directory.data + strspn(directory.data, "/") : "";
        strcpy(c->place.beneath, *beneath != '\0' ? beneath : ".");
    }
    text_free(&directory);
    return decode(prefix, typed.data, without_unfinished_escape(typed)) && good;
}

/* 'd', 'f', or 0 for what cannot be read. */
static char kind_of(const struct completing *c, const char *name)
{
    char path[PATH_MAX + 300];
    const struct filesystem *fs = c->place.fs;
    struct stat st;
    snprintf(path, sizeof(path), "%s/%s", c->place.beneath, name);
    int fd = place_open_at(fs, c->place.root->fd, path, O_PATH, 0);
    bool there = fd >= 0 && fstat(fd, &st) == 0;
    if (fd >= 0)
        close(fd);
    if (!there)
        return 0;
    if (S_ISDIR(st.st_mode))
        return 'd';
    return S_ISREG(st.st_mode) && (st.st_nlink == 1 || fs->allow_hard_links) ? 'f' : 0;
}

/* What the template's expansion (RFC 6570, 3.2.3) would leave as it is, and a URI takes
 * for something else, is escaped. */
static void add_value(struct completing *c, const char *name, bool is_directory)
{
    struct text value;
    text_init(&value, 16 * 1024);
    text_add(&value, c->typed.data, c->typed.size);
    for (const char *at = name; *at != '\0'; at++)
        if (strchr("%?#", *at) != NULL)
            text_add_percent(&value, at, 1, "");
        else
            text_add(&value, at, 1);
    if (is_directory)
        text_adds(&value, "/");
    text_adds(&c->json, c->count++ > 0 ? "," : "");
    text_add_string(&c->json, value.data, value.size);
    text_free(&value);
}

/* True when there are more than are offered. */
static bool add_values(struct completing *c, const struct names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        const char *name = names->items[i];
        char kind = utf8_prefix(name, strlen(name)) == strlen(name) ? kind_of(c, name) : 0;
        if (kind != 0 && c->count == OFFERED_MAX)
            return true;
        if (kind != 0)
            add_value(c, name, kind == 'd');
    }
    return names->cut;
}

/* What cannot be opened, or is outside, has nothing to offer. */
static bool complete(struct completing *c, const char *prefix, struct mcp_call *call, bool *more)
{
    struct names names = {.prefix = prefix};
    int fd = place_open(&c->place, O_RDONLY | O_DIRECTORY);
    DIR *directory = fd >= 0 ? names_open(fd, LOOKED_AT_MAX, call, &names) : NULL;
    if (directory == NULL)
        return true;
    bool cancelled = names.cancelled;
    if (!cancelled)
        *more = add_values(c, &names);
    names_close(directory, &names);
    return !cancelled;
}

int32_t resources_complete(void *self, struct mcp_call *call)
{
    const struct filesystem *fs = self;
    struct completing c = {.place = {.fs = fs, .root = find_root(fs, call->name)}};
    struct mcp_bytes typed = {"", 0};
    struct text prefix = {.data = NULL};
    int32_t kind;
    bool more = false, good = true;
    call->ops->argument(call, "/argument/value", &kind, &typed);
    text_init(&c.json, 4 * 1024 * 1024);
    text_adds(&c.json, "{\"values\":[");
    if (c.place.root != NULL && split(&c, typed, &prefix))
        good = complete(&c, prefix.size > 0 ? prefix.data : "", call, &more);
    text_addf(&c.json, "],\"hasMore\":%s}", more ? "true" : "false");
    if (good)
        call->ops->finish_result(call, text_bytes(&c.json));
    else
        fail_call(call, "The call was cancelled.");
    text_free(&c.json);
    text_free(&prefix);
    return MCP_OK;
}

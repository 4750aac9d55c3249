/* SPDX-License-Identifier: MIT */
/* move_file: a rename between two directories that are open, which replaces nothing. */
#include "filesystem.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "reading.h"

/* One end of it. */
struct end {
    struct place place;
    int directory;
    const char *name;
};

static bool open_end(const struct filesystem *fs, struct mcp_call *call, const char *argument,
                     struct end *end)
{
    struct mcp_bytes given = {NULL, 0};
    if (!argument_string(call, argument, &given) || !place_find_at(fs, call, given, &end->place))
        return false;
    /* "dir/" is the directory. */
    size_t length = strlen(end->place.beneath);
    while (length > 1 && end->place.beneath[length - 1] == '/')
        end->place.beneath[--length] = '\0';
    if (strcmp(end->place.beneath, ".") == 0) {
        fail_call(call, "%.*s is an allowed directory itself; it stays where it is.", SHOW(given));
        return false;
    }
    end->directory = place_open_parent(&end->place, call, "move", &end->name);
    return end->directory >= 0;
}

static int32_t fail_move(const struct end *from, const struct end *to, struct mcp_call *call,
                         int error)
{
    switch (error) {
    case EEXIST:
    case ENOTEMPTY:
        return fail_call(call, "%.*s exists already; nothing is replaced.", SHOW(to->place.given));
    case EXDEV:
        return fail_call(call,
                         "%.*s and %.*s are on different file systems; write the file there "
                         "instead.",
                         SHOW(from->place.given), SHOW(to->place.given));
    case EINVAL:
        return fail_call(call, "%.*s cannot be moved to %.*s, which is inside it.",
                         SHOW(from->place.given), SHOW(to->place.given));
    default:
        return place_fail(&from->place, call, error, "move");
    }
}

static int32_t finish(const struct end *from, const struct end *to, struct mcp_call *call)
{
    struct text words, json;
    text_init(&words, 128 * 1024);
    text_init(&json, 128 * 1024);
    text_addf(&words, "Moved %.*s to %.*s.", SHOW(from->place.given), SHOW(to->place.given));
    text_adds(&json, "{\"source\":");
    text_add_string(&json, from->place.given.data, from->place.given.size);
    text_adds(&json, ",\"destination\":");
    text_add_string(&json, to->place.given.data, to->place.given.size);
    text_adds(&json, "}");
    return finish_call(call, &words, &json);
}

int32_t move_file(const struct filesystem *fs, struct mcp_call *call)
{
    struct end from = {.directory = -1}, to = {.directory = -1};
    if (open_end(fs, call, "/source", &from) && open_end(fs, call, "/destination", &to)) {
        if (renameat2(from.directory, from.name, to.directory, to.name, RENAME_NOREPLACE) == 0)
            finish(&from, &to, call);
        else
            fail_move(&from, &to, call, errno);
    }
    if (from.directory >= 0)
        close(from.directory);
    if (to.directory >= 0)
        close(to.directory);
    return MCP_OK;
}

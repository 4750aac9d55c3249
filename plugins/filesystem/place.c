/* SPDX-License-Identifier: MIT */
/* From a client's path to a place beneath an allowed directory. */
#include "filesystem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "reading.h"
#include "text.h"

bool place_find(const struct filesystem *fs, struct mcp_call *call, struct place *place)
{
    struct mcp_bytes given = {NULL, 0};
    return argument_string(call, "/path", &given) && place_find_at(fs, call, given, place);
}

bool place_find_at(const struct filesystem *fs, struct mcp_call *call, struct mcp_bytes given,
                   struct place *place)
{
    place->fs = fs;
    place->given = given;
    return roots_find(&fs->roots, call, "path", given, &place->root, place->beneath);
}

int place_open_at(const struct filesystem *fs, int directory, const char *path, int flags,
                  uint64_t resolve)
{
    return roots_open_beneath(&fs->roots, directory, path, flags, resolve);
}

int place_open(const struct place *place, int flags)
{
    return place_open_at(place->fs, place->root->fd, place->beneath, flags, 0);
}

int place_open_parent(struct place *place, struct mcp_call *call, const char *doing,
                      const char **name)
{
    char *path = place->beneath;
    char *slash = strrchr(path, '/');
    *name = slash != NULL ? slash + 1 : path;
    if ((*name)[0] == '\0' || strcmp(*name, ".") == 0 || strcmp(*name, "..") == 0) {
        fail_call(call, "%.*s names a directory, not a file.", SHOW(place->given));
        return -1;
    }
    if (slash != NULL)
        *slash = '\0';
    int directory = place_open_at(place->fs, place->root->fd, slash != NULL ? path : ".",
                                  O_PATH | O_DIRECTORY, 0);
    if (directory >= 0)
        return directory;
    if (errno == ENOENT && !root_is_gone(place->root))
        fail_call(call,
                  "There is no directory for %.*s; create_directory makes one, with all "
                  "directories on the way.",
                  SHOW(place->given));
    else
        place_fail(place, call, errno, doing);
    return -1;
}

void place_add_path(struct text *t, const struct root *root, const char *beneath)
{
    bool whole = strcmp(beneath, ".") == 0 || beneath[0] == '\0';
    text_adds(t, root->path);
    if (!whole && strcmp(root->path, "/") != 0)
        text_adds(t, "/");
    if (!whole)
        text_add_utf8(t, beneath, strlen(beneath));
}

void add_uri(struct text *t, const struct root *root, const char *beneath)
{
    text_adds(t, "file://");
    if (strcmp(root->path, "/") != 0)
        text_add_percent(t, root->path, strlen(root->path), "/");
    if (strcmp(beneath, ".") != 0) {
        text_adds(t, "/");
        text_add_percent(t, beneath, strlen(beneath), "/");
    }
}

int32_t place_fail(const struct place *place, struct mcp_call *call, int error, const char *doing)
{
    return roots_fail(&place->fs->roots, place->root, call, place->given, error, doing);
}

bool was_cancelled(struct mcp_call *call)
{
    if (!call->ops->is_cancelled(call))
        return false;
    fail_call(call, "The call was cancelled.");
    return true;
}

/* SPDX-License-Identifier: MIT */
/* create_directory. */
#include "filesystem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "reading.h"

/* Makes one directory if it is missing; the descriptor of it, or -1 with errno. `prefix`
 * is the path from the root up to `name`, which is its last component. */
static int step_into(const struct place *place, int parent, const char *prefix, const char *name,
                     bool *created)
{
    *created = false;
    bool dots = strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
    if (!dots && mkdirat(parent, name, 0777) == 0)
        *created = true;
    else if (!dots && errno != EEXIST && errno != EROFS && errno != EACCES && errno != EPERM)
        return -1;
    int error = dots ? 0 : errno;
    int fd = place_open_at(place->fs, place->root->fd, prefix, O_PATH | O_DIRECTORY, 0);
    /* Not there, because it could not be made: that is the reason to tell. */
    if (fd < 0 && errno == ENOENT && !dots && !*created && error != EEXIST)
        errno = error;
    return fd;
}

/* All directories on the way, each found from the root by the kernel once more. Returns
 * false with errno. */
static bool make_path(const struct place *place, bool *created)
{
    char prefix[PATH_MAX];
    size_t length = strlen(place->beneath);
    memcpy(prefix, place->beneath, length + 1);
    int parent = place_open_at(place->fs, place->root->fd, ".", O_PATH | O_DIRECTORY, 0);
    size_t start = 0;
    while (parent >= 0 && start < length) {
        size_t end = start + strcspn(prefix + start, "/");
        char behind = prefix[end];
        prefix[end] = '\0';
        if (end > start) {
            int child = step_into(place, parent, prefix, prefix + start, created);
            int error = errno;
            close(parent);
            errno = error;
            parent = child;
        }
        prefix[end] = behind;
        start = end + 1;
    }
    if (parent < 0)
        return false;
    close(parent);
    return true;
}

int32_t create_directory(const struct filesystem *fs, struct mcp_call *call)
{
    struct place place;
    if (!place_find(fs, call, &place))
        return MCP_OK;
    bool created = false;
    if (!make_path(&place, &created))
        return errno == EEXIST || errno == ENOTDIR
                   ? fail_call(call,
                               "%.*s, or something on the way to it, exists and is not a "
                               "directory.",
                               SHOW(place.given))
                   : place_fail(&place, call, errno, "create");
    struct text words, json;
    text_init(&words, 64 * 1024);
    text_init(&json, 64 * 1024);
    text_addf(&words, created ? "Created %.*s." : "%.*s was there already.", SHOW(place.given));
    text_adds(&json, "{\"path\":");
    text_add_string(&json, place.given.data, place.given.size);
    text_addf(&json, ",\"created\":%s}", created ? "true" : "false");
    call->ops->finish_structured(call, text_bytes(&words), text_bytes(&json));
    text_free(&words);
    text_free(&json);
    return MCP_OK;
}

/* SPDX-License-Identifier: MIT */
/* From a client's path to a place beneath an allowed directory. */
#include "filesystem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "reading.h"
#include "text.h"

/* How many characters of `path` are this root's; 0 when it is not beneath it. This only
 * chooses a root: whether the rest stays beneath it is decided by the kernel. */
static size_t root_prefix(const struct root *root, struct mcp_bytes path)
{
    size_t length = strlen(root->path);
    if (path.size < length || memcmp(path.data, root->path, length) != 0)
        return 0;
    if (path.size > length && path.data[length] != '/' && root->path[length - 1] != '/')
        return 0;
    return length;
}

/* Absolute: the root with the longest name that it begins with. Relative: the first. */
static bool choose_root(const struct filesystem *fs, struct mcp_bytes *path,
                        const struct root **root)
{
    *root = &fs->roots[0];
    if (path->data[0] != '/')
        return true;
    size_t longest = 0;
    for (size_t i = 0; i < fs->root_count; i++) {
        size_t length = root_prefix(&fs->roots[i], *path);
        if (length > longest) {
            longest = length;
            *root = &fs->roots[i];
        }
    }
    path->data += longest;
    path->size -= longest;
    return longest > 0;
}

static void fail_outside(const struct filesystem *fs, struct mcp_call *call, struct mcp_bytes given)
{
    struct text roots;
    text_init(&roots, 64 * 1024);
    for (size_t i = 0; i < fs->root_count; i++)
        text_addf(&roots, "%s%s", i > 0 ? ", " : "", fs->roots[i].path);
    fail_call(call, "%.*s is not in an allowed directory. Allowed: %s.", SHOW(given),
              roots.data != NULL ? roots.data : "");
    text_free(&roots);
}

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
    const char *wrong = NULL;
    if (given.size == 0)
        wrong = "The path is empty; \".\" is the first allowed directory itself.";
    else if (memchr(given.data, '\0', given.size) != NULL)
        wrong = "The path has a NUL character in it; no file has such a name.";
    else if (given.size >= sizeof(place->beneath))
        wrong = "The path is longer than 4095 bytes; no file can be reached by it.";
    else if (given.size >= 7 && strncasecmp(given.data, "file://", 7) == 0)
        wrong = "The path is a URI; give a plain path, without file:// and without %-escapes.";
    if (wrong != NULL) {
        fail_call(call, "%s", wrong);
        return false;
    }
    struct mcp_bytes rest = given;
    if (!choose_root(fs, &rest, &place->root)) {
        fail_outside(fs, call, given);
        return false;
    }
    while (rest.size > 0 && rest.data[0] == '/') {
        rest.data++;
        rest.size--;
    }
    if (rest.size == 0)
        rest = MCP_STR(".");
    memcpy(place->beneath, rest.data, rest.size);
    place->beneath[rest.size] = '\0';
    return true;
}

/* ENOENT for everything is also what a directory that was deleted after start gives. */
static bool root_is_gone(const struct root *root)
{
    struct stat st;
    return fstat(root->fd, &st) != 0 || st.st_nlink == 0;
}

int place_open_at(const struct filesystem *fs, int directory, const char *path, int flags,
                  uint64_t resolve)
{
    return open_beneath(directory, path, flags,
                        resolve | (fs->allow_mounts ? 0 : (uint64_t)RESOLVE_NO_XDEV));
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

static void add_escaped(struct text *t, const char *path)
{
    for (; *path != '\0'; path++) {
        unsigned char c = (unsigned char)*path;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     strchr("-._~/", c) != NULL;
        if (plain)
            text_add(t, path, 1);
        else
            text_addf(t, "%%%02X", c);
    }
}

void add_uri(struct text *t, const struct root *root, const char *beneath)
{
    text_adds(t, "file://");
    add_escaped(t, strcmp(root->path, "/") == 0 ? "" : root->path);
    if (strcmp(beneath, ".") != 0) {
        text_adds(t, "/");
        add_escaped(t, beneath);
    }
}

int32_t place_fail(const struct place *place, struct mcp_call *call, int error, const char *doing)
{
    struct mcp_bytes given = place->given;
    switch (error) {
    case ENOENT:
        if (root_is_gone(place->root))
            return fail_call(call,
                             "The allowed directory %s has been deleted since mcpd opened it; "
                             "the operator must make it again and reload mcpd.",
                             place->root->path);
        return fail_call(call, "There is no %.*s.", SHOW(given));
    case EXDEV:
        return fail_call(call,
                         "%.*s leads out of the allowed directory %s. \"..\" must stay inside "
                         "it, and symbolic links must be relative and lead to what is inside%s.",
                         SHOW(given), place->root->path,
                         place->fs->allow_mounts
                             ? ""
                             : "; what is mounted there counts as outside, unless the operator "
                               "sets allow_mounts");
    case ELOOP:
        return fail_call(call, "%.*s goes through symbolic links that cannot be followed.",
                         SHOW(given));
    case ENOTDIR:
        return fail_call(call, "%.*s, or something on the way to it, is not a directory.",
                         SHOW(given));
    case EACCES:
    case EPERM:
        return fail_call(call, "mcpd has no permission to %s %.*s.", doing, SHOW(given));
    case EAGAIN:
        return fail_call(call, "%.*s is in use or being moved; try again.", SHOW(given));
    case ENAMETOOLONG:
        return fail_call(call, "A name in %.*s is longer than the file system allows.",
                         SHOW(given));
    default:
        return fail_call(call, "Cannot %s %.*s: %s.", doing, SHOW(given), strerror(error));
    }
}

bool was_cancelled(struct mcp_call *call)
{
    if (!call->ops->is_cancelled(call))
        return false;
    fail_call(call, "The call was cancelled.");
    return true;
}

/* SPDX-License-Identifier: MIT */
/* The directories that the operator allowed. */
#include "roots.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "beneath.h"
#include "reading.h"

/* ---- configuration ---- */

/* Takes one of the array. 1: done; 0: there are no more; -1: the host has been told. */
static int add_root(struct roots *roots, size_t index)
{
    char pointer[64];
    int32_t kind;
    struct mcp_bytes path;
    snprintf(pointer, sizeof(pointer), "%s/%zu", roots->array, index);
    if (roots->host->config(roots->host, pointer, &kind, &path) != MCP_OK)
        return 0;
    if (index == ROOTS_MAX) {
        config_fail(roots->host, roots->array, "more than %d directories", ROOTS_MAX);
        return -1;
    }
    if (kind != MCP_JSON_STRING || path.size == 0 || path.data[0] != '/' || path.size >= PATH_MAX ||
        memchr(path.data, '\0', path.size) != NULL) {
        config_fail(roots->host, pointer, "expected the absolute path of a directory");
        return -1;
    }
    while (path.size > 1 && path.data[path.size - 1] == '/')
        path.size--;
    struct root root = {.path = strndup(path.data, path.size), .fd = -1};
    if (root.path == NULL)
        return -1;
    roots->items[roots->count++] = root;
    return 1;
}

bool roots_configure(struct roots *roots, const struct mcp_host *host, const char *array,
                     const char *what_for)
{
    roots->host = host;
    roots->array = array;
    roots->count = 0;
    int added = 1;
    for (size_t i = 0; added > 0; i++)
        added = add_root(roots, i);
    if (added < 0)
        return false;
    return roots->count > 0 ||
           config_fail(host, "", "\"%s\" is missing or empty: %s", array + 1, what_for);
}

void roots_free(struct roots *roots)
{
    roots_close(roots);
    for (size_t i = 0; i < roots->count; i++)
        free(roots->items[i].path);
    roots->count = 0;
}

/* ---- opening ---- */

static bool root_open(const struct roots *roots, size_t index, struct root *root)
{
    char pointer[64];
    const struct mcp_host *host = roots->host;
    snprintf(pointer, sizeof(pointer), "%s/%zu", roots->array, index);
    root->fd = open(root->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root->fd < 0)
        return config_fail(host, pointer,
                           "cannot open the directory %s: %s; create it, or take it out of %s",
                           root->path, strerror(errno), roots->array + 1);
    int probe = open_beneath(root->fd, ".", O_PATH | O_DIRECTORY, 0);
    if (probe < 0)
        return config_fail(host, "",
                           "this kernel does not offer openat2 (%s), without which nothing can "
                           "be kept inside %s: Linux 5.6 or later is needed, and a container's "
                           "seccomp profile must allow it",
                           strerror(errno), roots->array + 1);
    close(probe);
    root->real = realpath(root->path, NULL);
    return root->real != NULL || config_fail(host, pointer, "cannot find the real path of %s: %s",
                                             root->path, strerror(errno));
}

bool roots_open(struct roots *roots)
{
    for (size_t i = 0; i < roots->count; i++)
        if (!root_open(roots, i, &roots->items[i])) {
            roots_close(roots);
            return false;
        }
    return true;
}

void roots_close(struct roots *roots)
{
    for (size_t i = 0; i < roots->count; i++) {
        struct root *root = &roots->items[i];
        if (root->fd >= 0)
            close(root->fd);
        root->fd = -1;
        free(root->real);
        root->real = NULL;
    }
}

/* ---- health ---- */

static bool root_works(const struct root *root, struct mcp_call *call)
{
    struct stat opened, named;
    int probe = openat(root->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (probe < 0) {
        fail_call(call, "%s cannot be read: %s.", root->path, strerror(errno));
        return false;
    }
    close(probe);
    if (stat(root->path, &named) != 0) {
        fail_call(call, "%s is not there any more: %s. Make it again, and restart mcpd.",
                  root->path, strerror(errno));
        return false;
    }
    if (fstat(root->fd, &opened) == 0 && opened.st_dev == named.st_dev &&
        opened.st_ino == named.st_ino)
        return true;
    fail_call(call,
              "%s is another directory than it was, and the old one is still served: restart "
              "mcpd.",
              root->path);
    return false;
}

bool roots_work(const struct roots *roots, struct mcp_call *call)
{
    for (size_t i = 0; i < roots->count; i++)
        if (!root_works(&roots->items[i], call))
            return false;
    return true;
}

/* ---- paths of clients ---- */

size_t root_prefix(const char *directory, const char *path, size_t size)
{
    size_t length = strlen(directory);
    if (size < length || memcmp(path, directory, length) != 0)
        return 0;
    if (size > length && path[length] != '/' && directory[length - 1] != '/')
        return 0;
    return length;
}

/* Cuts the root's part off the path. NULL: it is in none. */
static const struct root *choose_root(const struct roots *roots, struct mcp_bytes *path)
{
    const struct root *root = NULL;
    size_t longest = 0;
    if (path->data[0] != '/')
        return &roots->items[0];
    for (size_t i = 0; i < roots->count; i++) {
        size_t length = root_prefix(roots->items[i].path, path->data, path->size);
        if (length > longest) {
            longest = length;
            root = &roots->items[i];
        }
    }
    path->data += longest;
    path->size -= longest;
    return root;
}

/* What no path is: the end of a sentence that begins with its name. NULL: it may be one. */
static const char *path_fault(struct mcp_bytes path)
{
    if (path.size == 0)
        return "is empty; \".\" is the first allowed directory itself";
    if (memchr(path.data, '\0', path.size) != NULL)
        return "has a NUL character in it; nothing has such a name";
    if (path.size >= PATH_MAX)
        return "is longer than 4095 bytes; nothing can be reached by it";
    if (path.size >= 7 && strncasecmp(path.data, "file://", 7) == 0)
        return "is a URI; give a plain path, without file:// and without %-escapes";
    return NULL;
}

void roots_add_list(struct text *t, const struct roots *roots, const char *between)
{
    /* clang's analyser takes the first root's address, which may not be NULL, for one that may. */
    for (size_t i = 0; i < roots->count; i++) // NOLINT(clang-analyzer-core.NullDereference)
        text_addf(t, "%s%s", i > 0 ? between : "", roots->items[i].path);
}

static void fail_outside(const struct roots *roots, struct mcp_call *call, struct mcp_bytes given)
{
    struct text list;
    text_init(&list, 300 * 1024);
    roots_add_list(&list, roots, ", ");
    fail_call(call, "%.*s is not in an allowed directory. Allowed: %s.", SHOW(given),
              list.data != NULL ? list.data : "");
    text_free(&list);
}

bool roots_find(const struct roots *roots, struct mcp_call *call, const char *argument,
                struct mcp_bytes given, const struct root **root, char beneath[PATH_MAX])
{
    const char *fault = path_fault(given);
    if (fault != NULL) {
        fail_call(call, "The %s %s.", argument, fault);
        return false;
    }
    struct mcp_bytes rest = given;
    const struct root *chosen = choose_root(roots, &rest);
    if (chosen == NULL) {
        fail_outside(roots, call, given);
        return false;
    }
    *root = chosen;
    while (rest.size > 0 && rest.data[0] == '/') {
        rest.data++;
        rest.size--;
    }
    if (rest.size == 0)
        rest = MCP_STR(".");
    memcpy(beneath, rest.data, rest.size);
    beneath[rest.size] = '\0';
    return true;
}

int roots_open_beneath(const struct roots *roots, int directory, const char *path, int flags,
                       uint64_t resolve)
{
    return open_beneath(directory, path, flags,
                        resolve | (roots->stay_on_mount ? (uint64_t)RESOLVE_NO_XDEV : 0));
}

bool root_is_gone(const struct root *root)
{
    struct stat st;
    return fstat(root->fd, &st) != 0 || st.st_nlink == 0;
}

int32_t roots_fail(const struct roots *roots, const struct root *root, struct mcp_call *call,
                   struct mcp_bytes given, int error, const char *doing)
{
    switch (error) {
    case ENOENT:
        if (root_is_gone(root))
            return fail_call(call,
                             "The allowed directory %s has been deleted since mcpd opened it; "
                             "the operator must make it again and reload mcpd.",
                             root->path);
        return fail_call(call, "There is no %.*s.", SHOW(given));
    case EXDEV:
        return fail_call(call,
                         "%.*s leads out of the allowed directory %s. \"..\" must stay inside "
                         "it, and symbolic links must be relative and lead to what is inside%s.",
                         SHOW(given), root->path,
                         roots->stay_on_mount
                             ? "; what is mounted there counts as outside, unless the operator "
                               "sets allow_mounts"
                             : "");
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

/* SPDX-License-Identifier: MIT */
/* Walking through a directory and what is below it: in order of names, without following
 * symbolic links or entering mounts, and bounded in depth, entries and time. */
#include "filesystem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "reading.h"

#define DEPTH_MAX 64 /* each level holds a descriptor open */
#define SEEN_MAX 1000000
#define NAMES_MAX 200000 /* of one directory */
#define SECONDS_MAX 20

int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t answer_until_ns(const struct mcp_call *call)
{
    return call->deadline_ns != 0 ? call->deadline_ns - 500000000 : INT64_MAX;
}

bool walk_goes_on(struct walk *walk)
{
    if (walk->call->ops->is_cancelled(walk->call))
        walk->cancelled = true;
    else if (now_ns() > walk->until_ns)
        walk->truncated = "it took longer than a call may";
    return !walk->cancelled && now_ns() <= walk->until_ns;
}

static bool walk_level(struct walk *walk, int fd, int depth);

/* What cannot be opened below where we began is not entered. False: the walk is over. */
static bool enter(struct walk *walk, int fd, const char *name, int depth)
{
    if (depth >= (walk->depth_max != 0 ? walk->depth_max : DEPTH_MAX)) {
        walk->truncated = "directories are nested too deeply";
        return true;
    }
    int child =
        place_open_at(walk->fs, fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, RESOLVE_NO_SYMLINKS);
    return child < 0 || walk_level(walk, child, depth + 1);
}

/* One entry. False: the walk is over. */
static bool look_at(struct walk *walk, int fd, const char *name, int depth)
{
    size_t length = strlen(walk->path);
    struct stat st;
    if (length + strlen(name) + 2 > sizeof(walk->path)) {
        walk->truncated = "directories are nested too deeply";
        return true;
    }
    snprintf(walk->path + length, sizeof(walk->path) - length, "%s%s", length > 0 ? "/" : "", name);
    bool good = true;
    if ((walk->exclude == NULL || !globs_match(walk->exclude, walk->path)) &&
        fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        good = walk->visit(walk, fd, walk->path, name, &st);
        if (good && S_ISDIR(st.st_mode)) {
            good = enter(walk, fd, name, depth);
            if (walk->leave != NULL)
                walk->leave(walk);
        }
    }
    walk->path[length] = '\0';
    size_t most = walk->seen_max > 0 ? walk->seen_max : SEEN_MAX;
    if (++walk->seen == most)
        walk->truncated = "there are more entries than are looked at in one call";
    return good && walk->seen < most && (walk->seen % 256 != 0 || walk_goes_on(walk));
}

static bool walk_level(struct walk *walk, int fd, int depth)
{
    struct names names = {.prefix = NULL};
    DIR *directory = names_open(fd, NAMES_MAX, walk->call, &names);
    if (directory == NULL)
        return depth > 0;
    bool good = !names.cancelled;
    walk->cancelled = walk->cancelled || names.cancelled;
    for (size_t i = 0; good && i < names.count; i++)
        good = look_at(walk, dirfd(directory), names.items[i], depth);
    if (names.cut && walk->truncated == NULL)
        walk->truncated = "a directory has more entries than are looked at";
    names_close(directory, &names);
    errno = 0;
    return good;
}

bool walk_run(struct walk *walk, const struct place *place)
{
    int64_t answer_ns = answer_until_ns(walk->call);
    walk->until_ns = now_ns() + (int64_t)SECONDS_MAX * 1000000000;
    if (answer_ns < walk->until_ns)
        walk->until_ns = answer_ns;
    walk->path[0] = '\0';
    int fd = place_open(place, O_RDONLY | O_DIRECTORY);
    errno = fd < 0 ? errno : 0;
    if (fd >= 0)
        walk_level(walk, fd, 0);
    if (errno == ENOTDIR)
        fail_call(walk->call, "%.*s is not a directory.", SHOW(place->given));
    else if (errno != 0)
        place_fail(place, walk->call, errno, "search");
    else if (walk->cancelled)
        fail_call(walk->call, "The call was cancelled.");
    else
        return true;
    return false;
}

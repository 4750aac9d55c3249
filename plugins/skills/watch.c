/* SPDX-License-Identifier: MIT */
/* The thread that notices changes: inotify tells that something has happened in one of
 * the directories, and when it is quiet again all is read anew. */
#include "skills.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#define CHANGES                                                                                    \
    (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE | IN_MODIFY |            \
     IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF)
/* Quiet for so long: it is done. But never longer than that: somebody may write for ever. */
#define QUIET_MS 150
#define PATIENCE_MS 2000
/* How often the operator's directories are looked at themselves: one may be another than
 * before without an event, by a symbolic link further up. */
#define LOOK_MS 5000
/* How often all is read when nothing tells of changes. */
#define POLL_MS 30000

struct watcher {
    pthread_t thread;
    int inotify; /* -1: this machine gives none */
    int end; /* eventfd */
    int *watches; /* descriptors of the last reading */
    size_t count, capacity;
    bool failed; /* not all could be watched; it has been logged */
    struct stat seen[ROOTS_MAX]; /* the operator's directories at the last reading */
};

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- reading all ---- */

static void watch(void *context, int directory)
{
    struct watcher *watcher = ((struct skills *)context)->watcher;
    char path[40];

    if (watcher->inotify < 0)
        return;
    if (watcher->count == watcher->capacity) {
        size_t capacity = watcher->capacity == 0 ? 64 : watcher->capacity * 2;
        int *watches = realloc(watcher->watches, capacity * sizeof(int));
        if (watches == NULL)
            return;
        watcher->watches = watches;
        watcher->capacity = capacity;
    }
    /* By the descriptor: what is watched is what is read, whatever it is called now. */
    snprintf(path, sizeof(path), "/proc/self/fd/%d", directory);
    int descriptor = inotify_add_watch(watcher->inotify, path, CHANGES | IN_ONLYDIR);
    if (descriptor >= 0)
        watcher->watches[watcher->count++] = descriptor;
    else if (!watcher->failed) {
        watcher->failed = true;
        skills_log(context, MCP_LOG_WARNING,
                   "not all directories of skills can be watched (%s; see fs.inotify in sysctl): "
                   "they are read again every %d seconds",
                   strerror(errno), POLL_MS / 1000);
    }
}

static bool has_watch(const struct watcher *watcher, int descriptor)
{
    for (size_t i = 0; i < watcher->count; i++)
        if (watcher->watches[i] == descriptor)
            return true;
    return false;
}

/* Those of directories that are no longer of concern. */
static void drop_watches(struct watcher *watcher, const int *before, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!has_watch(watcher, before[i]))
            inotify_rm_watch(watcher->inotify, before[i]);
}

static void look(const struct skills *skills, struct stat *seen)
{
    for (size_t i = 0; i < skills->roots.count; i++)
        if (stat(skills->roots.items[i].path, &seen[i]) != 0)
            memset(&seen[i], 0, sizeof(seen[i]));
}

static bool read_all(struct skills *skills)
{
    struct watcher *watcher = skills->watcher;
    int *before = watcher->watches;
    size_t count = watcher->count;

    watcher->watches = NULL;
    watcher->count = watcher->capacity = 0;
    look(skills, watcher->seen);
    struct catalog *catalog = catalog_new(&(struct catalog_source){
        .directories = &skills->roots,
        .before = skills->catalog, /* only this thread changes it */
        .watch = watch,
        .context = skills,
    });
    drop_watches(watcher, before, count);
    free(before);
    if (catalog != NULL)
        skills_set_catalog(skills, catalog);
    return catalog != NULL;
}

/* ---- the thread ---- */

static bool are_others(const struct skills *skills)
{
    struct stat now[ROOTS_MAX];

    look(skills, now);
    for (size_t i = 0; i < skills->roots.count; i++)
        if (now[i].st_dev != skills->watcher->seen[i].st_dev ||
            now[i].st_ino != skills->watcher->seen[i].st_ino)
            return true;
    return false;
}

/* Reads what inotify has to tell; only that there is something counts. */
static void drain(int inotify)
{
    char events[4096];

    while (read(inotify, events, sizeof(events)) > 0)
        continue;
}

/* Waits for a change and for the quiet after it. False: it is time to end. */
static bool wait_for_change(struct skills *skills)
{
    struct watcher *watcher = skills->watcher;
    struct pollfd fds[2] = {{watcher->end, POLLIN, 0}, {watcher->inotify, POLLIN, 0}};
    int64_t began = now_ms(), first = 0;

    for (;;) {
        int timeout = first != 0 ? QUIET_MS : LOOK_MS;
        int ready = poll(fds, 2, timeout);
        if (fds[0].revents != 0)
            return false;
        int64_t now = now_ms();
        if (ready > 0) {
            drain(watcher->inotify);
            first = first != 0 ? first : now;
            if (now - first < PATIENCE_MS)
                continue;
        }
        if (first != 0 || are_others(skills) || (watcher->failed && now - began >= POLL_MS))
            return true;
    }
}

static void *run(void *argument)
{
    struct skills *skills = argument;

    while (wait_for_change(skills))
        read_all(skills);
    return NULL;
}

bool watch_start(struct skills *skills)
{
    struct watcher *watcher = calloc(1, sizeof(*watcher));

    if (watcher == NULL)
        return false;
    skills->watcher = watcher;
    watcher->end = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    watcher->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (watcher->inotify < 0) {
        watcher->failed = true;
        skills_log(skills, MCP_LOG_WARNING,
                   "the directories of skills cannot be watched (%s): they are read again every "
                   "%d seconds",
                   strerror(errno), POLL_MS / 1000);
    }
    if (watcher->end >= 0 && read_all(skills) &&
        pthread_create(&watcher->thread, NULL, run, skills) == 0)
        return true;
    if (watcher->end >= 0)
        close(watcher->end);
    if (watcher->inotify >= 0)
        close(watcher->inotify);
    free(watcher->watches);
    free(watcher);
    skills->watcher = NULL;
    return false;
}

void watch_stop(struct skills *skills)
{
    struct watcher *watcher = skills->watcher;

    if (watcher == NULL)
        return;
    eventfd_write(watcher->end, 1);
    pthread_join(watcher->thread, NULL);
    close(watcher->end);
    if (watcher->inotify >= 0)
        close(watcher->inotify);
    free(watcher->watches);
    free(watcher);
    skills->watcher = NULL;
}

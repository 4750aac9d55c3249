/* SPDX-License-Identifier: MIT */
/*
 * The thread that notices changes of files, for those who subscribe to them: inotify on
 * the allowed directories and those below, from the top, as many as max_watches. What
 * changes often is told ten times in a second at most, changes of the list once.
 */
#include "filesystem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <mcp/resources.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include "encoding.h"

#define CHANGES                                                                                    \
    (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE | IN_MODIFY |            \
     IN_ATTRIB | IN_ONLYDIR | IN_EXCL_UNLINK)
#define PAUSE_MS 100
#define LIST_PAUSE_MS 1000
#define PENDING_MAX 1024 /* URIs that wait to be told */

struct watched {
    int descriptor;
    const struct root *root;
    char *beneath; /* "." or "a/b" */
};

struct watcher {
    struct filesystem *fs;
    const struct mcp_resources_host *host;
    pthread_t thread;
    int inotify, end;
    struct watched *items; /* in the order in which they came, which is from the top */
    size_t count, max;
    char **pending;
    size_t pending_count;
    bool list_changed, full;
    int64_t list_told_ms;
};

static void watcher_log(const struct watcher *w, const char *words)
{
    const struct mcp_host *host = w->fs->host;
    host->log(host, MCP_LOG_WARNING, (struct mcp_bytes){words, strlen(words)});
}

/* ---- what is watched ---- */

static struct watched *find(const struct watcher *w, int descriptor)
{
    for (size_t i = 0; i < w->count; i++)
        if (w->items[i].descriptor == descriptor)
            return &w->items[i];
    return NULL;
}

/* By the descriptor: what is watched is what was resolved beneath the root. */
static void watch(struct watcher *w, const struct root *root, const char *beneath)
{
    char path[40];
    if (w->count == w->max) {
        if (!w->full)
            watcher_log(w, "not all directories are watched for those who subscribe to their "
                           "files; raise max_watches");
        w->full = true;
        return;
    }
    int fd = place_open_at(w->fs, root->fd, beneath, O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS);
    if (fd < 0)
        return;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int descriptor = inotify_add_watch(w->inotify, path, CHANGES);
    close(fd);
    char *copy = descriptor >= 0 && find(w, descriptor) == NULL ? strdup(beneath) : NULL;
    if (copy != NULL)
        w->items[w->count++] = (struct watched){descriptor, root, copy};
    else if (descriptor < 0 && errno == ENOSPC)
        w->max = w->count; /* the kernel's own limit */
}

static void forget(struct watcher *w, struct watched *item)
{
    free(item->beneath);
    w->count--;
    memmove(item, item + 1, (size_t)(w->items + w->count - item) * sizeof(*item));
}

static void join(char *out, size_t size, const char *directory, const char *name)
{
    if (strcmp(directory, ".") == 0)
        snprintf(out, size, "%s", name);
    else
        snprintf(out, size, "%s/%s", directory, name);
}

static bool must_end(const struct watcher *w)
{
    struct pollfd fd = {w->end, POLLIN, 0};
    return poll(&fd, 1, 0) > 0;
}

/* Directories in the directory of one item. */
static void watch_below(struct watcher *w, size_t index)
{
    const struct root *root = w->items[index].root;
    int fd = place_open_at(w->fs, root->fd, w->items[index].beneath, O_RDONLY | O_DIRECTORY,
                           RESOLVE_NO_SYMLINKS);
    DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
    if (directory == NULL && fd >= 0)
        close(fd);
    while (directory != NULL && !w->full && w->count <= w->max) {
        // cppcheck-suppress readdirCalled ; one directory stream, one thread
        const struct dirent *entry = readdir(directory);
        if (entry == NULL)
            break;
        struct stat st;
        char beneath[PATH_MAX + 256];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(st.st_mode))
            continue;
        join(beneath, sizeof(beneath), w->items[index].beneath, entry->d_name);
        watch(w, root, beneath);
    }
    if (directory != NULL)
        closedir(directory);
}

/* From the item on, what is below it, and below that. */
static void watch_from(struct watcher *w, size_t index)
{
    for (; index < w->count && !w->full && !must_end(w); index++)
        watch_below(w, index);
}

/* ---- what has happened ---- */

static void add_pending(struct watcher *w, const struct root *root, const char *beneath)
{
    struct text uri;
    text_init(&uri, 64 * 1024);
    add_uri(&uri, root, beneath);
    bool known = uri.failed || w->pending_count == PENDING_MAX;
    for (size_t i = 0; i < w->pending_count && !known; i++)
        known = strcmp(w->pending[i], uri.data) == 0;
    if (known)
        text_free(&uri);
    else
        w->pending[w->pending_count++] = uri.data;
}

/* A directory that has another name now, and those below it. */
static void unwatch(struct watcher *w, const struct root *root, const char *beneath)
{
    size_t length = strlen(beneath);
    for (size_t i = w->count; i-- > 0;) {
        struct watched *item = &w->items[i];
        if (item->root != root || strncmp(item->beneath, beneath, length) != 0 ||
            (item->beneath[length] != '\0' && item->beneath[length] != '/'))
            continue;
        inotify_rm_watch(w->inotify, item->descriptor);
        forget(w, item);
        w->full = false;
    }
}

static void take(struct watcher *w, const struct inotify_event *event)
{
    char beneath[PATH_MAX + 256];
    struct watched *item = find(w, event->wd);
    if (item == NULL)
        return;
    if ((event->mask & IN_IGNORED) != 0) {
        forget(w, item);
        w->full = false;
        return;
    }
    if (event->len == 0)
        return;
    if ((event->mask & (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO)) != 0)
        w->list_changed = true;
    join(beneath, sizeof(beneath), item->beneath, event->name);
    if ((event->mask & IN_ISDIR) == 0) {
        add_pending(w, item->root, beneath);
    } else if ((event->mask & (IN_CREATE | IN_MOVED_TO)) != 0) {
        size_t first = w->count;
        watch(w, item->root, beneath);
        watch_from(w, first);
    } else if ((event->mask & IN_MOVED_FROM) != 0) {
        unwatch(w, item->root, beneath);
    }
}

static void drain(struct watcher *w)
{
    _Alignas(struct inotify_event) char events[16 * 1024];
    ssize_t got;
    while (w->pending_count < PENDING_MAX && (got = read(w->inotify, events, sizeof(events))) > 0)
        for (ssize_t at = 0; at < got;) {
            const struct inotify_event *event = (const void *)(events + at);
            take(w, event);
            at += (ssize_t)(sizeof(*event) + event->len);
        }
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void tell(struct watcher *w)
{
    for (size_t i = 0; i < w->pending_count; i++) {
        w->host->updated(w->fs->host, (struct mcp_bytes){w->pending[i], strlen(w->pending[i])});
        free(w->pending[i]);
    }
    w->pending_count = 0;
    if (!w->list_changed || now_ms() - w->list_told_ms < LIST_PAUSE_MS)
        return;
    w->list_changed = false;
    w->list_told_ms = now_ms();
    if (w->fs->max_resources > 0)
        w->fs->host->notify(w->fs->host, MCP_CHANGED_RESOURCES);
}

static void *run(void *argument)
{
    struct watcher *w = argument;
    struct pollfd fds[2] = {{w->end, POLLIN, 0}, {w->inotify, POLLIN, 0}};
    for (size_t i = 0; i < w->fs->roots.count; i++)
        watch(w, &w->fs->roots.items[i], ".");
    watch_from(w, 0);
    while (poll(fds, 2, w->list_changed ? LIST_PAUSE_MS : -1) >= 0 || errno == EINTR) {
        if (fds[0].revents != 0)
            break;
        drain(w);
        tell(w);
        if (poll(fds, 1, PAUSE_MS) > 0)
            break;
    }
    return NULL;
}

/* ---- life ---- */

static void watcher_free(struct watcher *w)
{
    for (size_t i = 0; i < w->count; i++)
        free(w->items[i].beneath);
    for (size_t i = 0; i < w->pending_count; i++)
        free(w->pending[i]);
    if (w->inotify >= 0)
        close(w->inotify);
    if (w->end >= 0)
        close(w->end);
    free(w->items);
    free(w->pending);
    free(w);
}

void watch_start(struct filesystem *fs)
{
    const struct mcp_resources_host *host = fs->host->get_extension(fs->host, MCP_RESOURCES);
    struct watcher *w = fs->max_watches > 0 && host != NULL ? calloc(1, sizeof(*w)) : NULL;
    if (w == NULL)
        return;
    w->fs = fs;
    w->host = host;
    w->max = (size_t)fs->max_watches;
    w->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    w->end = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    w->items = calloc(w->max, sizeof(w->items[0]));
    w->pending = calloc(PENDING_MAX, sizeof(w->pending[0]));
    if (w->inotify >= 0 && w->end >= 0 && w->items != NULL && w->pending != NULL &&
        pthread_create(&w->thread, NULL, run, w) == 0) {
        fs->watcher = w;
        return;
    }
    watcher_log(w, "files cannot be watched (see fs.inotify in sysctl): those who subscribe to "
                   "them hear of no changes");
    watcher_free(w);
}

void watch_stop(struct filesystem *fs)
{
    struct watcher *w = fs->watcher;
    if (w == NULL)
        return;
    fs->watcher = NULL;
    eventfd_write(w->end, 1);
    pthread_join(w->thread, NULL);
    watcher_free(w);
}

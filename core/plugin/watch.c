/* SPDX-License-Identifier: MIT */
/* inotify. */
#include "plugin/watch.h"

#include <errno.h>
#include <stdalign.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/log.h"

/* A file that cp writes: CREATE, MODIFY..., CLOSE_WRITE. One that mv brings:
 * MOVED_TO. A hard or symbolic link: CREATE alone. chmod may make a refused file
 * acceptable: ATTRIB. */
#define EVENTS                                                                                     \
    (IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB | IN_MOVED_TO | IN_MOVED_FROM |            \
     IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK)

void watch_open(struct watch *watch)
{
    watch->descriptor = -1;
    watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (watch->fd < 0)
        log_warning("changes of the plugin directory are seen late: inotify: %s (see "
                    "fs.inotify.max_user_instances)",
                    strerror(errno));
}

void watch_close(struct watch *watch)
{
    if (watch->fd >= 0)
        close(watch->fd);
    watch->fd = watch->descriptor = -1;
}

void watch_directory(struct watch *watch, const char *path)
{
    if (watch->fd < 0)
        return;
    if (watch->descriptor >= 0)
        inotify_rm_watch(watch->fd, watch->descriptor);
    watch->descriptor = inotify_add_watch(watch->fd, path, EVENTS);
    if (watch->descriptor < 0 && errno != ENOENT)
        log_warning("changes of the plugin directory %s are seen late: inotify: %s", path,
                    strerror(errno));
}

static enum watch_event event_of(uint32_t mask)
{
    if ((mask & (IN_Q_OVERFLOW | IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT)) != 0)
        return WATCH_LOST;
    if ((mask & IN_MOVED_TO) != 0)
        return WATCH_RENAMED;
    if ((mask & (IN_MOVED_FROM | IN_DELETE)) != 0)
        return WATCH_GONE;
    return WATCH_WRITTEN;
}

void watch_read(struct watch *watch,
                void (*tell)(void *context, enum watch_event event, const char *name),
                void *context)
{
    alignas(struct inotify_event) char buffer[16 * 1024];
    ssize_t size;
    while (watch->fd >= 0 && (size = read(watch->fd, buffer, sizeof(buffer))) > 0) {
        for (const char *at = buffer; at < buffer + size;) {
            const struct inotify_event *event = (const void *)at;
            at += sizeof(*event) + event->len;
            if ((event->mask & IN_Q_OVERFLOW) == 0 && event->wd != watch->descriptor)
                continue; /* of the directory before */
            enum watch_event what = event_of(event->mask);
            if (what == WATCH_LOST && (event->mask & IN_Q_OVERFLOW) == 0)
                watch->descriptor = -1;
            if (what == WATCH_LOST)
                tell(context, what, NULL);
            else if (event->len > 0)
                tell(context, what, event->name);
        }
    }
}

/* SPDX-License-Identifier: MIT */
/* Changes in the plugin directory, as the kernel tells of them (inotify(7)). Not
 * thread-safe: it is the control thread's. */
#ifndef PLUGIN_WATCH_H
#define PLUGIN_WATCH_H

#include <stdbool.h>

struct watch {
    int fd; /* readable when something happened; -1: no inotify */
    int descriptor; /* of the directory; -1: not watched now */
};

enum watch_event {
    WATCH_WRITTEN, /* somebody writes, or has written, to a file, or changed its mode */
    WATCH_RENAMED, /* a file has come under this name, whole */
    WATCH_GONE, /* a file of this name has gone */
    WATCH_LOST /* events were lost, or the directory itself has changed: look at everything */
};

/* Without inotify everything still works, later. */
void watch_open(struct watch *watch);
void watch_close(struct watch *watch);

/* Watches this directory, instead of what was watched before. */
void watch_directory(struct watch *watch, const char *path);

/* Gives every event that has come to `tell`; name is NULL for WATCH_LOST. */
void watch_read(struct watch *watch,
                void (*tell)(void *context, enum watch_event event, const char *name),
                void *context);

#endif

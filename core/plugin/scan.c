/* SPDX-License-Identifier: MIT */
/* Listing the plugin directory and planning. */
#include "plugin/scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "plugin/bundled.h"
#include "plugin/load.h"
#include "plugin/manifest.h"

bool scan_init(struct scan *scan, const char *path)
{
    *scan = (struct scan){.fd = -1};
    scan->path = strdup(path);
    return scan->path != NULL;
}

void scan_free(struct scan *scan)
{
    while (scan->files != NULL) {
        struct plugin_file *next = scan->files->next;
        free(scan->files);
        scan->files = next;
    }
    if (scan->fd >= 0)
        close(scan->fd);
    free(scan->path);
    *scan = (struct scan){.fd = -1};
}

bool scan_open(struct scan *scan, bool *changed, struct error *err)
{
    struct stat st;
    *changed = false;
    if (scan->fd >= 0 && stat(scan->path, &st) == 0 && st.st_dev == scan->device &&
        st.st_ino == scan->inode)
        return true;
    int fd = open(scan->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        error_set(err, "the plugin directory %s cannot be opened: %s", scan->path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return false;
    }
    if (scan->fd >= 0)
        close(scan->fd);
    scan->fd = fd;
    scan->device = st.st_dev;
    scan->inode = st.st_ino;
    *changed = true;
    return true;
}

/* ---- files ---- */

/* What is meant to be a plugin. Hidden files are what others write before they
 * rename it into place. */
static bool is_plugin_name(const char *name)
{
    size_t length = strlen(name);
    return name[0] != '.' && length > 3 && strcmp(name + length - 3, ".so") == 0;
}

struct plugin_file *scan_find(const struct scan *scan, const char *id)
{
    for (struct plugin_file *file = scan->files; file != NULL; file = file->next) {
        if (strcmp(file->id, id) == 0)
            return file;
    }
    return NULL;
}

/* The file of that name, new if it was not known. NULL: out of memory, or no
 * name of a plugin. */
static struct plugin_file *get_file(struct scan *scan, const char *name)
{
    struct plugin_file **place = &scan->files;
    if (!is_plugin_name(name))
        return NULL;
    while (*place != NULL && strcmp((*place)->name, name) < 0)
        place = &(*place)->next;
    if (*place != NULL && strcmp((*place)->name, name) == 0)
        return *place;
    struct plugin_file *file = calloc(1, sizeof(*file));
    if (file == NULL) {
        log_error("%s: out of memory: it is looked at again later", name);
        return NULL;
    }
    memcpy(file->name, name, strlen(name) + 1);
    memcpy(file->id, name, strlen(name) - 3);
    file->next = *place;
    *place = file;
    return file;
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool looks_the_same(const struct plugin_file *file, const struct stat *st)
{
    return file->seen.device == st->st_dev && file->seen.inode == st->st_ino &&
           file->seen.size == st->st_size && same_time(file->seen.modified, st->st_mtim) &&
           same_time(file->seen.changed, st->st_ctim);
}

/* Any kind of file: what is not fit is told so by its name. */
static bool look_at(const struct scan *scan, const char *name, struct stat *st)
{
    return fstatat(scan->fd, name, st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void make_due(struct plugin_file *file, int64_t due_ns)
{
    if (file->due_ns == 0)
        file->due_ns = due_ns;
}

static void forget_gone(struct scan *scan)
{
    struct plugin_file **place = &scan->files;
    while (*place != NULL) {
        struct plugin_file *file = *place;
        if (file->present || file->due_ns != 0) {
            place = &file->next;
            continue;
        }
        *place = file->next;
        free(file);
    }
}

void scan_list(struct scan *scan, int64_t due_ns)
{
    forget_gone(scan);
    int fd = openat(scan->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
    struct stat st;
    const struct dirent *entry;
    if (list == NULL) {
        log_error("the plugin directory %s cannot be listed: %s: it is looked at again later",
                  scan->path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return;
    }
    while ((entry = readdir(list)) != NULL) {
        struct plugin_file *file =
            look_at(scan, entry->d_name, &st) ? get_file(scan, entry->d_name) : NULL;
        if (file != NULL && (!file->present || !looks_the_same(file, &st)))
            make_due(file, due_ns);
    }
    closedir(list);
    for (struct plugin_file *file = scan->files; file != NULL; file = file->next) {
        if (file->present && !look_at(scan, file->name, &st))
            make_due(file, due_ns);
    }
}

void scan_doubt(struct scan *scan, int64_t due_ns)
{
    for (struct plugin_file *file = scan->files; file != NULL; file = file->next)
        make_due(file, due_ns);
}

void scan_touch(struct scan *scan, const char *name, int64_t due_ns)
{
    struct plugin_file *file = get_file(scan, name);
    if (file != NULL)
        file->due_ns = due_ns;
}

void scan_look(struct scan *scan, struct plugin_file *file)
{
    struct stat st;
    file->due_ns = 0;
    file->readable = false;
    file->present = look_at(scan, file->name, &st);
    if (!file->present && errno != ENOENT && errno != ENOTDIR) {
        /* Who cannot be seen has not gone: what is served goes on. */
        file->present = true;
        error_set(&file->why, "%s cannot be looked at: %s", file->name, strerror(errno));
        return;
    }
    if (!file->present)
        return;
    if (plugin_id_legal(bytes_of(file->id)))
        file->readable = image_hash(scan->fd, file->name, file->hash, &file->why);
    else
        error_set(&file->why,
                  "%s: a plugin's file is named after its id, 1 to %d of a-z 0-9 - _, and .so: "
                  "rename it",
                  file->name, PLUGIN_ID_MAX);
    file->bundled = file->readable && bundled_has(file->name, file->hash);
    file->seen.device = st.st_dev;
    file->seen.inode = st.st_ino;
    file->seen.size = st.st_size;
    file->seen.modified = st.st_mtim;
    file->seen.changed = st.st_ctim;
}

/* ---- the plan ---- */

static bool mentioned(const struct config *config, const char *id)
{
    for (size_t i = 0; i < config->provider_count; i++) {
        if (strcmp(config->providers[i].plugin, id) == 0 ||
            strcmp(config->providers[i].id, id) == 0)
            return true;
    }
    return false;
}

struct planned *scan_plan(const struct scan *scan, const struct config *config, size_t *count)
{
    size_t most = config->provider_count + 1;
    for (const struct plugin_file *file = scan->files; file != NULL; file = file->next)
        most++;
    struct planned *plan = calloc(most, sizeof(*plan));
    *count = 0;
    if (plan == NULL)
        return NULL;
    for (size_t i = 0; i < config->provider_count; i++) {
        const struct config_provider *settings = &config->providers[i];
        if (settings->enabled)
            plan[(*count)++] = (struct planned){settings->id, settings->plugin, settings};
    }
    for (const struct plugin_file *file = scan->files; file != NULL; file = file->next) {
        if (file->present && !mentioned(config, file->id))
            plan[(*count)++] = (struct planned){file->id, file->id, NULL};
    }
    return plan;
}

/* SPDX-License-Identifier: MIT */
/*
 * The configuration that libgit2 sees: of the repository's own, the keys that say how
 * its files and branches are to be understood, and nothing that names a file, a program
 * or a pattern (core.excludesFile, core.fsmonitor, diff.*.xfuncname, filter.*, ...).
 */
#include "git.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <git2/sys/config.h>
#include <git2/sys/repository.h>

#include "reading.h"

#define SETTINGS_MAX 4096

struct settings {
    size_t count, capacity;
    git_config_entry *entries;
};

/* The one backend of the configuration, and its snapshots; all look at job->settings. */
struct backend {
    git_config_backend parent;
    const struct settings *settings;
};

struct iterator {
    git_config_iterator parent;
    const struct settings *settings;
    size_t next;
};

void settings_free(struct settings *settings)
{
    if (settings == NULL)
        return;
    for (size_t i = 0; i < settings->count; i++) {
        free((char *)(uintptr_t)settings->entries[i].name);
        free((char *)(uintptr_t)settings->entries[i].value);
    }
    free(settings->entries);
    free(settings);
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* Names come with section and key in lower case. */
static bool is_harmless(const char *name)
{
    static const char *const known[] = {
        "core.abbrev",
        "core.autocrlf",
        "core.bare",
        "core.eol",
        "core.filemode",
        "core.ignorecase",
        "core.logallrefupdates",
        "core.quotepath",
        "core.repositoryformatversion",
        "core.safecrlf",
        "core.symlinks",
        "core.trustctime",
    };
    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (strcmp(name, known[i]) == 0)
            return true;
    if (strncmp(name, "branch.", 7) == 0)
        return ends_with(name, ".remote") || ends_with(name, ".merge");
    if (strncmp(name, "remote.", 7) == 0)
        return ends_with(name, ".fetch") || ends_with(name, ".url");
    return false;
}

/* The settings own what entries point to. */
static void entry_free(git_config_entry *entry)
{
    (void)entry;
}

static int add_setting(struct settings *settings, const char *name, const char *value)
{
    if (settings->count == SETTINGS_MAX)
        return 0;
    if (settings->count == settings->capacity) {
        size_t capacity = settings->capacity == 0 ? 32 : settings->capacity * 2;
        git_config_entry *entries = realloc(settings->entries, capacity * sizeof(entries[0]));
        if (entries == NULL)
            return -1;
        settings->entries = entries;
        settings->capacity = capacity;
    }
    git_config_entry *entry = &settings->entries[settings->count];
    *entry = (git_config_entry){
        .name = strdup(name),
        .value = value != NULL ? strdup(value) : NULL,
        .level = GIT_CONFIG_LEVEL_LOCAL,
        .free = entry_free,
    };
    settings->count++;
    return entry->name != NULL && (value == NULL || entry->value != NULL) ? 0 : -1;
}

/* That a remote has an address is all that is asked. For the address itself libgit2 would
 * compare every key with the patterns of url.*.insteadOf, see config_check_format. */
static int take_setting(const git_config_entry *entry, void *settings)
{
    if (!is_harmless(entry->name))
        return 0;
    return add_setting(settings, entry->name, ends_with(entry->name, ".url") ? "" : entry->value);
}

/* ---- what libgit2 wants of a backend ---- */

static int backend_open(git_config_backend *self, git_config_level_t level,
                        const git_repository *repo)
{
    (void)self;
    (void)level;
    (void)repo;
    return 0;
}

static int backend_get(git_config_backend *self, const char *key, git_config_entry **out)
{
    const struct settings *settings = ((struct backend *)self)->settings;
    for (size_t i = settings->count; i-- > 0;) {
        if (strcmp(settings->entries[i].name, key) == 0) {
            *out = &settings->entries[i];
            return 0;
        }
    }
    return GIT_ENOTFOUND;
}

static int iterator_next(git_config_entry **out, git_config_iterator *self)
{
    struct iterator *iterator = (struct iterator *)self;
    if (iterator->next == iterator->settings->count)
        return GIT_ITEROVER;
    *out = &iterator->settings->entries[iterator->next++];
    return 0;
}

static void iterator_free(git_config_iterator *self)
{
    free(self);
}

static int backend_iterator(git_config_iterator **out, git_config_backend *self)
{
    struct iterator *iterator = calloc(1, sizeof(*iterator));
    if (iterator == NULL)
        return -1;
    iterator->parent.backend = self;
    iterator->parent.next = iterator_next;
    iterator->parent.free = iterator_free;
    iterator->settings = ((struct backend *)self)->settings;
    *out = &iterator->parent;
    return 0;
}

static int refuse(void)
{
    git_error_set_str(GIT_ERROR_CONFIG, "mcpd does not write configurations");
    return GIT_EUSER;
}

static int backend_set(git_config_backend *self, const char *key, const char *value)
{
    (void)self;
    (void)key;
    (void)value;
    return refuse();
}

static int backend_set_multivar(git_config_backend *self, const char *key, const char *pattern,
                                const char *value)
{
    (void)pattern;
    return backend_set(self, key, value);
}

static int backend_del(git_config_backend *self, const char *key)
{
    return backend_set(self, key, NULL);
}

static int backend_del_multivar(git_config_backend *self, const char *key, const char *pattern)
{
    return backend_set(self, key, pattern);
}

static int backend_lock(git_config_backend *self)
{
    (void)self;
    return refuse();
}

static int backend_unlock(git_config_backend *self, int success)
{
    (void)success;
    return backend_lock(self);
}

static void backend_free(git_config_backend *self)
{
    free(self);
}

static int backend_snapshot(git_config_backend **out, git_config_backend *self);

static git_config_backend *backend_new(const struct settings *settings)
{
    struct backend *backend = calloc(1, sizeof(*backend));
    if (backend == NULL)
        return NULL;
    backend->settings = settings;
    backend->parent = (git_config_backend){
        .version = GIT_CONFIG_BACKEND_VERSION,
        .readonly = 1,
        .open = backend_open,
        .get = backend_get,
        .set = backend_set,
        .set_multivar = backend_set_multivar,
        .del = backend_del,
        .del_multivar = backend_del_multivar,
        .iterator = backend_iterator,
        .snapshot = backend_snapshot,
        .lock = backend_lock,
        .unlock = backend_unlock,
        .free = backend_free,
    };
    return &backend->parent;
}

static int backend_snapshot(git_config_backend **out, git_config_backend *self)
{
    *out = backend_new(((struct backend *)self)->settings);
    return *out != NULL ? 0 : -1;
}

/* ---- */

/* libgit2 loses 20 KB, until 1.6, for each text that does not match a pattern; and in
 * repositories of format 1 it looks for extensions.* among all keys by a pattern. It knows
 * none of those extensions that git would write. */
bool config_check_format(struct job *job)
{
#if !defined(LIBGIT2_VERSION_NUMBER) && LIBGIT2_VER_MAJOR == 1 && LIBGIT2_VER_MINOR < 6
    char path[PATH_MAX];
    git_config *config = NULL;
    int32_t format = 0;
    if (path_join(path, job->commondir, "config") && git_config_open_ondisk(&config, path) == 0)
        git_config_get_int32(&format, config, "core.repositoryformatversion");
    git_config_free(config);
    if (format == 1)
        return job_fail(job,
                        "The repository %.*s is of format 1 (core.repositoryformatversion), which "
                        "mcpd does not read with libgit2 %s. If its configuration has no "
                        "extensions, 0 means the same: git config core.repositoryformatversion 0.",
                        SHOW(job->given), LIBGIT2_VERSION);
#else
    (void)job;
#endif
    return true;
}

static int read_settings(struct job *job)
{
    git_config *own = NULL;
    int error = git_repository_config(&own, job->repo);
    if (error == 0)
        error = git_config_foreach(own, take_setting, job->settings);
    git_config_free(own);
    /* Names that mean .git on other systems are refused, whatever the repository says. */
    if (error == 0)
        error = add_setting(job->settings, "core.protecthfs", "true");
    if (error == 0)
        error = add_setting(job->settings, "core.protectntfs", "true");
    return error;
}

int config_replace(struct job *job)
{
    git_config *config = NULL;
    job->settings = calloc(1, sizeof(*job->settings));
    if (job->settings == NULL)
        return -1;
    int error = read_settings(job);
    if (error == 0)
        error = git_config_new(&config);
    if (error == 0) {
        git_config_backend *backend = backend_new(job->settings);
        error = backend == NULL
                    ? -1
                    : git_config_add_backend(config, backend, GIT_CONFIG_LEVEL_LOCAL, job->repo, 0);
        if (error != 0)
            free(backend);
    }
    if (error == 0)
        error = git_repository_set_config(job->repo, config);
    git_config_free(config);
    return error;
}

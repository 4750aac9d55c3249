/* SPDX-License-Identifier: MIT */
/*
 * The skills plugin: directories of skills that people have - each sub-directory
 * with a SKILL.md is one - as MCP's skills extension (SEP-2640) serves them.
 *
 * What is there is read into a catalog, which does not change: calls and mcpd's
 * questions use the newest, and a thread that watches the directories makes a new one
 * when something in them has changed. Everything is opened beneath the directories
 * that the operator named (common/beneath.h).
 */
#ifndef SKILLS_H
#define SKILLS_H

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <time.h>

#include <mcp/resources.h>

#include "roots.h"
#include "text.h"

#define FILES_MAX 512 /* of one skill (SEP-2640) */
#define FILES_BYTES_MAX ((int64_t)16 << 20) /* of one skill, together */
#define DEFINITION_MAX (256 * 1024) /* what mcpd takes */
#define DIGEST_SIZE 32

/* ---- front_matter.c ---- */

/* What the front matter of a SKILL.md says. */
struct front_matter {
    struct text json; /* all of it, an object */
    char name[65];
    char *description;
};

/* False: *fault is a sentence that says why not. To be freed in any case. */
bool front_matter_read(struct front_matter *front, const struct text *file, struct text *fault);
void front_matter_free(struct front_matter *front);

/* ---- files.c ---- */

/* One file of a skill. */
struct file {
    char *path; /* from the skill's directory on */
    int64_t size;
    unsigned char digest[DIGEST_SIZE]; /* SHA-256 */
    struct stat stat; /* when it was read */
    struct timespec read; /* that time */
};

/* One skill while its directory is read. */
struct walk {
    int root; /* the operator's directory */
    const char *directory; /* the skill's, a name in it */
    const struct file *known; /* from the time before: digests of files that are as they were */
    size_t known_count;
    void (*watch)(void *context, int directory); /* is told of each directory; may be NULL */
    void *context;
    struct file *files; /* sorted by path */
    size_t count;
    int64_t total;
    struct text manifest; /* the content of SKILL.md */
    struct text fault; /* a sentence, when it returns false */
};

/* Reads all files of the skill. */
bool walk_skill(struct walk *walk);
void files_free(struct file *files, size_t count);

/* Names in an open directory, sorted, without hidden ones; takes fd. The last is NULL.
 * NULL: errno says why. More than `max`: E2BIG. */
char **directory_names(int fd, size_t max);
void names_free(char **names);

/* A regular file beneath `directory`, of at most `max` bytes. False: errno says why (EISDIR,
 * EINVAL: it is none; EFBIG). */
bool file_read(int directory, const char *path, int64_t max, struct text *out, struct stat *st);

/* ---- catalog.c ---- */

struct skill {
    size_t root; /* index in catalog.roots */
    char *directory; /* its name there */
    char *name;
    struct file *files;
    size_t count;
    char *definition, *resource, *uri_template; /* JSON, as mcpd takes them */
};

struct catalog {
    atomic_uint references;
    int *roots; /* descriptors (O_PATH); -1: it cannot be opened now */
    size_t root_count;
    struct skill *skills;
    size_t count;
    char **complaints; /* sentences about what is left out */
    size_t complaint_count;
};

struct catalog_source {
    const struct roots *directories;
    const struct catalog *before; /* NULL: none */
    void (*watch)(void *context, int directory);
    void *context;
};

/* NULL: no memory. */
struct catalog *catalog_new(const struct catalog_source *source);
struct catalog *catalog_ref(struct catalog *catalog);
void catalog_unref(struct catalog *catalog);
bool catalog_same(const struct catalog *a, const struct catalog *b);

const struct skill *catalog_find(const struct catalog *catalog, const char *name, size_t size);
const struct file *skill_file(const struct skill *skill, const char *path);

/* Appends the URI of a file of a skill. */
void add_uri(struct text *out, const char *skill, const char *path);

/* ---- skills.c ---- */

struct skills {
    const struct mcp_host *host;
    struct roots roots; /* the directories; opened anew at each reading, see catalog.c */
    pthread_mutex_t mutex; /* guards the next */
    struct catalog *catalog;
    struct watcher *watcher;
};

/* The newest, with a reference. */
struct catalog *skills_catalog(struct skills *skills);
/* Takes it; tells mcpd and the operator what is different. */
void skills_set_catalog(struct skills *skills, struct catalog *catalog);
void skills_log(const struct skills *skills, int32_t level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- watch.c ---- */

/* Reads all directories, and again whenever something in them changes, on a thread of
 * its own. False: it could not be started. */
bool watch_start(struct skills *skills);
void watch_stop(struct skills *skills);

#endif

/* SPDX-License-Identifier: MIT */
/* All skills of the operator's directories, and what mcpd is told of them. */
#include "skills.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "beneath.h"

#define NAMES_MAX 10000 /* in one of the operator's directories */
#define SKILLS_MAX 4096 /* mcpd takes no more of one provider */

/* ---- URIs and definitions ---- */

void add_uri(struct text *out, const char *skill, const char *path)
{
    text_addf(out, "skill://%s/", skill);
    text_add_percent(out, path, strlen(path), "/");
}

static void add_file(struct text *out, const char *skill, const struct file *file)
{
    text_adds(out, "{\"uri\":\"");
    add_uri(out, skill, file->path);
    text_adds(out, "\",\"digest\":\"sha256:");
    for (size_t i = 0; i < DIGEST_SIZE; i++)
        text_addf(out, "%02x", file->digest[i]);
    text_addf(out, "\",\"size\":%" PRId64 "}", file->size);
}

/* The three objects. False: the list of files is too long, or no memory. */
static bool define(struct skill *skill, const struct front_matter *front)
{
    const struct file *manifest = skill_file(skill, "SKILL.md");
    struct text t;

    text_init(&t, DEFINITION_MAX);
    text_addf(&t, "{\"uri\":\"skill://%s/SKILL.md\",\"frontmatter\":", skill->name);
    text_add(&t, front->json.data, front->json.size);
    text_adds(&t, ",\"resources\":[");
    for (size_t i = 0; i < skill->count; i++) {
        text_adds(&t, i > 0 ? "," : "");
        add_file(&t, skill->name, &skill->files[i]);
    }
    text_adds(&t, "]}");
    skill->definition = t.failed ? NULL : t.data;
    if (t.failed)
        text_free(&t);

    text_init(&t, DEFINITION_MAX);
    text_addf(&t, "{\"uri\":\"skill://%s/SKILL.md\",\"name\":\"%s\",\"description\":", skill->name,
              skill->name);
    text_add_string(&t, front->description, strlen(front->description));
    text_addf(&t, ",\"mimeType\":\"text/markdown\",\"size\":%" PRId64 "}", manifest->size);
    skill->resource = t.failed ? NULL : t.data;
    if (t.failed)
        text_free(&t);

    text_init(&t, DEFINITION_MAX);
    text_addf(&t,
              "{\"uriTemplate\":\"skill://%s/{+path}\",\"name\":\"%s-files\",\"description\":"
              "\"A file of the skill %s\"}",
              skill->name, skill->name, skill->name);
    skill->uri_template = t.failed ? NULL : t.data;
    if (t.failed)
        text_free(&t);
    return skill->definition != NULL && skill->resource != NULL && skill->uri_template != NULL;
}

/* ---- what is left out ---- */

__attribute__((format(printf, 2, 3))) static void complain(struct catalog *catalog,
                                                           const char *format, ...)
{
    va_list arguments;
    char *sentence = NULL;
    char **complaints =
        realloc(catalog->complaints, (catalog->complaint_count + 1) * sizeof(char *));

    if (complaints == NULL)
        return;
    catalog->complaints = complaints;
    va_start(arguments, format);
    int size = vasprintf(&sentence, format, arguments);
    va_end(arguments);
    if (size >= 0)
        complaints[catalog->complaint_count++] = sentence;
}

/* ---- one skill ---- */

static void skill_free(struct skill *skill)
{
    free(skill->directory);
    free(skill->name);
    files_free(skill->files, skill->count);
    free(skill->definition);
    free(skill->resource);
    free(skill->uri_template);
}

/* Whether the directory has a SKILL.md, be it one that cannot be read. */
static bool has_manifest(int root, const char *directory)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/SKILL.md", directory);
    int fd = open_beneath(root, path, O_PATH, 0);
    if (fd >= 0)
        close(fd);
    return fd >= 0 || (errno != ENOENT && errno != ENOTDIR);
}

static const struct skill *skill_before(const struct catalog_source *source, size_t root,
                                        const char *directory)
{
    const struct catalog *before = source->before;

    for (size_t i = 0; before != NULL && i < before->count; i++)
        if (before->skills[i].root == root && strcmp(before->skills[i].directory, directory) == 0)
            return &before->skills[i];
    return NULL;
}

/* Fills the skill from what was walked; a sentence in walk->fault when it is none. */
static bool make_skill(struct catalog *catalog, struct skill *skill, struct walk *walk)
{
    struct front_matter front = {.description = NULL};
    bool good = false;

    skill->files = walk->files;
    skill->count = walk->count;
    skill->directory = strdup(walk->directory);
    if (!front_matter_read(&front, &walk->manifest, &walk->fault))
        goto out;
    const struct skill *other = catalog_find(catalog, front.name, strlen(front.name));
    if (other != NULL) {
        text_addf(&walk->fault, "its name is %s, and so is that of %s, which comes before it",
                  front.name, other->directory);
        goto out;
    }
    skill->name = strdup(front.name);
    good = skill->name != NULL && skill->directory != NULL && define(skill, &front);
    if (!good)
        text_adds(&walk->fault, "the list of its files is too long");
out:
    front_matter_free(&front);
    return good;
}

static void add_skill(struct catalog *catalog, const struct catalog_source *source, size_t root,
                      const char *directory)
{
    const struct skill *before = skill_before(source, root, directory);
    struct walk walk = {.root = catalog->roots[root],
                        .directory = directory,
                        .known = before != NULL ? before->files : NULL,
                        .known_count = before != NULL ? before->count : 0,
                        .watch = source->watch,
                        .context = source->context};
    struct skill skill = {.root = root};
    struct skill *skills = realloc(catalog->skills, (catalog->count + 1) * sizeof(skill));

    if (skills == NULL)
        return;
    catalog->skills = skills;
    bool good = walk_skill(&walk);
    if (!good) {
        skill.files = walk.files;
        skill.count = walk.count;
    }
    if (good && make_skill(catalog, &skill, &walk)) {
        catalog->skills[catalog->count++] = skill;
    } else {
        complain(catalog, "the skill in %s/%s is left out: %s",
                 source->directories->items[root].path, directory,
                 walk.fault.size > 0 ? walk.fault.data : "out of memory");
        skill_free(&skill);
    }
    text_free(&walk.manifest);
    text_free(&walk.fault);
}

/* ---- the operator's directories ---- */

/* A name in one of them: a skill, or of no concern. */
static void look_at(struct catalog *catalog, const struct catalog_source *source, size_t root,
                    const char *name)
{
    int fd = open_beneath(catalog->roots[root], name, O_RDONLY | O_DIRECTORY, 0);

    if (fd < 0) {
        if (errno == EXDEV)
            complain(catalog,
                     "%s/%s is left out: it is a symbolic link that leads out of there; name the "
                     "directory that it leads to in \"directories\", or put a copy in its place",
                     source->directories->items[root].path, name);
        else if (errno == EACCES)
            complain(catalog, "%s/%s is left out: mcpd has no permission to read it",
                     source->directories->items[root].path, name);
        return; /* files beside the skills */
    }
    if (source->watch != NULL)
        source->watch(source->context, fd);
    close(fd);
    if (!has_manifest(catalog->roots[root], name))
        return;
    if (catalog->count < SKILLS_MAX)
        add_skill(catalog, source, root, name);
    else
        complain(catalog, "the skill in %s/%s is left out: there are more than %d",
                 source->directories->items[root].path, name, SKILLS_MAX);
}

static void read_root(struct catalog *catalog, const struct catalog_source *source, size_t root)
{
    const char *path = source->directories->items[root].path;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    catalog->roots[root] = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || catalog->roots[root] < 0) {
        complain(catalog, "the skills in %s are left out: it cannot be opened: %s", path,
                 strerror(errno));
        if (fd >= 0)
            close(fd);
        return;
    }
    if (source->watch != NULL)
        source->watch(source->context, fd);
    if (has_manifest(catalog->roots[root], "."))
        complain(catalog,
                 "%s/SKILL.md is left out: %s is a skill itself; name the directory above it in "
                 "\"directories\"",
                 path, path);
    char **names = directory_names(fd, NAMES_MAX);
    if (names == NULL)
        complain(catalog, "the skills in %s are left out: %s", path,
                 errno == E2BIG ? "it has more than 10000 names" : strerror(errno));
    for (size_t i = 0; names != NULL && names[i] != NULL; i++)
        look_at(catalog, source, root, names[i]);
    names_free(names);
}

struct catalog *catalog_new(const struct catalog_source *source)
{
    struct catalog *catalog = calloc(1, sizeof(*catalog));
    int *roots = calloc(source->directories->count, sizeof(int));

    if (catalog == NULL || roots == NULL) {
        free(catalog);
        free(roots);
        return NULL;
    }
    atomic_init(&catalog->references, 1);
    catalog->roots = roots;
    catalog->root_count = source->directories->count;
    for (size_t i = 0; i < source->directories->count; i++)
        catalog->roots[i] = -1;
    for (size_t i = 0; i < source->directories->count; i++)
        read_root(catalog, source, i);
    return catalog;
}

struct catalog *catalog_ref(struct catalog *catalog)
{
    atomic_fetch_add(&catalog->references, 1);
    return catalog;
}

void catalog_unref(struct catalog *catalog)
{
    if (catalog == NULL || atomic_fetch_sub(&catalog->references, 1) != 1)
        return;
    for (size_t i = 0; i < catalog->root_count; i++)
        if (catalog->roots[i] >= 0)
            close(catalog->roots[i]);
    for (size_t i = 0; i < catalog->count; i++)
        skill_free(&catalog->skills[i]);
    for (size_t i = 0; i < catalog->complaint_count; i++)
        free(catalog->complaints[i]);
    free(catalog->roots);
    free(catalog->skills);
    free(catalog->complaints);
    free(catalog);
}

bool catalog_same(const struct catalog *a, const struct catalog *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->skills[i].definition, b->skills[i].definition) != 0)
            return false;
    return true;
}

const struct skill *catalog_find(const struct catalog *catalog, const char *name, size_t size)
{
    for (size_t i = 0; i < catalog->count; i++)
        if (strlen(catalog->skills[i].name) == size &&
            memcmp(catalog->skills[i].name, name, size) == 0)
            return &catalog->skills[i];
    return NULL;
}

const struct file *skill_file(const struct skill *skill, const char *path)
{
    for (size_t i = 0; i < skill->count; i++)
        if (strcmp(skill->files[i].path, path) == 0)
            return &skill->files[i];
    return NULL;
}

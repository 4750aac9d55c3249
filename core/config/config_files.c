/* SPDX-License-Identifier: MIT */
/*
 * The files of the configuration: mcpd.json, NAME.json in providers.d beside it,
 * and the file of keys that it names. Whoever can write one of them decides what
 * mcpd opens to its callers, so files and the directory that strangers can write
 * are refused.
 */
#include "config/reading.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void complain_errno(struct reading *r, const char *file, int number)
{
    if (number == EACCES || number == EPERM)
        complaint(r, "%s: cannot be read: %s (mcpd runs as user %u, group %u)", file,
                  strerrordesc_np(number), (unsigned)geteuid(), (unsigned)getegid());
    else
        complaint(r, "%s: cannot be read: %s", file, strerrordesc_np(number));
}

static bool may_trust(struct reading *r, const char *file, const struct stat *st)
{
    if ((st->st_mode & S_IWOTH) != 0) {
        complaint(r, "%s: everybody may write it: chmod o-w %s", file, file);
        return false;
    }
    bool strange = st->st_uid != 0 && st->st_uid != geteuid();
    if (strange && (st->st_mode & S_IWGRP) != 0) {
        complaint(r,
                  "%s: a group may write it, and it belongs to user %u, who is neither root nor "
                  "mcpd's user: chmod g-w %s, or chown it",
                  file, (unsigned)st->st_uid, file);
        return false;
    }
    return true;
}

/* Everything in an open file, into the arena. */
static bool read_open_file(struct reading *r, int fd, const char *file, struct bytes *text)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        complain_errno(r, file, errno);
        return false;
    }
    if (!S_ISREG(st.st_mode)) {
        complaint(r, "%s: is not a regular file", file);
        return false;
    }
    if (!may_trust(r, file, &st))
        return false;

    /* The size may change under our hands: room for one byte too many. */
    size_t room = CONFIG_FILE_MAX + 1;
    if (st.st_size >= 0 && (size_t)st.st_size < CONFIG_FILE_MAX)
        room = (size_t)st.st_size + 1;
    char *data = arena_alloc(r->arena, room);
    if (data == NULL) {
        complaint(r, "%s: out of memory", file);
        return false;
    }
    size_t size = 0;
    while (size < room) {
        ssize_t got = read(fd, data + size, room - size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            complain_errno(r, file, errno);
            return false;
        }
        if (got == 0)
            break;
        size += (size_t)got;
    }
    if (size > CONFIG_FILE_MAX) {
        complaint(r, "%s: too large: expected at most %zu bytes", file, CONFIG_FILE_MAX);
        return false;
    }
    if (size == room) {
        complaint(r, "%s: changed while it was read: try again", file);
        return false;
    }
    *text = (struct bytes){data, size};
    return true;
}

static bool read_file(struct reading *r, int directory, const char *name, const char *file,
                      struct bytes *text)
{
    /* O_NONBLOCK: a FIFO must not hold us up before we know that it is one. */
    int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        complain_errno(r, file, errno);
        return false;
    }
    bool ok = read_open_file(r, fd, file, text);
    close(fd);
    return ok;
}

/* "DIRECTORY/NAME" in the arena; NULL: out of memory, complained. */
static const char *join(struct reading *r, struct bytes directory, const char *name)
{
    size_t size = strlen(name);
    char *path = arena_alloc(r->arena, directory.size + size + 1);
    if (path == NULL) {
        complaint(r, "%s: out of memory", name);
        return NULL;
    }
    if (directory.size > 0)
        memcpy(path, directory.data, directory.size);
    memcpy(path + directory.size, name, size + 1);
    return path;
}

static bool ends_with(struct bytes name, struct bytes end)
{
    return name.size > end.size &&
           bytes_equal_nocase((struct bytes){name.data + name.size - end.size, end.size}, end);
}

/* Names that people give when they mean .json; backups, examples and README are
 * passed over in silence. */
static bool nearly_json(struct bytes name)
{
    return ends_with(name, BYTES(".json")) || ends_with(name, BYTES(".jsonc")) ||
           ends_with(name, BYTES(".json5")) || ends_with(name, BYTES(".jsn"));
}

static void read_entry(struct reading *r, int directory, struct bytes path, const char *entry)
{
    static const char suffix[] = ".json";
    size_t size = strlen(entry);
    if (entry[0] == '.' || !nearly_json((struct bytes){entry, size}))
        return;
    const char *file = join(r, path, entry);
    if (file == NULL)
        return;
    size_t id_size = size < sizeof(suffix) ? 0 : size - (sizeof(suffix) - 1);
    if (strcmp(entry + id_size, suffix) != 0) {
        complaint(r, "%s: is not read: the name of a provider's file ends with \".json\"", file);
        return;
    }
    struct bytes id = arena_copy(r->arena, (struct bytes){entry, id_size});
    struct bytes text;
    if (id.data == NULL) {
        complaint(r, "%s: out of memory", file);
    } else if (!config_name_legal(id)) {
        complaint(
            r,
            "%s: the file's name without \".json\" is the provider's: expected 1 to 64 of the "
            "characters A-Z a-z 0-9 _ - .",
            file);
    } else if (read_file(r, directory, entry, file, &text)) {
        config_read_provider(r, file, id.data, text);
    }
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name); /* the same order in every locale */
}

static void read_directory(struct reading *r, struct bytes path)
{
    int directory = open(path.data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) {
        if (errno != ENOENT)
            complain_errno(r, path.data, errno);
        return;
    }
    struct stat st;
    struct dirent **entries = NULL;
    int count = -1;
    if (fstat(directory, &st) == 0 && may_trust(r, path.data, &st)) {
        count = scandirat(directory, ".", &entries, NULL, by_name);
        if (count < 0)
            complain_errno(r, path.data, errno);
    }
    for (int i = 0; i < count; i++) {
        read_entry(r, directory, path, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    close(directory);
}

/* ---- keys ---- */

/* Who reads the keys can make what clients bring us. */
static bool is_secret(struct reading *r, const char *file, int fd)
{
    struct stat st;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (st.st_mode & S_IRWXO) == 0)
        return true; /* what is no file, or cannot be looked at, is told when it is read */
    complaint(r, "%s: holds keys, and everybody may read or write it: chmod o= %s", file, file);
    return false;
}

static void read_keys(struct reading *r, const char *file)
{
    struct config *config = r->config;
    struct bytes text;
    struct error err;

    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        complain_errno(r, file, errno);
        return;
    }
    if (is_secret(r, file, fd) && read_open_file(r, fd, file, &text)) {
        size_t count = 0;
        struct seal_key *keys = seal_keys_parse(file, text, r->arena, &count, &err);
        crypto_wipe((char *)text.data, text.size);
        if (keys == NULL)
            complaint(r, "%s", err.text);
        config->request_state.keys = keys;
        config->request_state.key_count = count;
    }
    close(fd);
}

void config_read_keys(struct reading *r, const struct document *doc)
{
    const char *file = r->config->request_state.key_file;

    if (file == NULL)
        return;
    r->before = complaint_place_of(r, doc, "/request_state/key_file");
    if (r->before != NULL)
        r->before = join(r, bytes_of(r->before), ": request_state.key_file");
    read_keys(r, file);
    r->before = NULL;
}

void config_read_files(struct reading *r, const char *path)
{
    struct bytes text;
    const char *file = config_copy_string(r->arena, bytes_of(path));
    if (file == NULL) {
        complaint(r, "%s: out of memory", path);
        return;
    }
    r->config->file = file;
    if (read_file(r, AT_FDCWD, file, file, &text)) {
        config_read_main(r, file, text);
    }

    const char *slash = strrchr(file, '/');
    size_t size = slash != NULL ? (size_t)(slash + 1 - file) : 0;
    const char *directory = join(r, (struct bytes){file, size}, "providers.d/");
    if (directory != NULL)
        read_directory(r, bytes_of(directory));
}

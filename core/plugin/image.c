/* SPDX-License-Identifier: MIT */
/*
 * From a file in the plugin directory to a private copy that has passed every
 * check that does not run it. The file is read once; what was read is checked
 * and written to a name that no other generation has, so neither a change of
 * the source nor the dynamic linker's memory of names can swap the code.
 */
#include "plugin/load.h"

#include <errno.h>
#include <fcntl.h>
#include <mcp/plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/crypto.h"
#include "plugin/bundled.h"
#include "plugin/manifest.h"

#define OTHERS_MAY_WRITE (S_IWGRP | S_IWOTH)

/* ---- the source ---- */

static bool check_owner(const struct stat *st, const char *what, struct error *err)
{
    if (st->st_uid != 0 && st->st_uid != geteuid())
        return error_set(err, "%s to user %u: it must belong to root or to mcpd's own user (chown)",
                         what, (unsigned)st->st_uid);
    return true;
}

static bool check_directory(int directory_fd, struct error *err)
{
    struct stat st;
    if (fstat(directory_fd, &st) != 0)
        return error_set(err, "its directory cannot be examined: %s", strerror(errno));
    if (!check_owner(&st, "its directory belongs", err))
        return false;
    if ((st.st_mode & OTHERS_MAY_WRITE) != 0)
        return error_set(err,
                         "users other than the owner may write to its directory (mode %04o): "
                         "chmod go-w it",
                         (unsigned)(st.st_mode & 07777));
    return true;
}

static bool check_file(const struct stat *st, struct error *err)
{
    if (S_ISDIR(st->st_mode))
        return error_set(err, "is a directory, not a plugin");
    if (!S_ISREG(st->st_mode))
        return error_set(err, "is not a regular file");
    if (!check_owner(st, "belongs", err))
        return false;
    if ((st->st_mode & OTHERS_MAY_WRITE) != 0)
        return error_set(err,
                         "users other than its owner may write to it (mode %04o): chmod go-w "
                         "it",
                         (unsigned)(st->st_mode & 07777));
    if (st->st_size > (off_t)PLUGIN_FILE_MAX)
        return error_set(err, "is larger than %u MiB", PLUGIN_FILE_MAX >> 20);
    if (st->st_size == 0)
        return error_set(err, "is empty: copy it again");
    return true;
}

static int open_source(int directory_fd, const char *name, struct stat *st, struct error *err)
{
    if (strchr(name, '/') != NULL) {
        error_set(err, "is not the name of a file in the plugin directory");
        return -1;
    }
    if (!check_directory(directory_fd, err))
        return -1;
    /* O_NONBLOCK: a FIFO must not hang us before we see that it is one. */
    int fd = openat(directory_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        if (errno == ELOOP)
            error_set(err, "is a symbolic link: put the file itself into the directory");
        else
            error_set(err, "cannot be opened: %s", strerror(errno));
        return -1;
    }
    if (fstat(fd, st) != 0)
        error_set(err, "cannot be examined: %s", strerror(errno));
    else if (check_file(st, err))
        return fd;
    close(fd);
    return -1;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
           a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* The bytes of the file, from malloc; .data is NULL on failure. */
static struct bytes read_source(int directory_fd, const char *name, struct error *err)
{
    struct stat before, after;
    struct bytes content = {NULL, 0};
    int fd = open_source(directory_fd, name, &before, err);
    if (fd < 0)
        return content;

    size_t size = (size_t)before.st_size, got = 0;
    char *data = malloc(size);
    ssize_t n = data == NULL ? -1 : 1;
    while (n > 0 && got < size) {
        n = read(fd, data + got, size - got);
        if (n > 0)
            got += (size_t)n;
        else if (n < 0 && errno == EINTR)
            n = 1;
    }
    if (n < 0)
        error_set(err, "cannot be read: %s", strerror(errno));
    else if (fstat(fd, &after) != 0 || !same_file(&before, &after) || got < size)
        error_set(err, "was changed while it was read: copy to another name, then rename");
    else
        content = (struct bytes){data, size};
    close(fd);
    if (content.data == NULL)
        free(data);
    return content;
}

bool image_hash(int directory_fd, const char *name, unsigned char hash[32], struct error *err)
{
    struct bytes content = read_source(directory_fd, name, err);
    if (content.data == NULL)
        return error_prefix(err, "%s", name);
    crypto_digest(hash, content.data, content.size);
    free((char *)content.data);
    return true;
}

/* ---- what the file says of itself ---- */

static bool check_manifest(struct image *image, const char *name, struct bytes content,
                           struct error *err)
{
    struct manifest manifest;
    if (!manifest_read(&manifest, content, err))
        return false;
    if (manifest.abi_major != MCP_ABI_MAJOR)
        return error_set(err,
                         "built for plugin ABI %u.%u, this mcpd serves %d.%d: rebuild it with "
                         "this mcpd's header",
                         manifest.abi_major, manifest.abi_minor, MCP_ABI_MAJOR, MCP_ABI_MINOR);
    size_t length = strlen(manifest.id);
    if (strncmp(manifest.id, name, length) != 0 || strcmp(name + length, ".so") != 0)
        return error_set(err, "is the plugin \"%s\" by its manifest: name the file %s.so",
                         manifest.id, manifest.id);
    if (manifest.required[0] != '\0')
        return error_set(err,
                         "requires the host extension \"%s\", which this mcpd does not have: "
                         "use a newer mcpd",
                         manifest.required);
    memcpy(image->id, manifest.id, sizeof(image->id));
    memcpy(image->version, manifest.version, sizeof(image->version));
    if (manifest.needs[0] != '\0' && (image->needs = strdup(manifest.needs)) == NULL)
        return error_no_memory(err);
    return true;
}

/* ---- the copy ---- */

static int open_private_directory(const char *path, struct error *err)
{
    struct stat st;
    struct statvfs fs;
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        error_set(err, "cannot be copied, the private directory %s cannot be made: %s", path,
                  strerror(errno));
        return -1;
    }
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0 || fstatvfs(fd, &fs) != 0)
        error_set(err, "cannot be copied, the private directory %s cannot be opened: %s", path,
                  strerror(errno));
    else if (st.st_uid != geteuid() || (st.st_mode & 0077) != 0)
        error_set(err,
                  "cannot be copied, the private directory %s is not mcpd's alone (mode "
                  "%04o): chmod 0700 it, or name another as plugins.private_directory",
                  path, (unsigned)(st.st_mode & 07777));
    else if ((fs.f_flag & ST_NOEXEC) != 0)
        error_set(err,
                  "cannot be copied, the private directory %s is on a file system mounted "
                  "noexec: name another as plugins.private_directory",
                  path);
    else
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static bool write_all(int fd, struct bytes content)
{
    while (content.size > 0) {
        ssize_t n = write(fd, content.data, content.size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        content.data += n;
        content.size -= (size_t)n;
    }
    return true;
}

/* A file of that name can only be left from a process that is no more (or run
 * on by a process that has it open: unlinking leaves it its own). */
static int create_copy(int directory_fd, const char *name)
{
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(directory_fd, name, flags, 0500);
    if (fd < 0 && errno == EEXIST && unlinkat(directory_fd, name, 0) == 0)
        fd = openat(directory_fd, name, flags, 0500);
    return fd;
}

static bool write_copy(struct image *image, struct bytes content, const char *private_directory,
                       struct error *err)
{
    char name[128];
    int length = snprintf(name, sizeof(name), "%s.%ju.", image->id, (uintmax_t)image->generation);
    for (size_t i = 0; i < 8; i++)
        length += snprintf(name + length, sizeof(name) - (size_t)length, "%02x", image->hash[i]);
    snprintf(name + length, sizeof(name) - (size_t)length, ".so");
    if (asprintf(&image->path, "%s/%s", private_directory, name) < 0) {
        image->path = NULL;
        return error_no_memory_for(err, "cannot be copied");
    }

    int directory_fd = open_private_directory(private_directory, err);
    if (directory_fd < 0)
        return false;
    bool ok = false;
    int fd = create_copy(directory_fd, name);
    if (fd < 0) {
        error_set(err, "cannot be copied to %s: %s", image->path, strerror(errno));
    } else {
        ok = write_all(fd, content) && fchmod(fd, 0500) == 0;
        if (!ok) {
            error_set(err, "cannot be copied to %s: %s", image->path, strerror(errno));
            unlinkat(directory_fd, name, 0);
        }
        close(fd);
    }
    close(directory_fd);
    return ok;
}

static char *source_path(int directory_fd, const char *name)
{
    char link[64], directory[4096];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", directory_fd);
    ssize_t length = readlink(link, directory, sizeof(directory) - 1);
    directory[length > 0 ? length : 0] = '\0';
    char *path;
    return asprintf(&path, "%s%s%s", directory, length > 0 ? "/" : "", name) < 0 ? NULL : path;
}

struct image *image_open(int directory_fd, const char *name, const char *private_directory,
                         uint64_t generation, struct error *err)
{
    struct image *image = calloc(1, sizeof(*image));
    struct bytes content = {NULL, 0};
    bool ok = false;
    if (image == NULL || (image->source = source_path(directory_fd, name)) == NULL) {
        error_no_memory(err);
        goto out;
    }
    content = read_source(directory_fd, name, err);
    if (content.data == NULL || !check_manifest(image, name, content, err))
        goto out;
    image->generation = generation;
    crypto_digest(image->hash, content.data, content.size);
    image->bundled = bundled_has(name, image->hash);
    ok = write_copy(image, content, private_directory, err);
    if (!ok)
        image->borrowed = true; /* there is no copy to remove */
out:
    free((char *)content.data);
    if (ok)
        return image;
    error_prefix(err, "%s", name);
    image_free(image);
    return NULL;
}

void image_free(struct image *image)
{
    if (image == NULL)
        return;
    if (image->path != NULL && !image->borrowed)
        unlink(image->path);
    free(image->path);
    free(image->source);
    free(image->needs);
    free(image);
}

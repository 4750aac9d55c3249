/* SPDX-License-Identifier: MIT */
/* write_file, and how a file is replaced: whole or not at all. What is new is
 * written beside it, synced, and renamed over it. */
#include "filesystem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "encoding.h"
#include "reading.h"
#include "text.h"

/* One writing. */
struct writing {
    struct place place;
    struct mcp_bytes content; /* decoded */
    char *decoded; /* owns it, when it came in Base64 */
    int directory; /* O_PATH of where the file is */
    const char *name; /* of the file in it, in place.beneath */
    bool exists;
    struct stat old; /* when it exists */
};

/* What is there already must be a regular file that mcpd may write. */
static bool check_target(struct writing *w, struct mcp_call *call)
{
    if (fstatat(w->directory, w->name, &w->old, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT)
            return true;
        place_fail(&w->place, call, errno, "write");
        return false;
    }
    w->exists = true;
    if (!S_ISREG(w->old.st_mode)) {
        fail_call(call, "%.*s is %s; only regular files are written.", SHOW(w->place.given),
                  type_phrase(w->old.st_mode));
        return false;
    }
    if (faccessat(w->directory, w->name, W_OK, AT_EACCESS | AT_SYMLINK_NOFOLLOW) != 0) {
        place_fail(&w->place, call, errno, "write");
        return false;
    }
    return true;
}

/* A name that nobody guesses, for the file that is being written. */
static bool temporary_name(char out[40])
{
    unsigned char random[12];
    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return false;
    int used = snprintf(out, 40, ".mcpd-");
    for (size_t i = 0; i < sizeof(random); i++)
        used += snprintf(out + used, 40 - (size_t)used, "%02x", random[i]);
    return true;
}

static bool write_all(int fd, struct mcp_bytes content, struct mcp_call *call)
{
    while (content.size > 0) {
        size_t some = content.size < (1 << 20) ? content.size : (1 << 20);
        ssize_t written = write(fd, content.data, some);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return false;
        content.data += written;
        content.size -= (size_t)written;
        if (call->ops->is_cancelled(call)) {
            errno = ECANCELED;
            return false;
        }
    }
    return true;
}

/* A file that is replaced keeps its permissions and, where we may, its owner and group. */
static bool keep_attributes(int fd, const struct stat *old)
{
    struct stat new;
    if (fstat(fd, &new) != 0)
        return false;
    if (new.st_uid != old->st_uid || new.st_gid != old->st_gid) {
        if (fchown(fd, old->st_uid, old->st_gid) != 0 && fchown(fd, (uid_t)-1, old->st_gid) != 0 &&
            errno != EPERM)
            return false;
    }
    return fchmod(fd, old->st_mode & 0777) == 0;
}

/* Whether what is there is what was read. */
static bool is_unchanged(const struct replacement *r)
{
    struct stat now;
    return r->old != NULL && fstatat(r->directory, r->name, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
           now.st_dev == r->old->st_dev && now.st_ino == r->old->st_ino &&
           now.st_size == r->old->st_size && now.st_ctim.tv_sec == r->old->st_ctim.tv_sec &&
           now.st_ctim.tv_nsec == r->old->st_ctim.tv_nsec;
}

/* So that the new name outlives a crash, too; not every file system can. */
static void sync_directory(int directory)
{
    int readable = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (readable < 0)
        return;
    (void)fsync(readable);
    close(readable);
}

bool file_replace(const struct replacement *r, struct mcp_call *call)
{
    char temporary[40];
    if (!temporary_name(temporary))
        return false;
    /* The mode of a new file is the umask's matter; one that replaces another stays
     * closed until it has the other's. */
    int fd = openat(r->directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                    r->old != NULL ? 0600 : 0666);
    if (fd < 0)
        return false;
    bool good = write_all(fd, r->content, call) &&
                (r->old == NULL || keep_attributes(fd, r->old)) && fsync(fd) == 0;
    int error = errno;
    if (close(fd) != 0 && good) {
        good = false;
        error = errno;
    }
    if (good && r->unchanged && !is_unchanged(r)) {
        good = false;
        error = ESTALE;
    }
    if (good && renameat(r->directory, temporary, r->directory, r->name) != 0) {
        good = false;
        error = errno;
    }
    if (!good) {
        unlinkat(r->directory, temporary, 0);
        errno = error;
        return false;
    }
    sync_directory(r->directory);
    return true;
}

static bool decode_content(const struct filesystem *fs, struct mcp_call *call, struct writing *w)
{
    struct mcp_bytes encoding = MCP_STR("utf-8");
    if (!argument_string(call, "/content", &w->content) ||
        !argument_string(call, "/encoding", &encoding))
        return false;
    if (bytes_are(encoding, "base64")) {
        size_t size;
        w->decoded = malloc(w->content.size / 4 * 3 + 1);
        if (w->decoded == NULL) {
            fail_call(call, "mcpd is out of memory.");
            return false;
        }
        if (!base64_decode(w->content.data, w->content.size, w->decoded, &size)) {
            fail_call(call, "The content is not Base64 (RFC 4648, section 4, with padding and "
                            "without line breaks).");
            return false;
        }
        w->content = (struct mcp_bytes){w->decoded, size};
    } else if (!bytes_are(encoding, "utf-8")) {
        fail_call(call, "The encoding must be \"utf-8\" or \"base64\".");
        return false;
    }
    if (w->content.size > (uint64_t)fs->max_file_size) {
        fail_call(call, "The content has %zu bytes, more than the %lld that a file may have here.",
                  w->content.size, (long long)fs->max_file_size);
        return false;
    }
    return true;
}

static void finish_write(const struct writing *w, struct mcp_call *call)
{
    struct text words, json;
    text_init(&words, 64 * 1024);
    text_init(&json, 64 * 1024);
    text_addf(&words, "%s %.*s (%zu bytes).", w->exists ? "Replaced" : "Created",
              SHOW(w->place.given), w->content.size);
    text_adds(&json, "{\"path\":");
    text_add_string(&json, w->place.given.data, w->place.given.size);
    text_addf(&json, ",\"size\":%zu,\"created\":%s}", w->content.size,
              w->exists ? "false" : "true");
    call->ops->finish_structured(call, text_bytes(&words), text_bytes(&json));
    text_free(&words);
    text_free(&json);
}

int32_t write_file(const struct filesystem *fs, struct mcp_call *call)
{
    struct writing w = {.directory = -1};
    if (!place_find(fs, call, &w.place))
        return MCP_OK;
    if (!decode_content(fs, call, &w))
        goto out;
    w.directory = place_open_parent(&w.place, call, "write", &w.name);
    if (w.directory < 0 || !check_target(&w, call))
        goto out;
    const struct replacement r = {.directory = w.directory,
                                  .name = w.name,
                                  .old = w.exists ? &w.old : NULL,
                                  .content = w.content};
    if (file_replace(&r, call))
        finish_write(&w, call);
    else if (errno == ECANCELED)
        fail_call(call, "The call was cancelled; %.*s is as it was.", SHOW(w.place.given));
    else
        place_fail(&w.place, call, errno, "write");
out:
    if (w.directory >= 0)
        close(w.directory);
    free(w.decoded);
    return MCP_OK;
}

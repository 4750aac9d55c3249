/* SPDX-License-Identifier: MIT */
/* write_file and create_directory. A file is replaced whole or not at all: what is new
 * is written beside it, synced, and renamed over it. */
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

/* Splits the place into directory and name, and opens the directory. */
static bool open_parent(struct writing *w, struct mcp_call *call)
{
    char *path = w->place.beneath;
    char *slash = strrchr(path, '/');
    w->name = slash != NULL ? slash + 1 : path;
    if (w->name[0] == '\0' || strcmp(w->name, ".") == 0 || strcmp(w->name, "..") == 0) {
        fail_call(call, "%.*s names a directory, not a file.", SHOW(w->place.given));
        return false;
    }
    if (slash != NULL)
        *slash = '\0';
    w->directory =
        open_beneath(w->place.root->fd, slash != NULL ? path : ".", O_PATH | O_DIRECTORY, 0);
    if (w->directory >= 0)
        return true;
    if (errno == ENOENT)
        fail_call(call,
                  "There is no directory for %.*s; create_directory makes one, with all "
                  "directories on the way.",
                  SHOW(w->place.given));
    else
        place_fail(&w->place, call, errno, "write");
    return false;
}

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

/* False with errno. */
static bool replace(const struct writing *w, struct mcp_call *call)
{
    char temporary[40];
    if (!temporary_name(temporary))
        return false;
    /* The mode of a new file is the umask's matter; one that replaces another stays
     * closed until it has the other's. */
    int fd = openat(w->directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                    w->exists ? 0600 : 0666);
    if (fd < 0)
        return false;
    bool good = write_all(fd, w->content, call) && (!w->exists || keep_attributes(fd, &w->old)) &&
                fsync(fd) == 0;
    int error = errno;
    if (close(fd) != 0 && good) {
        good = false;
        error = errno;
    }
    if (good && renameat(w->directory, temporary, w->directory, w->name) != 0) {
        good = false;
        error = errno;
    }
    if (!good) {
        unlinkat(w->directory, temporary, 0);
        errno = error;
        return false;
    }
    /* So that the new name outlives a crash, too; not every file system can. */
    int readable = openat(w->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (readable >= 0) {
        (void)fsync(readable);
        close(readable);
    }
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
    if (!decode_content(fs, call, &w) || !open_parent(&w, call) || !check_target(&w, call))
        goto out;
    if (replace(&w, call))
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

/* ---- create_directory ---- */

/* Makes one directory if it is missing; the descriptor of it, or -1 with errno. `prefix`
 * is the path from the root up to `name`, which is its last component. */
static int step_into(const struct place *place, int parent, const char *prefix, const char *name,
                     bool *created)
{
    *created = false;
    bool dots = strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
    if (!dots && mkdirat(parent, name, 0777) == 0)
        *created = true;
    else if (!dots && errno != EEXIST && errno != EROFS && errno != EACCES && errno != EPERM)
        return -1;
    int error = dots ? 0 : errno;
    int fd = open_beneath(place->root->fd, prefix, O_PATH | O_DIRECTORY, 0);
    /* Not there, because it could not be made: that is the reason to tell. */
    if (fd < 0 && errno == ENOENT && !dots && !*created && error != EEXIST)
        errno = error;
    return fd;
}

/* All directories on the way, each found from the root by the kernel once more. Returns
 * false with errno. */
static bool make_path(const struct place *place, bool *created)
{
    char prefix[PATH_MAX];
    size_t length = strlen(place->beneath);
    memcpy(prefix, place->beneath, length + 1);
    int parent = open_beneath(place->root->fd, ".", O_PATH | O_DIRECTORY, 0);
    size_t start = 0;
    while (parent >= 0 && start < length) {
        size_t end = start + strcspn(prefix + start, "/");
        char behind = prefix[end];
        prefix[end] = '\0';
        if (end > start) {
            int child = step_into(place, parent, prefix, prefix + start, created);
            int error = errno;
            close(parent);
            errno = error;
            parent = child;
        }
        prefix[end] = behind;
        start = end + 1;
    }
    if (parent < 0)
        return false;
    close(parent);
    return true;
}

int32_t create_directory(const struct filesystem *fs, struct mcp_call *call)
{
    struct place place;
    if (!place_find(fs, call, &place))
        return MCP_OK;
    bool created = false;
    if (!make_path(&place, &created))
        return errno == EEXIST || errno == ENOTDIR
                   ? fail_call(call,
                               "%.*s, or something on the way to it, exists and is not a "
                               "directory.",
                               SHOW(place.given))
                   : place_fail(&place, call, errno, "create");
    struct text words, json;
    text_init(&words, 64 * 1024);
    text_init(&json, 64 * 1024);
    text_addf(&words, created ? "Created %.*s." : "%.*s was there already.", SHOW(place.given));
    text_adds(&json, "{\"path\":");
    text_add_string(&json, place.given.data, place.given.size);
    text_addf(&json, ",\"created\":%s}", created ? "true" : "false");
    call->ops->finish_structured(call, text_bytes(&words), text_bytes(&json));
    text_free(&words);
    text_free(&json);
    return MCP_OK;
}

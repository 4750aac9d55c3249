/* SPDX-License-Identifier: MIT */
/* Making, locking and emptying the directory of running copies. */
#include "plugin/private_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TEMPORARY "mcpd-plugins-"
/* A younger one may be about to be locked. */
#define STALE_AFTER_S 60

/* ---- emptying ---- */

/* ID.GENERATION.HASH16.so: nothing else is ever removed, whatever directory the
 * configuration may name. */
static bool is_copy(const char *name)
{
    size_t length = strlen(name);
    if (length < 21 || strcmp(name + length - 3, ".so") != 0 || name[length - 20] != '.')
        return false;
    if (strspn(name + length - 19, "0123456789abcdef") != 16)
        return false;
    size_t digits = 0, at = length - 20;
    while (at > 0 && name[at - 1] >= '0' && name[at - 1] <= '9') {
        at--;
        digits++;
    }
    return digits > 0 && at > 1 && name[at - 1] == '.';
}

static void remove_copies(int fd)
{
    int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = own >= 0 ? fdopendir(own) : NULL;
    if (list == NULL) {
        if (own >= 0)
            close(own);
        return;
    }
    const struct dirent *entry;
    while ((entry = readdir(list)) != NULL) {
        if (is_copy(entry->d_name))
            unlinkat(fd, entry->d_name, 0);
    }
    closedir(list);
}

/* ---- opening ---- */

static bool refuse(struct private_dir *dir, struct error *err, const char *why)
{
    error_set(err, "the private directory %s %s", dir->path != NULL ? dir->path : "", why);
    if (dir->fd >= 0)
        close(dir->fd);
    free(dir->path);
    *dir = (struct private_dir){.fd = -1};
    return false;
}

static bool refuse_for(struct private_dir *dir, struct error *err, int reason)
{
    char why[256];
    snprintf(why, sizeof(why), "cannot be used (%s): name another as plugins.private_directory",
             strerror(reason));
    return refuse(dir, err, why);
}

/* dir->path is set. */
static bool take(struct private_dir *dir, struct error *err)
{
    struct stat st;
    dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir->fd < 0 || fstat(dir->fd, &st) != 0)
        return refuse_for(dir, err, errno);
    if (st.st_uid != geteuid() || (st.st_mode & 0077) != 0)
        return refuse(dir, err,
                      "is not mcpd's alone: give it to mcpd's user with mode 0700, or name another "
                      "as plugins.private_directory");
    if (flock(dir->fd, LOCK_EX | LOCK_NB) != 0)
        return refuse(dir, err,
                      "is in use by another mcpd: name another as plugins.private_directory");
    remove_copies(dir->fd);
    return true;
}

/* Directories below `base` that mcpd made there and whose lock nobody holds. */
static void remove_stale(const char *base)
{
    DIR *list = opendir(base);
    const struct dirent *entry;
    struct stat st;
    if (list == NULL)
        return;
    while ((entry = readdir(list)) != NULL) {
        if (strncmp(entry->d_name, TEMPORARY, sizeof(TEMPORARY) - 1) != 0)
            continue;
        int fd =
            openat(dirfd(list), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
            continue;
        if (fstat(fd, &st) == 0 && st.st_uid == geteuid() &&
            st.st_mtim.tv_sec < time(NULL) - STALE_AFTER_S && flock(fd, LOCK_EX | LOCK_NB) == 0) {
            remove_copies(fd);
            unlinkat(dirfd(list), entry->d_name, AT_REMOVEDIR);
        }
        close(fd);
    }
    closedir(list);
}

bool private_dir_open_temporary(struct private_dir *dir, struct error *err)
{
    const char *base = getenv("XDG_RUNTIME_DIR");
    *dir = (struct private_dir){.fd = -1, .temporary = true};
    if (base == NULL || base[0] != '/' || access(base, W_OK) != 0)
        base = "/tmp";
    remove_stale(base);
    if (asprintf(&dir->path, "%s/" TEMPORARY "XXXXXX", base) < 0) {
        dir->path = NULL;
        return refuse(dir, err, "cannot be made: out of memory");
    }
    if (mkdtemp(dir->path) == NULL)
        return refuse_for(dir, err, errno);
    return take(dir, err);
}

bool private_dir_open(struct private_dir *dir, const char *configured, struct error *err)
{
    const char *runtime = getenv("RUNTIME_DIRECTORY"); /* systemd.exec(5); maybe a list */
    int made;
    if (configured == NULL && (runtime == NULL || runtime[0] != '/'))
        return private_dir_open_temporary(dir, err);

    *dir = (struct private_dir){.fd = -1};
    if (configured != NULL)
        made = asprintf(&dir->path, "%s", configured);
    else
        made = asprintf(&dir->path, "%.*s/plugins", (int)strcspn(runtime, ":"), runtime);
    if (made < 0) {
        dir->path = NULL;
        return refuse(dir, err, "cannot be made: out of memory");
    }
    if (mkdir(dir->path, 0700) != 0 && errno != EEXIST)
        return refuse_for(dir, err, errno);
    return take(dir, err);
}

void private_dir_close(struct private_dir *dir)
{
    if (dir->fd >= 0) {
        remove_copies(dir->fd);
        close(dir->fd);
        if (dir->temporary)
            rmdir(dir->path);
    }
    free(dir->path);
    *dir = (struct private_dir){.fd = -1};
}

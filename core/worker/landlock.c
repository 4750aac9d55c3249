/* SPDX-License-Identifier: MIT */
/*
 * Which files the process reaches. A rule is about a file or directory as it is now,
 * not about its name: what is put in its place later is out of reach.
 *
 * Nothing may be executed; that libraries are mapped needs no right to.
 */
#include "plugin/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "worker/sandbox.h"

#define MAY_READ (FILE_READ | DIRECTORY_READ)
#define MAY_WRITE                                                                                  \
    (MAY_READ | FILE_WRITE | FILE_TRUNCATE | FILE_REFER | REMOVE_FILE | REMOVE_DIRECTORY |         \
     MAKE_FILE | MAKE_DIRECTORY | MAKE_SYMLINK | MAKE_FIFO | MAKE_SOCKET)
/* Those that make sense of what is no directory. */
#define OF_FILES (FILE_READ | FILE_WRITE | FILE_TRUNCATE | FILE_EXECUTE | DEVICE_IOCTL)

/* What any program needs that has a C library: other libraries, languages, time zones. */
static const char *const read_by_all[] = {
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/share/zoneinfo",
    "/usr/share/locale",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/locale.alias",
    "/dev/null",
    "/dev/zero",
    "/dev/random",
    "/dev/urandom",
    "/proc/self",
    "/sys/devices/system/cpu",
};

/* What those need who speak to others: names of hosts, and whom to trust. */
static const char *const read_by_network[] = {
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/pki",
    "/etc/ca-certificates",
    "/etc/gnutls",
    "/usr/share/ca-certificates",
    "/run/systemd/resolve",
    "/run/resolvconf",
};

/* The rights that this version knows. */
static uint64_t known_rights(int version)
{
    uint64_t rights = FILE_REFER - 1;
    if (version >= LANDLOCK_ABI_REFER)
        rights |= FILE_REFER;
    if (version >= LANDLOCK_ABI_TRUNCATE)
        rights |= FILE_TRUNCATE;
    if (version >= LANDLOCK_ABI_IOCTL)
        rights |= DEVICE_IOCTL;
    return rights;
}

/* False only if the kernel refused what it should not. Closes the descriptor of the path. */
static bool allow_opened(int rules, int fd, const char *path, uint64_t rights, struct error *err)
{
    struct stat st;
    if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
        rights &= OF_FILES;
    const struct sandbox_beneath rule = {.access = rights, .parent_fd = fd};
    bool ok = syscall(SYS_landlock_add_rule, rules, SANDBOX_RULE_BENEATH, &rule, 0u) == 0;
    if (!ok)
        error_set(err, "it cannot be given %s: %s", path, strerror(errno));
    close(fd);
    return ok;
}

/* As allow_opened; what is not there needs no rule. */
static bool allow(int rules, const char *path, uint64_t rights, struct error *err)
{
    int fd = open(path, O_PATH | O_CLOEXEC);
    return fd < 0 || allow_opened(rules, fd, path, rights, err);
}

/* Whether what is open is where all may read. Else *place is where it is, if that is known. */
static bool is_public(int fd, char place[PATH_MAX])
{
    static const char public[] = SANDBOX_PUBLIC_DIRECTORY;
    const size_t length = sizeof(public) - 1;
    char link[64];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, place, PATH_MAX - 1);
    place[size > 0 ? size : 0] = '\0';
    return strncmp(place, public, length) == 0 && (place[length] == '/' || place[length] == '\0');
}

/* The path is the plugin author's choice: what counts is where its links lead. */
static bool allow_public(int rules, const char *path, uint64_t rights, struct error *err)
{
    char place[PATH_MAX];
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return true;
    if (is_public(fd, place))
        return allow_opened(rules, fd, path, rights, err);
    log_warning("its manifest asks to read %s, which leads out of " SANDBOX_PUBLIC_DIRECTORY
                " to \"%s\" and which it may not: \"sandbox\": {\"read\": [\"%s\"]} in its "
                "configuration would let it",
                path, place, path);
    close(fd);
    return true;
}

static bool allow_all(int rules, const char *const *paths, size_t count, uint64_t rights,
                      struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (!allow(rules, paths[i], rights, err))
            return false;
    }
    return true;
}

static bool allow_system(int rules, const struct sandbox *sandbox, uint64_t known,
                         struct error *err)
{
    const size_t all = sizeof(read_by_all) / sizeof(read_by_all[0]);
    const size_t network = sizeof(read_by_network) / sizeof(read_by_network[0]);
#ifdef MCPD_SANITIZE
    /* Reports name lines of the program's source. */
    if (!allow(rules, "/proc/self/exe", FILE_READ & known, err))
        return false;
#endif
    return allow_all(rules, read_by_all, all, MAY_READ & known, err) &&
           allow(rules, "/dev/null", (FILE_READ | FILE_WRITE | FILE_TRUNCATE) & known, err) &&
           (!sandbox->network || allow_all(rules, read_by_network, network, MAY_READ & known, err));
}

static bool allow_declared(int rules, const struct sandbox *sandbox, uint64_t known,
                           struct error *err)
{
    const uint64_t read = MAY_READ & known, write = MAY_WRITE & known;
    enum sandbox_access access;
    const char *path;
    for (size_t at = 0; (path = sandbox_next_path(sandbox, &at, &access)) != NULL;) {
        if (faccessat(AT_FDCWD, path, F_OK, AT_EACCESS) != 0)
            log_warning("%s is not there, so that the plugin will not reach it before it is "
                        "started again: %s",
                        path, strerror(errno));
        bool ok = access == SANDBOX_READ_PUBLIC
                      ? allow_public(rules, path, read, err)
                      : allow(rules, path, access == SANDBOX_WRITE ? write : read, err);
        if (!ok)
            return false;
    }
    return true;
}

bool sandbox_restrict_files(const struct sandbox *sandbox, int version, const char *image,
                            struct error *err)
{
    const uint64_t known = known_rights(version);
    struct sandbox_ruleset set = {.files = known};
    if (version == 0)
        return true;
    if (version >= LANDLOCK_ABI_NETWORK)
        set.network = sandbox->network ? TCP_BIND : TCP_BIND | TCP_CONNECT;
    if (version >= LANDLOCK_ABI_SCOPE)
        set.scoped = SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS;
    int rules = (int)syscall(SYS_landlock_create_ruleset, &set, sizeof(set), 0u);
    if (rules < 0)
        return error_set(err, "Landlock makes no rules: %s", strerror(errno));
    bool ok = allow_system(rules, sandbox, known, err) &&
              allow(rules, image, FILE_READ & known, err) &&
              allow_declared(rules, sandbox, known, err);
    if (ok && syscall(SYS_landlock_restrict_self, rules, 0u) != 0)
        ok = error_set(err, "Landlock does not take its rules: %s", strerror(errno));
    close(rules);
    return ok;
}

/* SPDX-License-Identifier: MIT */
/*
 * Trying a plugin in a throw-away process: this program, executed again (a bare
 * fork of a process with threads could not do anything safely). The parent
 * waits for the child's end or the timeout, whichever is first.
 */
#include "plugin/try.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/pulse.h"
#include "base/utf8.h"
#include "plugin/host.h"
#include "plugin/environment.h"
#include "plugin/load.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#endif

#define REPORTS_MAX 65536
#define OUTPUT_MAX 65536
#define OUTPUT_SHOWN 300 /* bytes of what it wrote, in our sentence */

enum { READ, WRITE };

/* One trial, from the parent's side. Descriptors are -1 when closed. */
struct trial {
    int program, request, report[2], output[2];
    pid_t pid;
    struct buf reports, said; /* what came through the two pipes */
    bool overdue;
    int status; /* of waitpid */
};

/* ---- what it is given ---- */

/* Above those that the child will have, so that none overwrites another. */
static int move_up(int fd)
{
    if (fd < 0)
        return -1;
    int high = fcntl(fd, F_DUPFD_CLOEXEC, 10);
    int reason = errno;
    close(fd);
    errno = reason;
    return high;
}

static bool open_pipe(int ends[2])
{
    int pair[2];
    if (pipe2(pair, O_CLOEXEC) != 0)
        return false;
    ends[READ] = move_up(pair[READ]);
    ends[WRITE] = move_up(pair[WRITE]);
    return ends[READ] >= 0 && ends[WRITE] >= 0 && fcntl(ends[READ], F_SETFL, O_NONBLOCK) == 0;
}

static bool write_request(int fd, const struct image *image, const char *provider_id,
                          struct bytes config)
{
    const struct bytes strings[TRY_STRINGS] = {
        [TRY_PATH] = bytes_of(image->path),     [TRY_SOURCE] = bytes_of(image->source),
        [TRY_ID] = bytes_of(image->id),         [TRY_VERSION] = bytes_of(image->version),
        [TRY_PROVIDER] = bytes_of(provider_id), [TRY_CONFIG] = config,
    };
    struct try_request request = {.parent = getpid(), .generation = image->generation};
    struct buf content;
    buf_init(&content, SIZE_MAX);
    for (size_t i = 0; i < TRY_STRINGS; i++)
        request.sizes[i] = strings[i].size;
    buf_add(&content, &request, sizeof(request));
    for (size_t i = 0; i < TRY_STRINGS; i++)
        buf_add_bytes(&content, strings[i]);
    /* A memory file takes all at once or fails. */
    bool ok = !content.failed && write(fd, content.data, content.size) == (ssize_t)content.size;
    buf_free(&content);
    return ok;
}

/* The trial could not be made: that says nothing about the plugin, and where the reason
 * passes, it is made again. */
static bool cannot_try(struct error *err, int reason)
{
    error_set(err, "cannot be tried: %s", strerror(reason));
    err->no_memory = reason == EAGAIN || reason == ENOMEM || reason == EMFILE || reason == ENFILE;
    return false;
}

static bool open_all(struct trial *trial, const struct image *image, const char *provider_id,
                     struct bytes config, struct error *err)
{
    /* Not the path: the file may have been replaced by an upgrade meanwhile. */
    trial->program = move_up(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    int fd = memfd_create("mcpd-try", MFD_CLOEXEC | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
        fd = memfd_create("mcpd-try", MFD_CLOEXEC);
    trial->request = move_up(fd);
    if (trial->program < 0 || trial->request < 0 || !open_pipe(trial->report) ||
        !open_pipe(trial->output) || !write_request(trial->request, image, provider_id, config))
        return cannot_try(err, errno);
    return true;
}

static void close_one(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* ---- starting it ---- */

/* What a plugin may need to work as it will in the daemon; nothing that speaks of the
 * daemon to its service manager. */
static const char *const kept_variables[] = {"PATH",
                                             "HOME",
                                             "USER",
                                             "LANG",
                                             "LC_ALL",
                                             "LC_CTYPE",
                                             "TZ",
                                             "TMPDIR",
                                             "LD_LIBRARY_PATH",
                                             "SSL_CERT_FILE",
                                             "SSL_CERT_DIR",
                                             NULL};

/* Default signals, none blocked, a process group of its own. */
static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int failure = posix_spawnattr_setsigmask(attributes, &none);
    if (failure == 0)
        failure = posix_spawnattr_setsigdefault(attributes, &all);
    if (failure == 0)
        failure = posix_spawnattr_setpgroup(attributes, 0);
    if (failure == 0)
        failure = posix_spawnattr_setflags(
            attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    return failure;
}

static int set_descriptors(posix_spawn_file_actions_t *actions, const struct trial *trial)
{
    int failure = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
    if (failure == 0)
        failure = posix_spawn_file_actions_adddup2(actions, trial->output[WRITE], 1);
    if (failure == 0)
        failure = posix_spawn_file_actions_adddup2(actions, trial->output[WRITE], 2);
    if (failure == 0)
        failure = posix_spawn_file_actions_adddup2(actions, trial->request, TRY_REQUEST_FD);
    if (failure == 0)
        failure = posix_spawn_file_actions_adddup2(actions, trial->report[WRITE], TRY_REPORT_FD);
    return failure;
}

static bool start(struct trial *trial, const struct image *image, struct bytes config,
                  struct error *err)
{
    char program[64];
    char *const arguments[] = {(char *)"mcpd", (char *)TRY_ARGUMENT, NULL};
    char **environment = environment_make(
        kept_variables, image->needs != NULL ? bytes_of(image->needs) : BYTES(""), config);
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_init(&actions);
    snprintf(program, sizeof(program), "/proc/self/fd/%d", trial->program);
    int failure = environment == NULL ? ENOMEM : set_attributes(&attributes);
    if (failure == 0)
        failure = set_descriptors(&actions, trial);
    if (failure == 0)
        failure = posix_spawn(&trial->pid, program, &actions, &attributes, arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    environment_free(environment);
    close_one(&trial->program);
    close_one(&trial->request);
    close_one(&trial->report[WRITE]);
    close_one(&trial->output[WRITE]);
    if (failure != 0) {
        trial->pid = -1;
        return cannot_try(err, failure);
    }
    return true;
}

/* ---- waiting for it ---- */

/* Takes what there is; beyond the bound it is read and forgotten, so that the
 * child never waits for us. */
static void take(int *fd, struct buf *into)
{
    char piece[4096];
    for (;;) {
        ssize_t n = read(*fd, piece, sizeof(piece));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            close_one(fd);
            return;
        }
        size_t room = into->max - into->size;
        buf_add(into, piece, (size_t)n < room ? (size_t)n : room);
    }
}

/* Leaves it to be reaped, so that its process group keeps its number. */
static bool has_ended(const struct trial *trial)
{
    siginfo_t info = {.si_pid = 0};
    int result = waitid(P_PID, (id_t)trial->pid, &info, WEXITED | WNOHANG | WNOWAIT);
    return (result == 0 && info.si_pid == trial->pid) || (result != 0 && errno == ECHILD);
}

static atomic_bool given_up;

void load_give_up(bool give_up)
{
    atomic_store(&given_up, give_up);
}

bool load_is_given_up(void)
{
    return atomic_load(&given_up);
}

/* The end of the child closes its end of the reports, unless it has forked. */
static void wait_for_end(struct trial *trial, uint32_t timeout_ms)
{
    int64_t until = clock_now() + (int64_t)timeout_ms * NS_PER_MS;
    while (!has_ended(trial)) {
        pulse_beat(); /* it waits, but it has a limit */
        int64_t left = (until - clock_now() + NS_PER_MS - 1) / NS_PER_MS;
        if (left <= 0 || load_is_given_up()) {
            trial->overdue = true;
            return;
        }
        struct pollfd pipes[] = {
            {.fd = trial->report[READ], .events = POLLIN},
            {.fd = trial->output[READ], .events = POLLIN},
        };
        int64_t pause = trial->report[READ] < 0 ? 1 : 20;
        poll(pipes, 2, (int)(left < pause ? left : pause));
        if (pipes[0].revents != 0)
            take(&trial->report[READ], &trial->reports);
        if (pipes[1].revents != 0)
            take(&trial->output[READ], &trial->said);
    }
}

/* Its process group goes too: what it forked has no business to stay. */
static void reap(struct trial *trial)
{
    kill(-trial->pid, SIGKILL);
    kill(trial->pid, SIGKILL);
    while (waitpid(trial->pid, &trial->status, 0) < 0 && errno == EINTR)
        continue;
    if (trial->report[READ] >= 0)
        take(&trial->report[READ], &trial->reports);
    if (trial->output[READ] >= 0)
        take(&trial->output[READ], &trial->said);
}

/* ---- judging it ---- */

struct verdict {
    enum try_kind end; /* TRY_STEP: it did not come to an end */
    char step[64]; /* the last one it took */
    struct bytes text; /* of the end */
};

static struct verdict read_reports(struct bytes reports)
{
    struct verdict verdict = {.end = TRY_STEP, .step = "its start"};
    struct try_record header;
    size_t at = 0;
    while (reports.size - at >= sizeof(header)) {
        memcpy(&header, reports.data + at, sizeof(header));
        at += sizeof(header);
        if (header.size > reports.size - at)
            break;
        struct bytes text = {reports.data + at, header.size};
        at += header.size;
        if (header.kind == TRY_STEP) {
            snprintf(verdict.step, sizeof(verdict.step), "%.*s", BYTES_FMT(text));
        } else {
            verdict.end = (enum try_kind)header.kind;
            verdict.text = text;
        }
    }
    return verdict;
}

/* The last line that it wrote, for that is where a program says why it dies. */
static struct bytes last_line(struct bytes said)
{
    while (said.size > 0 && (unsigned char)said.data[said.size - 1] <= ' ')
        said.size--;
    size_t start = said.size;
    while (start > 0 && said.data[start - 1] != '\n')
        start--;
    struct bytes line = {said.data + start, said.size - start};
    if (line.size > OUTPUT_SHOWN)
        line.size = OUTPUT_SHOWN;
    return (struct bytes){line.data, utf8_valid_prefix(line)};
}

static void add_output(struct bytes said, struct error *why)
{
    if (said.size == 0)
        return;
    struct bytes line = last_line(said);
    if (line.size > 0)
        error_set(why, "%s; the last it wrote was: %.*s", why->text, BYTES_FMT(line));
}

static void describe_death(const struct trial *trial, const struct verdict *verdict,
                           uint32_t timeout_ms, struct error *why)
{
    if (trial->overdue) {
        error_set(why,
                  "had not returned from %s after %u.%03u s of its trial: it hangs, or "
                  "plugins.start_timeout_ms is too short for it",
                  verdict->step, timeout_ms / 1000, timeout_ms % 1000);
    } else if (WIFSIGNALED(trial->status)) {
        int number = WTERMSIG(trial->status);
        const char *name = sigabbrev_np(number), *words = sigdescr_np(number);
        error_set(why, "crashed in %s (SIG%s, %s)", verdict->step, name != NULL ? name : "?",
                  words != NULL ? words : "unknown");
    } else {
        error_set(why, "ended the process in %s (exit status %d), which a plugin must not",
                  verdict->step, WEXITSTATUS(trial->status));
    }
    add_output(buf_bytes(&trial->said), why);
}

static bool judge(const struct trial *trial, uint32_t timeout_ms, const char *file_name,
                  const struct config_provider *settings, struct error *err)
{
    struct verdict verdict = read_reports(buf_bytes(&trial->reports));
    struct failure failure = {0};
    if (verdict.end == TRY_FIT && !trial->overdue) {
        if (verdict.text.size > 0)
            log_warning("%s: its code stays in memory when it is replaced or removed: %.*s",
                        file_name, BYTES_FMT(verdict.text));
        return true;
    }
    if (trial->reports.failed) {
        cannot_try(&failure.why, ENOMEM);
    } else if (verdict.end == TRY_UNFIT || verdict.end == TRY_NO_MEMORY) {
        error_set(&failure.why, "%.*s", BYTES_FMT(verdict.text));
        failure.why.no_memory = verdict.end == TRY_NO_MEMORY;
    } else if (verdict.end == TRY_UNFIT_CONFIG) {
        size_t pointer = strnlen(verdict.text.data, verdict.text.size);
        size_t why = pointer < verdict.text.size ? pointer + 1 : pointer;
        failure.in_config = true;
        snprintf(failure.pointer, sizeof(failure.pointer), "%.*s", (int)pointer, verdict.text.data);
        error_set(&failure.why, "%.*s", (int)(verdict.text.size - why), verdict.text.data + why);
    } else {
        describe_death(trial, &verdict, timeout_ms, &failure.why);
    }
    failure_tell(&failure, file_name, settings, err);
    return false;
}

bool image_try(const struct image *image, const char *provider_id,
               const struct config_provider *settings, uint32_t timeout_ms, struct error *err)
{
    const char *slash = strrchr(image->source, '/');
    const char *file_name = slash != NULL ? slash + 1 : image->source;
    struct trial trial = {-1, -1, {-1, -1}, {-1, -1}, .pid = -1};
    bool fit = false;
    buf_init(&trial.reports, REPORTS_MAX);
    buf_init(&trial.said, OUTPUT_MAX);
    struct bytes config = settings != NULL ? settings->config : BYTES("{}");
    if (!open_all(&trial, image, provider_id, config, err) || !start(&trial, image, config, err)) {
        error_prefix(err, "%s", file_name);
        goto out;
    }
    wait_for_end(&trial, timeout_ms);
    reap(&trial);
    fit = judge(&trial, timeout_ms, file_name, settings, err);
out:
    close_one(&trial.program);
    close_one(&trial.request);
    for (int i = READ; i <= WRITE; i++) {
        close_one(&trial.report[i]);
        close_one(&trial.output[i]);
    }
    buf_free(&trial.reports);
    buf_free(&trial.said);
    return fit;
}

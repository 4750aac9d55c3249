/* SPDX-License-Identifier: MIT */
/*
 * The child of a trial: takes a plugin through its life once, and tells how far
 * it came. Foreign code runs here for the first time; nothing of the daemon is
 * within its reach but what every program of this user can reach.
 */
#include "plugin/try.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/crypto.h"
#include "base/log.h"
#include "plugin/inproc.h"

static void report(enum try_kind kind, struct bytes text)
{
    char record[sizeof(struct try_record) + 2048];
    size_t size = text.size < 2048 ? text.size : 2048;
    struct try_record header = {.size = (uint16_t)size, .kind = (uint16_t)kind};
    memcpy(record, &header, sizeof(header));
    if (size > 0)
        memcpy(record + sizeof(header), text.data, size);
    /* In one piece: it is less than PIPE_BUF. */
    ssize_t written = write(TRY_REPORT_FD, record, sizeof(header) + size);
    (void)written;
}

static void report_step(void *context, const char *step)
{
    (void)context;
    report(TRY_STEP, bytes_of(step));
}

static void report_failure(const struct failure *failure)
{
    struct buf text;
    if (!failure->in_config) {
        report(failure->why.no_memory ? TRY_NO_MEMORY : TRY_UNFIT, bytes_of(failure->why.text));
        return;
    }
    buf_init(&text, sizeof(*failure));
    buf_add(&text, failure->pointer, strlen(failure->pointer) + 1);
    buf_add_bytes(&text, bytes_of(failure->why.text));
    report(TRY_UNFIT_CONFIG, buf_bytes(&text));
    buf_free(&text);
}

/* The memory file, whole; NULL: this was not started by image_try. */
static char *read_request(struct try_request *request)
{
    struct stat st;
    if (fstat(TRY_REQUEST_FD, &st) != 0 || st.st_size < (off_t)sizeof(*request) ||
        pread(TRY_REQUEST_FD, request, sizeof(*request), 0) != (ssize_t)sizeof(*request))
        return NULL;
    size_t size = (size_t)st.st_size - sizeof(*request), sum = 0;
    for (size_t i = 0; i < TRY_STRINGS; i++) {
        if (request->sizes[i] > size - sum)
            return NULL;
        sum += (size_t)request->sizes[i];
    }
    char *strings = malloc(size > 0 ? size : 1);
    size_t got = 0;
    while (strings != NULL && got < size) {
        ssize_t n =
            pread(TRY_REQUEST_FD, strings + got, size - got, (off_t)(sizeof(*request) + got));
        if (n <= 0)
            break;
        got += (size_t)n;
    }
    if (got == size)
        return strings;
    free(strings);
    return NULL;
}

/* A process that is killed with the daemon, writes no core, and whose crash is
 * not dressed up by a sanitizer. */
static void become_trial(pid_t parent)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP};
    const struct rlimit none = {0, 0};
    close(TRY_REQUEST_FD);
    close_range(TRY_REPORT_FD + 1, ~0u, 0);
    fcntl(TRY_REPORT_FD, F_SETFD, FD_CLOEXEC);
    prctl(PR_SET_NAME, "mcpd-try");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1); /* it has gone already */
    setrlimit(RLIMIT_CORE, &none);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        signal(faults[i], SIG_DFL);
}

static char *string_at(const struct try_request *request, const char *strings,
                       enum try_string which)
{
    for (size_t i = 0; i < which; i++)
        strings += request->sizes[i];
    return strndup(strings, (size_t)request->sizes[which]);
}

static struct image *make_image(const struct try_request *request, const char *strings)
{
    struct image *image = calloc(1, sizeof(*image));
    char *id = string_at(request, strings, TRY_ID);
    char *version = string_at(request, strings, TRY_VERSION);
    if (image != NULL && id != NULL && version != NULL) {
        image->path = string_at(request, strings, TRY_PATH);
        image->source = string_at(request, strings, TRY_SOURCE);
        image->borrowed = true;
        image->generation = request->generation;
        memcpy(image->id, id, strnlen(id, sizeof(image->id) - 1));
        memcpy(image->version, version, strnlen(version, sizeof(image->version) - 1));
    }
    free(id);
    free(version);
    if (image != NULL && image->path != NULL && image->source != NULL)
        return image;
    image_free(image);
    return NULL;
}

static void try(struct image *image, const char *provider_id, struct bytes config)
{
    const struct config_provider settings = {.id = provider_id, .config = config};
    struct failure failure;
    struct provider *provider =
        inproc_run(image, provider_id, NULL, &settings, NULL, report_step, NULL, &failure);
    if (provider == NULL) {
        report_failure(&failure);
        return;
    }
    provider->ops->stop(provider);
    if (atomic_load(&provider->broken))
        report(TRY_UNFIT, BYTES("called exit in stop or destroy, which a plugin must not"));
    else
        report(TRY_FIT, bytes_of(((struct inproc *)provider)->left));
}

void image_try_child(int argc, char **argv)
{
    struct try_request request;
    if (argc != 2 || strcmp(argv[1], TRY_ARGUMENT) != 0)
        return;
    char *strings = read_request(&request);
    if (strings == NULL || !crypto_init())
        _exit(2);
    become_trial((pid_t)request.parent);
    log_setup(LOG_INFO, LOG_TEXT);

    struct image *image = make_image(&request, strings);
    char *provider_id = string_at(&request, strings, TRY_PROVIDER);
    char *config = string_at(&request, strings, TRY_CONFIG);
    if (image != NULL && provider_id != NULL && config != NULL)
        try(image, provider_id, bytes_of(config));
    else
        report(TRY_NO_MEMORY, BYTES("out of memory"));
    /* Not exit: the plugin's threads may still run. */
    _exit(0);
}

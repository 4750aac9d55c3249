/* SPDX-License-Identifier: MIT */
/* main() of mcpd-worker: what it takes over from mcpd, the plugin's life, the requests
 * of mcpd's control thread. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/thread.h"
#include "base/utf8.h"
#include "plugin/dispatch.h"
#include "plugin/inproc.h"
#include "plugin/worker_process.h"
#include "worker/sandbox.h"
#include "worker/worker.h"

#define EXIT_BROKEN 3 /* the plugin called exit */
#define EXIT_GONE 4 /* mcpd has gone */
#define EXIT_MISFIT 5 /* mcpd is of another build, or says what it would not */

#define FRAME_MAX ((size_t)1 << 30)
#define MALLOC_ARENAS 4
/* What code, stacks and libraries take besides what the plugin may have. */
#define ADDRESS_SPACE_MIB 1024

struct wire worker_wire;

/* Why the worker ends now. */
static const char *without_memory(void)
{
    static _Thread_local char text[300];
    snprintf(text, sizeof(text), "is out of memory%s", error_memory_hint());
    return text;
}

void worker_send(const struct frame *frame)
{
    switch (wire_send(&worker_wire, frame)) {
    case WIRE_BROKEN:
        _exit(EXIT_GONE);
    case WIRE_FULL:
        worker_end_broken(without_memory());
    case WIRE_SENT:
    case WIRE_KEPT:
        break;
    }
}

_Noreturn void worker_end_broken(const char *why)
{
    const struct frame frame = {.type = FRAME_BROKEN, .texts = {bytes_of(why)}};
    wire_send(&worker_wire, &frame);
    wire_flush(&worker_wire);
    _exit(EXIT_BROKEN);
}

/* ---- what mcpd is told ---- */

static void send_log(enum log_level level, struct bytes text)
{
    const struct frame frame = {.type = FRAME_LOG, .numbers = {level}, .texts = {text}};
    worker_send(&frame);
}

static void send_changed(struct provider_owner *owner, struct provider *provider, uint32_t what)
{
    const struct frame frame = {.type = FRAME_CHANGED, .numbers = {what}};
    (void)owner;
    (void)provider;
    worker_send(&frame);
}

static void send_updated(struct provider_owner *owner, struct bytes uri)
{
    const struct frame frame = {.type = FRAME_UPDATED, .texts = {uri}};
    (void)owner;
    worker_send(&frame);
}

static void send_step(void *context, const char *step)
{
    const struct frame frame = {.type = FRAME_STEP, .texts = {bytes_of(step)}};
    (void)context;
    worker_send(&frame);
}

static void send_offers(uint64_t id, const struct offers *offers)
{
    for (unsigned kind = 0; kind < OFFER_KINDS; kind++) {
        const struct offer_list *list = &offers->lists[kind];
        for (size_t i = 0; i < list->count; i++) {
            const struct offer_terms *terms = &list->offers[i].terms;
            const struct frame frame = {.type = FRAME_OFFER,
                                        .id = id,
                                        .numbers = {[TERM_KIND] = kind,
                                                    [TERM_FLAGS] = terms->flags,
                                                    [TERM_TAG] = terms->tag,
                                                    [TERM_TIMEOUT] = terms->timeout_ms,
                                                    [TERM_CONCURRENCY] = terms->concurrency},
                                        .texts = {terms->definition}};
            worker_send(&frame);
        }
    }
}

static void send_done(uint64_t id, enum frame_done result, uint64_t flags,
                      const struct failure *failure)
{
    struct frame frame = {.type = FRAME_DONE,
                          .id = id,
                          .numbers = {[DONE_RESULT] = result, [DONE_FLAGS] = flags},
                          .texts = {BYTES(""), BYTES("")}};
    if (failure != NULL) {
        frame.texts[DONE_WHY] = bytes_of(failure->why.text);
        if (failure->in_config) {
            frame.texts[DONE_POINTER] = bytes_of(failure->pointer);
            frame.numbers[DONE_FLAGS] |= DONE_IN_CONFIG;
        }
    }
    worker_send(&frame);
}

/* ---- calls into the plugin ---- */

static const struct provider_ops *inproc_ops;

/* Broken where nobody noticed but the flag: in on_cancel. */
static _Noreturn void end_exited(void)
{
    worker_end_broken("called exit, which a plugin must not");
}

/* The in-process link lives on with a plugin that has called exit; a worker need not. */
static void call_plugin(struct provider *provider, struct call *call)
{
    inproc_ops->call(provider, call);
    if (atomic_load_explicit(&provider->broken, memory_order_relaxed))
        end_exited();
}

static struct provider_ops worker_provider_ops;

static void exited_in_thread(void)
{
    worker_end_broken("called exit in a thread of its own, which a plugin must not");
}

static void broken(const char *why)
{
    worker_end_broken(why);
}

/* ---- what mcpd asks ---- */

/* One request at a time, from the thread that reads to main. */
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t there;
    bool full;
    enum frame_type type;
    uint64_t id;
    struct bytes text; /* from malloc */
} mailbox = {.mutex = PTHREAD_MUTEX_INITIALIZER, .there = PTHREAD_COND_INITIALIZER};

static bool post(const struct frame *frame)
{
    struct bytes text = {NULL, 0};
    if (frame->type == FRAME_RECONFIGURE) {
        text = (struct bytes){strndup(frame->texts[0].data, frame->texts[0].size),
                              frame->texts[0].size};
        if (text.data == NULL)
            return false;
    }
    pthread_mutex_lock(&mailbox.mutex);
    bool room = !mailbox.full;
    if (room) {
        mailbox.full = true;
        mailbox.type = frame->type;
        mailbox.id = frame->id;
        mailbox.text = text;
        pthread_cond_signal(&mailbox.there);
    }
    pthread_mutex_unlock(&mailbox.mutex);
    return room;
}

static void answer_offers(struct provider *provider, uint64_t id)
{
    struct failure failure = {.in_config = false};
    struct offers *offers = inproc_collect((struct inproc *)provider, &failure);
    if (offers != NULL) {
        send_offers(id, offers);
        offers_unref(offers);
    }
    send_done(id, offers != NULL ? DONE_WELL : DONE_FAILED, 0, offers != NULL ? NULL : &failure);
}

static void answer_reconfigure(struct provider *provider, uint64_t id, struct bytes text)
{
    const struct config_provider settings = {.id = provider->id, .config = text};
    struct failure failure = {.in_config = false};
    int result = inproc_reconfigure_with((struct inproc *)provider, &settings, &failure);
    const enum frame_done done = result > 0 ? DONE_WELL : result == 0 ? DONE_CANNOT : DONE_FAILED;
    send_done(id, done, 0, &failure);
}

static _Noreturn void answer_stop(struct provider *provider, uint64_t id)
{
    inproc_ops->stop(provider);
    send_done(id, DONE_WELL, 0, NULL);
    _exit(EXIT_SUCCESS);
}

static _Noreturn void serve_requests(struct provider *provider)
{
    for (;;) {
        pthread_mutex_lock(&mailbox.mutex);
        while (!mailbox.full)
            pthread_cond_wait(&mailbox.there, &mailbox.mutex);
        enum frame_type type = mailbox.type;
        uint64_t id = mailbox.id;
        struct bytes text = mailbox.text;
        mailbox.full = false;
        pthread_mutex_unlock(&mailbox.mutex);
        if (type == FRAME_GET_OFFERS)
            answer_offers(provider, id);
        else if (type == FRAME_RECONFIGURE)
            answer_reconfigure(provider, id, text);
        else
            answer_stop(provider, id);
        if (atomic_load(&provider->broken))
            end_exited();
        free((char *)text.data);
    }
}

/* ---- the thread that reads ---- */

/* Held until the plugin is loaded: till then nobody reads. */
static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;

static void *read_frames(void *unused)
{
    struct frame frame;
    const char *fault;
    enum frame_read read;

    (void)unused;
    pthread_mutex_lock(&loading);
    pthread_mutex_unlock(&loading);
    for (;;) {
        /* Answers of calls that do not block go together. */
        wire_hold(&worker_wire);
        while ((read = wire_next(&worker_wire, &frame, &fault)) == FRAME_WHOLE) {
            bool mine = frame.type == FRAME_CALL || frame.type == FRAME_CANCEL ||
                        frame.type == FRAME_TASK_ANSWER;
            if (!(mine ? calls_take(&frame) : post(&frame)))
                _exit(EXIT_MISFIT);
        }
        if (read == FRAME_ILLEGAL)
            _exit(EXIT_MISFIT);
        if (wire_flush(&worker_wire) == WIRE_BROKEN || wire_receive(&worker_wire) == WIRE_CLOSED)
            _exit(EXIT_GONE);
    }
    return NULL;
}

/* ---- the start ---- */

static void limit(int which, uint64_t most)
{
    struct rlimit limits;
    if (getrlimit((enum __rlimit_resource)which, &limits) != 0)
        return;
    if (limits.rlim_max == RLIM_INFINITY || most < limits.rlim_max)
        limits.rlim_max = most;
    limits.rlim_cur = limits.rlim_max;
    setrlimit((enum __rlimit_resource)which, &limits);
}

/* A process that is killed with the thread of mcpd that started it, writes no core, gains
 * no privileges, and whose crash is not dressed up by a sanitizer. */
static void become_worker(pid_t parent)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP};
    close_range(WORKER_SOCKET_FD + 1, ~0u, 0);
    fcntl(WORKER_SOCKET_FD, F_SETFD, FD_CLOEXEC);
    prctl(PR_SET_NAME, "mcpd-worker");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_GONE);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    limit(RLIMIT_CORE, 0);
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        signal(faults[i], SIG_DFL);
    mallopt(M_ARENA_MAX, MALLOC_ARENAS);
    setvbuf(stdout, NULL, _IOLBF, 0); /* a pipe: its lines shall not wait for its end */
}

static void limit_memory(uint64_t mib, struct bytes provider_id)
{
#ifdef MCPD_SANITIZE
    (void)mib, (void)provider_id; /* its shadow alone takes terabytes of addresses */
#else
    static char memory_hint[160];
    if (mib == 0)
        return;
    snprintf(memory_hint, sizeof(memory_hint), " (providers.%.*s.memory_mib is %ju: raise it)",
             BYTES_FMT(provider_id), (uintmax_t)mib);
    error_set_memory_hint(memory_hint);
    limit(RLIMIT_DATA, mib << 20);
    limit(RLIMIT_AS, (mib + ADDRESS_SPACE_MIB) << 20);
#endif
}

/* The first frame. */
static struct frame receive_load(void)
{
    struct frame frame;
    const char *fault;
    enum frame_read read;

    while ((read = wire_next(&worker_wire, &frame, &fault)) == FRAME_PART)
        if (wire_receive(&worker_wire) == WIRE_CLOSED)
            _exit(EXIT_GONE);
    if (read == FRAME_ILLEGAL || frame.type != FRAME_LOAD ||
        frame.numbers[LOAD_VERSION] != FRAME_VERSION)
        worker_end_broken("is of another build than mcpd: restart mcpd");
    return frame;
}

static char *text_of(const struct frame *frame, unsigned which)
{
    char *text = strndup(frame->texts[which].data, frame->texts[which].size);
    if (text == NULL)
        worker_end_broken(without_memory());
    return text;
}

static struct image *make_image(const struct frame *load)
{
    struct image *image = calloc(1, sizeof(*image));
    if (image == NULL)
        worker_end_broken(without_memory());
    char *id = text_of(load, LOAD_ID), *version = text_of(load, LOAD_PLUGIN_VERSION);
    image->path = text_of(load, LOAD_PATH);
    image->source = text_of(load, LOAD_SOURCE);
    image->borrowed = true;
    image->generation = load->numbers[LOAD_GENERATION];
    memcpy(image->id, id, strnlen(id, sizeof(image->id) - 1));
    memcpy(image->version, version, strnlen(version, sizeof(image->version) - 1));
    free(id);
    free(version);
    return image;
}

/* Before anything of the plugin is there. The wire is all that it needs to have. */
static void confine(const struct frame *frame)
{
    const struct sandbox_kernel kernel = sandbox_probe();
    struct sandbox sandbox;
    struct failure failure = {.in_config = false};
    struct error err;
    char *image = text_of(frame, LOAD_PATH);
    bool first = (frame->numbers[LOAD_FLAGS] & LOAD_WANTS_OFFERS) != 0;

    if (!sandbox_read(&sandbox, frame->texts[LOAD_SANDBOX]))
        worker_end_broken("does not understand what sandbox it shall have: restart mcpd");
    bool lacks = sandbox.enabled && sandbox_lacks(&kernel, &sandbox, &err);
    if (lacks && !sandbox.required)
        log_at(first ? LOG_WARNING : LOG_INFO,
               "its worker process is not wholly confined, for this kernel lacks %s", err.text);
    if (lacks && sandbox.required)
        error_set(&failure.why,
                  "cannot be wholly confined, which plugins.require_sandbox demands: this kernel "
                  "lacks %s",
                  err.text);
    else if (sandbox.enabled && !sandbox_enter(&sandbox, &kernel, image, &err))
        error_set(&failure.why, "cannot be confined: %s", err.text);
    if (failure.why.text[0] != '\0') {
        send_done(frame->id, DONE_FAILED, 0, &failure);
        _exit(EXIT_SUCCESS);
    }
    sandbox_free(&sandbox);
    free(image);
}

/* What fails for want of memory says so in words of its own. */
static void name_bound(struct error *why)
{
    const char *hint = error_memory_hint();
    bool no_memory = strcasestr(why->text, "out of memory") != NULL ||
                     strstr(why->text, strerror(ENOMEM)) != NULL;
    if (no_memory && strstr(why->text, hint) == NULL)
        error_set(why, "%s%s", why->text, hint);
}

static struct provider *load(const struct frame *frame)
{
    static struct provider_owner owner = {.changed = send_changed, .updated = send_updated};
    static struct config_provider settings; /* its strings live as long */
    struct failure failure = {.in_config = false};
    struct error err;

    settings.id = text_of(frame, LOAD_PROVIDER);
    settings.config = bytes_of(text_of(frame, LOAD_CONFIG));
    struct image *image = make_image(frame);
    plugin_on_exit(exited_in_thread);
    inproc_on_broken(broken);
    if (!dispatch_start((uint32_t)frame->numbers[LOAD_WORKERS],
                        (uint32_t)frame->numbers[LOAD_QUEUE], &err))
        worker_end_broken(err.text);
    struct provider *provider =
        inproc_run(image, settings.id, NULL, &settings, &owner, send_step, NULL, &failure);
    if (provider == NULL) {
        name_bound(&failure.why);
        send_done(frame->id, DONE_FAILED, 0, &failure);
        _exit(EXIT_SUCCESS);
    }
    inproc_ops = provider->ops;
    worker_provider_ops = *inproc_ops;
    worker_provider_ops.call = call_plugin;
    provider->ops = &worker_provider_ops;
    if (!calls_init(provider))
        worker_end_broken(without_memory());
    if ((frame->numbers[LOAD_FLAGS] & LOAD_WANTS_OFFERS) != 0)
        send_offers(frame->id, provider->offers);
    uint64_t flags = (uint64_t)provider->check_flags << DONE_CHECK_FLAGS;
    if (provider->completes)
        flags |= DONE_COMPLETES;
    if (provider->checks)
        flags |= DONE_CHECKS;
    send_done(frame->id, DONE_WELL, flags, NULL);
    return provider;
}

int main(int argc, char **argv)
{
    pthread_t reader;
    struct error err;
    int type = 0;
    socklen_t size = sizeof(type);

    if (argc != 3 || getsockopt(WORKER_SOCKET_FD, SOL_SOCKET, SO_TYPE, &type, &size) != 0 ||
        type != SOCK_STREAM) {
        fputs("mcpd-worker: mcpd starts this program for a provider with \"isolation\": "
              "\"process\"; see mcpd.json(5)\n",
              stderr);
        return 2;
    }
    become_worker((pid_t)strtol(argv[1], NULL, 10));
    wire_init(&worker_wire, WORKER_SOCKET_FD, true, FROM_MCPD, FRAME_MAX);
    struct frame frame = receive_load();
    log_setup((enum log_level)(frame.numbers[LOAD_FLAGS] & LOAD_LOG_LEVEL), LOG_TEXT);
    log_set_sink(send_log);
    limit_memory(frame.numbers[LOAD_FLAGS] >> LOAD_MEMORY_SHIFT, frame.texts[LOAD_PROVIDER]);
    call_set_limits((uint32_t)frame.numbers[LOAD_MAX_RESULT]);
    if (!crypto_init())
        worker_end_broken("found that the system gives no random numbers");
    confine(&frame);
    /* What it needs itself it has before the plugin is there, or not at all. */
    pthread_mutex_lock(&loading);
    if (!thread_start(&reader, "mcpd-reader", read_frames, NULL, &err))
        worker_end_broken(err.text);
    struct provider *provider = load(&frame);
    pthread_mutex_unlock(&loading);
    serve_requests(provider);
}

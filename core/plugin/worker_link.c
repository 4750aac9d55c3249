/* SPDX-License-Identifier: MIT */
/* The thread of a link: starts workers, listens to them, buries them. */
#include "plugin/worker_link.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "base/utf8.h"
#include "plugin/environment.h"
#include "plugin/worker_private.h"

/* How often it looks at what has grown old, while there is a worker. */
#define TICK_NS NS_PER_S
/* A worker that lived so long has the next one started at once. */
#define LONG_LIFE_NS (100 * NS_PER_MS)
#define PAUSE_MAX_NS (2 * NS_PER_S)
/* How long a replaced worker may finish what it does. */
#define LEAVE_NS (5 * NS_PER_S)
/* What a worker whose socket is closed has to die of its own. */
#define DYING_MS 500

#define LOG_BURST 200
#define LOG_RATE 50

/* ---- references ---- */

struct worker *worker_ref(struct worker *worker)
{
    atomic_fetch_add_explicit(&worker->references, 1, memory_order_relaxed);
    return worker;
}

void worker_unref(struct worker *worker)
{
    if (atomic_fetch_sub(&worker->references, 1) != 1)
        return;
    for (uint32_t i = 0; i < worker->places; i++)
        free(worker->table[i]);
    free(worker->table);
    wire_free(&worker->wire);
    free(worker);
}

void link_wake(struct worker_link *link)
{
    eventfd_write(link->wake_fd, 1);
}

/* ---- what it says to the operator ---- */

/* A worker of ours keeps to the same rate by itself. */
static bool may_log(struct worker_link *link)
{
    int64_t now = clock_now_coarse(), passed = (now - link->log.time) / NS_PER_MS;
    const int64_t full = INT64_C(1000) * LOG_BURST;
    if (passed > 0) {
        link->log.time = now;
        link->log.tokens += passed < full ? passed * LOG_RATE : full;
        if (link->log.tokens > full)
            link->log.tokens = full;
    }
    if (link->log.tokens < 1000) {
        link->log.dropped++;
        return false;
    }
    link->log.tokens -= 1000;
    if (link->log.dropped > 0)
        log_warning("%s: %ju lines of its worker process were left out: it writes too many",
                    link->provider.id, (uintmax_t)link->log.dropped);
    link->log.dropped = 0;
    return true;
}

static void log_frame(struct worker_link *link, const struct frame *frame)
{
    const struct bytes text = frame->texts[0];
    const char *id = link->provider.id;
    size_t length = strlen(id);
    uint64_t number = frame->numbers[0];
    enum log_level level = number < LOG_ERROR   ? LOG_ERROR
                           : number > LOG_DEBUG ? LOG_DEBUG
                                                : (enum log_level)number;
    if (!log_wants(level) || !may_log(link))
        return;
    /* Nobody speaks in another's name. */
    bool named = text.size > length && memcmp(text.data, id, length) == 0 &&
                 (text.data[length] == ':' || text.data[length] == '/');
    log_at(level, "%s%s%.*s", named ? "" : id, named ? "" : ": ", BYTES_FMT(text));
}

/* What its C library or a careless plugin writes; the last of it is often why it dies. */
static void log_output(void *context, struct bytes line)
{
    struct worker_link *link = ((struct worker *)context)->link;
    if (may_log(link))
        log_notice("%s: its worker process wrote: %.*s", link->provider.id, BYTES_FMT(line));
}

/* ---- the request of the control thread ---- */

/* Whether this worker has the request that is waited for. link.mutex held. */
static bool has_request(const struct worker_link *link, const struct worker *worker)
{
    return link->request.active && !link->request.answered && link->request.worker == worker;
}

/* link.mutex held. */
static void answer_request(struct worker_link *link, enum frame_done result)
{
    link->request.result = result;
    link->request.answered = true;
    pthread_cond_broadcast(&link->answered);
}

static void fail_request(struct worker_link *link, const struct worker *worker,
                         const struct error *why)
{
    pthread_mutex_lock(&link->mutex);
    if (has_request(link, worker)) {
        link->request.failure.in_config = false;
        link->request.failure.why = *why;
        answer_request(link, DONE_FAILED);
    }
    pthread_mutex_unlock(&link->mutex);
}

/* ---- what it waits for ---- */

/* What a worker has to be looked at for: in the low bits of what epoll is given, the worker's
 * number above them. It is no address, for a descriptor that is closed stays in the set while a
 * child that was just forked has it too, and so is still told of when the worker is gone. */
enum { AT_SOCKET, AT_END, AT_OUTPUT, AT_BITS = 2, AT_MASK = 3 };
#define EVENTS 16

static void watch_fd(const struct worker_link *link, int operation, int fd, uint32_t events,
                     uint64_t number, unsigned what)
{
    struct epoll_event event = {.events = events, .data.u64 = number << AT_BITS | what};
    if (fd >= 0)
        epoll_ctl(link->epoll_fd, operation, fd, &event);
}

static void watch_worker(const struct worker_link *link, const struct worker *worker)
{
    watch_fd(link, EPOLL_CTL_ADD, worker->wire.fd, EPOLLIN, worker->number, AT_SOCKET);
    watch_fd(link, EPOLL_CTL_ADD, worker->process.pid_fd, EPOLLIN, worker->number, AT_END);
    watch_fd(link, EPOLL_CTL_ADD, worker->process.output_fd, EPOLLIN, worker->number, AT_OUTPUT);
}

/* ---- starting a worker ---- */

static void load_frame(struct worker_link *link, struct frame *frame, uint64_t id, bool offers)
{
    const struct image *image = link->image;
    uint64_t flags = (uint64_t)link->memory_mib << LOAD_MEMORY_SHIFT;
    for (unsigned level = LOG_ERROR; level <= LOG_DEBUG && log_wants((enum log_level)level);
         level++)
        flags = (flags & ~(uint64_t)LOAD_LOG_LEVEL) | level;
    if (offers)
        flags |= LOAD_WANTS_OFFERS;
    *frame = (struct frame){
        .type = FRAME_LOAD,
        .id = id,
        .numbers = {[LOAD_VERSION] = FRAME_VERSION,
                    [LOAD_GENERATION] = image->generation,
                    [LOAD_WORKERS] = link->pool,
                    [LOAD_QUEUE] = link->queue,
                    [LOAD_MAX_RESULT] = call_max_result(),
                    [LOAD_FLAGS] = flags},
        .texts = {[LOAD_PATH] = bytes_of(image->path),
                  [LOAD_SOURCE] = bytes_of(image->source),
                  [LOAD_ID] = bytes_of(image->id),
                  [LOAD_PLUGIN_VERSION] = bytes_of(image->version),
                  [LOAD_PROVIDER] = bytes_of(link->provider.id),
                  [LOAD_CONFIG] = link->config,
                  [LOAD_SANDBOX] = buf_bytes(&link->sandbox)},
    };
}

/* With the variables that its configuration names now. */
static bool start_process(struct worker_link *link, struct worker *worker, int *fd,
                          struct error *err)
{
    const struct bytes needs =
        link->image->needs != NULL ? bytes_of(link->image->needs) : BYTES("");
    pthread_mutex_lock(&link->mutex);
    char **environment = environment_make(NULL, needs, link->config);
    pthread_mutex_unlock(&link->mutex);
    bool started = environment != NULL
                       ? worker_start(&worker->process, link->provider.id, environment, fd, err)
                       : error_no_memory_for(err, "its worker cannot be started");
    environment_free(environment);
    return started;
}

static struct worker *worker_new(struct worker_link *link, struct error *err)
{
    struct worker *worker = calloc(1, sizeof(*worker));
    int fd = -1;
    if (worker == NULL) {
        error_no_memory_for(err, "cannot be started");
        return NULL;
    }
    if (!start_process(link, worker, &fd, err)) {
        free(worker);
        return NULL;
    }
    atomic_init(&worker->references, 1);
    worker->link = link;
    worker->started_ns = clock_now();
    worker->due_ns = worker->started_ns + link->start_timeout_ms * NS_PER_MS;
    /* Results come as text and JSON, each as long as it may be. */
    wire_init(&worker->wire, fd, false, FROM_WORKER,
              (size_t)call_max_result() * 2 + ((size_t)1 << 20));
    snprintf(worker->step, sizeof(worker->step), "its start");
    return worker;
}

/* Starts one and sends it what it is to load; calls may follow at once. */
static void start_next(struct worker_link *link)
{
    struct error why = {.text = ""};
    struct frame frame;
    struct worker *worker = worker_new(link, &why);

    link->start_ns = 0;
    if (worker == NULL) {
        link_worker_lost(link, NULL, &why);
        fail_request(link, NULL, &why);
        link_fail_waiting(link);
        return;
    }
    worker->next = link->workers;
    link->workers = worker;
    worker->number = ++link->started;
    watch_worker(link, worker);
    pthread_mutex_lock(&link->mutex);
    bool first = link->request.active && link->request.type == FRAME_LOAD;
    worker->load_id = ++link->requests;
    load_frame(link, &frame, worker->load_id, first);
    if (first) {
        link->request.id = frame.id;
        link->request.worker = worker;
    }
    /* Under the mutex: nobody shall send before. */
    wire_send(&worker->wire, &frame);
    if (link->current != NULL)
        worker_unref(link->current);
    link->current = worker_ref(worker);
    link->starting = START_NEVER;
    pthread_mutex_unlock(&link->mutex);
    link_give_waiting(link, worker);
}

/* ---- the death of a worker ---- */

/* 0, 10 ms, 20 ms, 40 ms ... for those that did not live long. */
static int64_t next_pause(struct worker_link *link, bool long_lived)
{
    link->short_lives = long_lived ? 0 : link->short_lives + 1;
    if (link->short_lives <= 1)
        return 0;
    uint32_t doublings = link->short_lives - 2 < 10 ? link->short_lives - 2 : 10;
    int64_t pause = (10 * NS_PER_MS) << doublings;
    return pause < PAUSE_MAX_NS ? pause : PAUSE_MAX_NS;
}

/* The next one starts, but not now: who has come since the death need not wait. */
static void start_later(struct worker_link *link, int64_t at_ns)
{
    link->start_ns = at_ns;
    pthread_mutex_lock(&link->mutex);
    link->starting = START_LATER;
    pthread_mutex_unlock(&link->mutex);
    link_fail_waiting(link);
}

/* The breaker has opened: nobody starts until it lets a call through to try. */
static void take_out_of_service(struct worker_link *link, uint32_t deaths, const struct error *why)
{
    struct breaker *breaker = &link->provider.breaker;
    char text[BREAKER_TEXT];
    breaker_describe(breaker, clock_now(), text);
    start_later(link, breaker_next_trial(breaker));
    log_error("%s: its worker process %s; that is death number %u within a minute "
              "(plugins.max_worker_deaths): %s; a new file or configuration, or a reload of mcpd, "
              "brings it back at once",
              link->provider.id, why->text, deaths, text);
}

/* What comes after a death: another one, later or never. `worker` is NULL when there was
 * not even a process. */
void link_worker_lost(struct worker_link *link, struct worker *worker, const struct error *why)
{
    int64_t now = clock_now();
    bool long_lived = worker != NULL && now - worker->started_ns >= LONG_LIFE_NS;
    uint32_t inside = 0;

    pthread_mutex_lock(&link->mutex);
    bool first = link->request.active && link->request.type == FRAME_LOAD;
    bool replaced = worker != NULL && link->current != worker;
    if (first)
        link->request.worker = worker; /* also when there is none */
    if (worker != NULL)
        inside = worker->inside;
    if (!replaced && link->current != NULL) {
        worker_unref(link->current);
        link->current = NULL;
    }
    if (!replaced)
        error_set(&link->unavailable, "the provider's worker process %s and has not started again",
                  why->text);
    bool ending = first || link->ending || link->stopping || provider_is_retired(&link->provider);
    if (!replaced && !ending)
        link->starting = START_AT_ONCE; /* unless something below speaks against it */
    pthread_mutex_unlock(&link->mutex);
    if (ending) /* who asked is told */
        return;
    struct breaker *breaker = &link->provider.breaker;
    uint32_t deaths = 0;
    /* That of a replaced one says nothing of a trial, which another worker has. */
    bool told = !replaced || breaker_is_closed(breaker);
    bool opened = told && breaker_died(breaker, now, &deaths);
    int64_t pause = next_pause(link, long_lived);
    if (replaced) {
        log_error("%s: its worker process, which had been replaced, %s (calls in it: %u)",
                  link->provider.id, why->text, inside);
        return;
    }
    if (opened || !breaker_is_closed(breaker)) {
        take_out_of_service(link, deaths, why);
        return;
    }
    if (pause > 0)
        start_later(link, now + pause);
    else
        link->start_ns = now;
    log_error("%s: its worker process %s (calls in it: %u); another one starts%s",
              link->provider.id, why->text, inside, pause == 0 ? "" : " after a pause");
}

static void unlink_worker(struct worker_link *link, const struct worker *worker)
{
    struct worker **place = &link->workers;
    while (*place != worker)
        place = &(*place)->next;
    *place = worker->next;
}

/* It is dead, or dies now. The next one is started before its calls are told. */
static void bury(struct worker_link *link, struct worker *worker)
{
    struct error why;
    int status;

    if (worker->why.text[0] == '\0' && worker->process.pid_fd >= 0) {
        struct pollfd end = {.fd = worker->process.pid_fd, .events = POLLIN};
        poll(&end, 1, DYING_MS);
    }
    watch_fd(link, EPOLL_CTL_DEL, worker->wire.fd, 0, 0, 0);
    worker_reap(&worker->process, &status, log_output, worker);
    worker_describe_end(status, &why);
    if (worker->why.text[0] != '\0')
        why = worker->why;
    if (worker->due_ns != 0 && worker->why.text[0] == '\0')
        error_set(&why, "%s in %s", why.text, worker->step);
    unlink_worker(link, worker);
    link_worker_lost(link, worker, &why);
    if (link->start_ns != 0 && link->start_ns <= clock_now())
        start_next(link);
    fail_request(link, worker, &why);
    worker_fail_calls(worker, &why);
    worker_unref(worker);
}

/* Decides that it has to go. */
__attribute__((format(printf, 2, 3))) static void condemn(struct worker *worker, const char *format,
                                                          ...)
{
    va_list args;
    if (worker->lost)
        return;
    worker->lost = true;
    va_start(args, format);
    vsnprintf(worker->why.text, sizeof(worker->why.text), format, args);
    va_end(args);
}

/* ---- what a worker says ---- */

static struct bytes as_text(struct bytes text)
{
    return (struct bytes){text.data, utf8_valid_prefix(text)};
}

static void take_offer(struct worker_link *link, struct worker *worker, const struct frame *frame)
{
    const struct offer_terms terms = {
        .definition = frame->texts[0],
        .flags = (uint32_t)frame->numbers[TERM_FLAGS],
        .tag = frame->numbers[TERM_TAG],
        .timeout_ms = (uint32_t)frame->numbers[TERM_TIMEOUT],
        .concurrency = (uint32_t)frame->numbers[TERM_CONCURRENCY],
    };
    const uint64_t kind = frame->numbers[TERM_KIND];
    struct error err = {.text = "there are too many"};

    pthread_mutex_lock(&link->mutex);
    struct offers *offers =
        has_request(link, worker) && link->request.id == frame->id ? link->request.offers : NULL;
    pthread_mutex_unlock(&link->mutex);
    if (offers == NULL || kind >= OFFER_KINDS)
        condemn(worker, "offered what it was not asked for");
    else if (offers->lists[kind].count >= OFFERS_MAX ||
             !offers_add(offers, (enum offer_kind)kind, &terms, &err))
        condemn(worker, "offered what is not legal: %s", err.text);
}

static void copy_failure(const struct frame *frame, struct failure *failure)
{
    const struct bytes pointer = as_text(frame->texts[DONE_POINTER]);
    const struct bytes why = as_text(frame->texts[DONE_WHY]);
    failure->in_config = (frame->numbers[DONE_FLAGS] & DONE_IN_CONFIG) != 0;
    snprintf(failure->pointer, sizeof(failure->pointer), "%.*s", BYTES_FMT(pointer));
    error_set(&failure->why, "%.*s", BYTES_FMT(why));
}

/* A worker that serves again may offer something else than the one before. */
static void loaded_again(struct worker_link *link, const struct worker *worker)
{
    struct provider_owner *owner = atomic_load(&link->provider.owner);
    log_notice("%s: its worker process serves again (process %d, after %.1f ms)", link->provider.id,
               (int)worker->process.pid, (double)(clock_now() - worker->started_ns) / NS_PER_MS);
    if (owner != NULL)
        owner->changed(owner, &link->provider,
                       MCP_CHANGED_TOOLS | MCP_CHANGED_RESOURCES | MCP_CHANGED_PROMPTS);
}

static void take_done(struct worker_link *link, struct worker *worker, const struct frame *frame)
{
    const uint64_t result = frame->numbers[DONE_RESULT];
    bool loading = worker->due_ns != 0;
    bool mine = false;

    if (result > DONE_CANNOT) {
        condemn(worker, "answered with a result that there is not");
        return;
    }
    if (loading && frame->id != worker->load_id) {
        condemn(worker, "answered something else before what it was to load");
        return;
    }
    pthread_mutex_lock(&link->mutex);
    if (has_request(link, worker) && link->request.id == frame->id) {
        mine = true;
        copy_failure(frame, &link->request.failure);
        link->request.flags = frame->numbers[DONE_FLAGS];
        link->request.pid = (int)worker->process.pid;
        answer_request(link, (enum frame_done)result);
    }
    pthread_mutex_unlock(&link->mutex);
    if (!mine && !loading) {
        condemn(worker, "answered what it was not asked");
        return;
    }
    if (loading && result != DONE_WELL && !mine) {
        struct failure failure;
        copy_failure(frame, &failure);
        condemn(worker, "could not start again: %s", failure.why.text);
    }
    if (loading)
        worker->loaded_ns = clock_now();
    worker->due_ns = 0;
    if (loading && result == DONE_WELL && !mine)
        loaded_again(link, worker);
}

static void take_updated(struct worker_link *link, struct bytes uri)
{
    struct provider_owner *owner = atomic_load(&link->provider.owner);
    if (owner != NULL && uri.size > 0 && uri.size <= URI_MAX && utf8_valid(uri))
        owner->updated(owner, uri);
}

static void take_changed(struct worker_link *link, uint64_t what)
{
    struct provider_owner *owner = atomic_load(&link->provider.owner);
    if (owner != NULL && what != 0)
        owner->changed(owner, &link->provider, (uint32_t)what);
}

void worker_take_frame(struct worker *worker, const struct frame *frame)
{
    struct worker_link *link = worker->link;
    const char *fault;

    switch (frame->type) {
    case FRAME_STEP:
        snprintf(worker->step, sizeof(worker->step), "%.*s", BYTES_FMT(as_text(frame->texts[0])));
        break;
    case FRAME_OFFER:
        take_offer(link, worker, frame);
        break;
    case FRAME_DONE:
        take_done(link, worker, frame);
        break;
    case FRAME_LOG:
        log_frame(link, frame);
        break;
    case FRAME_CHANGED:
        take_changed(link, frame->numbers[0]);
        break;
    case FRAME_UPDATED:
        take_updated(link, frame->texts[0]);
        break;
    case FRAME_BROKEN:
        condemn(worker, "%.*s", BYTES_FMT(as_text(frame->texts[0])));
        break;
    default:
        if (!worker_take_call_frame(worker, frame, &fault))
            condemn(worker, "said %s as mcpd-worker would not (%s) and was killed",
                    frame_name(frame->type), fault);
    }
}

/* Takes what has come, as much as fits into the buffer. */
static void listen_to(struct worker *worker)
{
    struct frame frame;
    const char *fault;
    enum frame_read read = FRAME_PART;
    enum wire_got got = wire_receive(&worker->wire);

    if (got == WIRE_CLOSED)
        worker->lost = true;
    if (got != WIRE_SOME)
        return;
    while (!worker->lost && (read = wire_next(&worker->wire, &frame, &fault)) == FRAME_WHOLE)
        worker_take_frame(worker, &frame);
    if (read == FRAME_ILLEGAL)
        condemn(worker, "sent a frame that is not legal (%s) and was killed", fault);
}

/* ---- time ---- */

/* Another takes its place; what still runs in it may end. */
static void replace(struct worker_link *link, struct worker *worker, uint32_t overdue)
{
    log_error("%s: %u calls in its worker process do not end although they were cancelled: it is "
              "replaced",
              link->provider.id, overdue);
    worker->kill_ns = clock_now() + LEAVE_NS;
    pthread_mutex_lock(&link->mutex);
    bool current = link->current == worker;
    pthread_mutex_unlock(&link->mutex);
    if (current && !provider_is_retired(&link->provider))
        start_next(link);
}

static void check_times(struct worker_link *link, struct worker *worker, int64_t now)
{
    uint32_t inside, overdue, time_ms = link->start_timeout_ms;

    pthread_mutex_lock(&link->mutex);
    bool late =
        has_request(link, worker) && link->request.due_ns != 0 && link->request.due_ns < now;
    bool given_up = load_is_given_up() && has_request(link, worker) && !link->ending;
    if (late)
        time_ms = link->request.time_ms;
    pthread_mutex_unlock(&link->mutex);
    if (given_up)
        condemn(worker, "is not waited for any longer: mcpd ends");
    if ((worker->due_ns != 0 && worker->due_ns < now) || late)
        condemn(
            worker,
            "had not returned from %s after %u.%03u s: it hangs, or plugins.start_timeout_ms is "
            "too short for it",
            worker->step, time_ms / 1000, time_ms % 1000);
    if (worker->due_ns != 0) /* it has not read any call yet */
        return;
    overdue = worker_count_overdue(worker, &inside);
    if (overdue > 0 && worker->kill_ns == 0)
        replace(link, worker, overdue); /* calls have come to it meanwhile: counted anew */
    else if (worker->kill_ns != 0 && (inside == overdue || worker->kill_ns < now))
        condemn(worker, "was killed: %u of its calls had not ended although they were cancelled",
                overdue);
}

/* Until when it may sleep. */
static int64_t next_look(const struct worker_link *link, int64_t now)
{
    int64_t next = INT64_MAX;
    if (link->start_ns != 0)
        next = link->start_ns;
    for (const struct worker *w = link->workers; w != NULL; w = w->next) {
        if (w->lost)
            return now;
        if (now + TICK_NS < next)
            next = now + TICK_NS;
        if (w->due_ns != 0 && w->due_ns < next)
            next = w->due_ns + NS_PER_MS;
    }
    return next;
}

/* ---- the thread ---- */

/* Sends what was gathered meanwhile; where the socket does not take all of it, epoll says when
 * it takes more, and we come here again. */
static void send_kept(const struct worker_link *link)
{
    for (struct worker *w = link->workers; w != NULL; w = w->next) {
        bool kept = wire_flush(&w->wire) == WIRE_KEPT;
        if (kept != w->wants_room)
            watch_fd(link, EPOLL_CTL_MOD, w->wire.fd, kept ? EPOLLIN | EPOLLOUT : EPOLLIN,
                     w->number, AT_SOCKET);
        w->wants_room = kept;
    }
}

static void attend(struct worker *worker)
{
    const uint32_t *ready = worker->ready;
    if ((ready[AT_SOCKET] & ~(uint32_t)EPOLLOUT) != 0)
        listen_to(worker);
    if (ready[AT_OUTPUT] != 0)
        worker_read_output(&worker->process, log_output, worker);
    /* What it said before it died comes first. */
    if (ready[AT_END] != 0 && !worker->lost && (ready[AT_SOCKET] & EPOLLIN) == 0)
        worker->lost = true;
}

/* Until `until_ns` at the latest, to the next millisecond. */
static int timeout_until(int64_t until_ns, int64_t now)
{
    if (until_ns == INT64_MAX)
        return -1;
    int64_t rest = until_ns > now ? (until_ns - now + NS_PER_MS - 1) / NS_PER_MS : 0;
    return rest < INT_MAX ? (int)rest : INT_MAX;
}

/* NULL: it has been buried. */
static struct worker *find_worker(const struct worker_link *link, uint64_t number)
{
    struct worker *worker = link->workers;
    while (worker != NULL && worker->number != number)
        worker = worker->next;
    return worker;
}

static void wait_for_something(struct worker_link *link, int timeout_ms)
{
    struct epoll_event events[EVENTS];
    eventfd_t wakes;

    send_kept(link);
    int count = epoll_wait(link->epoll_fd, events, EVENTS, timeout_ms);
    for (int i = 0; i < count; i++) {
        uint64_t what = events[i].data.u64;
        struct worker *worker = find_worker(link, what >> AT_BITS);
        if (what == 0)
            eventfd_read(link->wake_fd, &wakes);
        else if (worker != NULL)
            worker->ready[what & AT_MASK] = events[i].events;
    }
    for (struct worker *w = link->workers; w != NULL && count > 0; w = w->next) {
        attend(w);
        memset(w->ready, 0, sizeof(w->ready));
    }
}

static bool has_time_to_check(struct worker_link *link, int64_t *last, int64_t now)
{
    bool due = now - *last >= TICK_NS;
    for (const struct worker *w = link->workers; w != NULL && !due; w = w->next)
        due = w->due_ns != 0 && w->due_ns < now;
    if (due)
        *last = now;
    return due;
}

static void end_all(struct worker_link *link)
{
    while (link->workers != NULL) {
        struct worker *worker = link->workers;
        worker->lost = true;
        bury(link, worker);
    }
    link_fail_waiting(link);
}

static void *run(void *argument)
{
    struct worker_link *link = argument;
    int64_t checked = clock_now();

    for (;;) {
        pthread_mutex_lock(&link->mutex);
        bool stopping = link->stopping, awaited = link->waiting.count > 0;
        pthread_mutex_unlock(&link->mutex);
        if (stopping)
            break;
        int64_t now = clock_now();
        if (link->start_ns != 0 && (awaited || link->start_ns <= now))
            start_next(link);
        wait_for_something(link, timeout_until(next_look(link, now), now));
        now = clock_now();
        bool check = has_time_to_check(link, &checked, now);
        for (struct worker *w = link->workers, *next; w != NULL; w = next) {
            next = w->next;
            worker_end_refused(w);
            if (check)
                check_times(link, w, now);
        }
        for (struct worker *w = link->workers, *next; w != NULL; w = next) {
            next = w->next;
            if (w->lost)
                bury(link, w);
        }
    }
    end_all(link);
    return NULL;
}

bool link_start_thread(struct worker_link *link, struct error *err)
{
    watch_fd(link, EPOLL_CTL_ADD, link->wake_fd, EPOLLIN, 0, 0);
    link->start_ns = clock_now();
    link->running = thread_start(&link->thread, "mcpd-link", run, link, err);
    return link->running;
}

void link_stop_thread(struct worker_link *link)
{
    pthread_mutex_lock(&link->mutex);
    link->stopping = true;
    pthread_mutex_unlock(&link->mutex);
    link_wake(link);
    if (link->running)
        pthread_join(link->thread, NULL);
    link->running = false;
}

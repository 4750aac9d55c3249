/* SPDX-License-Identifier: MIT */
/*
 * The link to a plugin that runs in a process of its own: provider_ops over a socket
 * to the program mcpd-worker (core/worker/), which loads the same file through the
 * in-process link. "isolation": "process" in a provider's configuration.
 *
 * What runs where. A call is handed to ops->call on the thread that read the request,
 * whatever the tool's flags, for it only writes a frame (provider.elsewhere). In the
 * worker it meets what it would have met in mcpd: non-blocking tools run on the thread
 * that reads the socket, others on a pool, those that are not thread-safe one after
 * the other. Limits (concurrency of a tool, deadlines, sizes) are kept by mcpd. What
 * comes back goes through struct mcp_call_ops like the words of any plugin, so that
 * all of its checks hold for a worker too; the link is, to the call, the plugin.
 *
 * One thread for each link starts the workers, reads what they say, notices their
 * death and reaps them. The control thread asks (get_offers, reconfigure, stop) and
 * waits for that thread's word, which always comes: an answer, a death, or a timeout,
 * which is a death.
 *
 * The life of a worker: FRAME_LOAD, its answer, then calls and requests, FRAME_STOP.
 * Calls may follow FRAME_LOAD at once; they wait in the socket, so that a restart
 * costs its callers only time; those that come while it is about to be started, and the
 * trial call of a breaker, wait until it is. A worker that dies takes its calls with it: they end
 * as CALL_BROKEN with the reason, at once; none is repeated, for nobody knows how far
 * it came. The next worker starts at once when this one had lived for a moment, else
 * after a pause that doubles. After plugins.max_worker_deaths within a minute the
 * provider's breaker opens (breaker.h): no worker is there until its pause is over, and
 * the one that is started then has the trial call to live through.
 *
 * A call whose deadline and grace are over and that has not ended is a reason to
 * replace the worker: another takes the calls from then on, and this one is killed when
 * nothing but such calls is left in it, or a little later. The same for what a retired
 * generation cannot be made to give up.
 *
 * A worker has mcpd's own niceness: two that spin on two processors are felt by the callers
 * of another provider as any two processes that spin (tests/integration/beside.test.mjs).
 * At 5 above they were felt less, but then a worker that serves also had to wait for
 * whoever else keeps the machine busy.
 *
 * A worker is not trusted: worker_frame.c reads no byte that is not there, ids are
 * looked up, numbers are checked by who uses them, and the first thing that a worker
 * of ours would not say is its death. What it can still do is give wrong answers to
 * the calls that it was given, and use its share of the machine.
 *
 * Locks: link.mutex guards what its comment says; a leaf, but that the wire's
 * mutex may be taken inside. It is not held while a call's functions are called.
 */
#ifndef PLUGIN_WORKER_LINK_H
#define PLUGIN_WORKER_LINK_H

#include "plugin/host.h"
#include "plugin/load.h"
#include "plugin/worker_wire.h"
#include "plugin/worker_process.h"

/* As inproc_load, in a new worker. No trial is needed before: this is one. */
struct provider *worker_link_load(struct image *image, const char *provider_id,
                                  struct config *config, const struct config_provider *settings,
                                  struct provider_owner *owner, struct error *err);

/* Whether its workers have what this configuration says that is settled at their start:
 * the bound on memory and the sandbox. `settings` may be NULL. */
bool worker_link_fits(const struct provider *provider, const struct config *config,
                      const struct config_provider *settings);

/* ---- for the parts of the link ---- */

/* A call that a worker has been given. Belongs to a place in its table for ever. */
struct pending {
    struct worker *worker;
    struct call *call;
    uint64_t id; /* place in the table, and in the upper half a number that grows; 0: free */
    uint32_t place;
    uint32_t next_free; /* place + 1; 0: none */
    bool refused; /* the frame could not be sent; under link.mutex */
    _Atomic int64_t cancelled_ns; /* when that was passed on; 0: it was not */
};

/* One process. */
struct worker {
    atomic_uint references;
    struct worker_link *link;
    struct worker_process process; /* the link's thread's */
    struct wire wire;

    /* Under link.mutex; the link's thread alone takes calls out. */
    struct pending **table;
    uint32_t places, capacity;
    uint32_t first_free; /* place + 1; 0: none */
    uint32_t sequence;
    uint32_t inside;
    bool some_refused;

    /* The link's thread's. */
    struct worker *next;
    uint64_t number; /* from 1, never used again */
    int64_t started_ns;
    uint64_t load_id; /* of FRAME_LOAD */
    int64_t due_ns; /* when that must have been answered; 0: it has been, */
    int64_t loaded_ns; /* then */
    int64_t kill_ns; /* a replaced one: when it goes at the latest; 0: it is not replaced */
    uint32_t ready[3]; /* what epoll said of its socket, its end, its output */
    bool wants_room; /* epoll shall say when the socket takes more */
    bool lost; /* its socket is closed, or we have had enough of it */
    char step[65]; /* what it ran last, of control */
    struct error why; /* why it dies, when it said so or we decided it; else "" */
};

/* What the control thread waits for. */
struct request {
    bool active, answered;
    enum frame_type type; /* FRAME_LOAD: to be sent by the link's thread */
    uint64_t id;
    struct worker *worker; /* that has it; NULL: none yet; compared only */
    int64_t due_ns;
    uint32_t time_ms; /* it was given */
    struct offers *offers; /* what has come so far; the link's thread's until answered */
    enum frame_done result;
    uint64_t flags; /* DONE_* */
    int pid; /* of the worker that answered */
    struct failure failure;
};

struct worker_link {
    struct provider provider; /* first */
    struct image *image;
    const char *file_name;
    uint32_t start_timeout_ms, pool, queue, memory_mib;
    struct buf sandbox; /* sandbox_write's text */
    pthread_t thread;
    bool running; /* the thread is */
    int wake_fd, epoll_fd;

    pthread_mutex_t mutex; /* guards the next ten */
    pthread_cond_t answered;
    struct worker *current; /* where calls go; a reference; NULL: nowhere */
    struct request request;
    uint64_t requests; /* ids given */
    struct bytes config; /* in force; from malloc */
    struct error unavailable; /* why there is no `current` */
    /* While there is no `current`: whether there will be one. */
    enum link_start { START_NEVER, START_LATER, START_AT_ONCE } starting;
    struct call_line {
        struct call *first, *last;
        uint32_t count;
    } waiting; /* for it */
    bool ending; /* FRAME_STOP is on its way: its end is no news */
    bool stopping; /* the thread shall end */

    /* The thread's. */
    struct worker *workers; /* those whose processes are not reaped */
    uint64_t started; /* how many there have been */
    int64_t start_ns; /* when to start the next one; 0: not at all */
    uint32_t short_lives; /* one after the other */
    struct {
        int64_t time, tokens;
        uint64_t dropped;
    } log;
};

struct worker *worker_ref(struct worker *worker);
void worker_unref(struct worker *worker);
void link_wake(struct worker_link *link);

/* ---- worker_calls.c ---- */

void link_call(struct provider *provider, struct call *call);
/* Gives it those that waited for it. */
void link_give_waiting(struct worker_link *link, struct worker *worker);
/* There is none to come: ends them. */
void link_fail_waiting(struct worker_link *link);
/* Ends all calls inside; the worker is no longer `current`. */
void worker_fail_calls(struct worker *worker, const struct error *why);
/* Ends those that could not be sent. */
void worker_end_refused(struct worker *worker);
/* How many calls are inside, and how many of them will not end by themselves. */
uint32_t worker_count_overdue(struct worker *worker, uint32_t *inside);
/* What a worker says of a call. False: a worker of ours would not; *fault says why. */
bool worker_take_call_frame(struct worker *worker, const struct frame *frame, const char **fault);

#endif

/* SPDX-License-Identifier: MIT */
/* main(): options, the order of start, signals, the order of the end; nothing
 * else. */
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/activation.h"
#include "base/budget.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/pulse.h"
#include "config/config.h"
#include "mcp/mcp.h"
#include "plugin/dispatch.h"
#include "plugin/load.h"
#include "plugin/plugins.h"
#include "store/store.h"
#include "transport/http.h"
#include "transport/stdio.h"

#define EXIT_CANNOT 1 /* could not start, or --check had complaints */
#define EXIT_USAGE 2

#define DEFAULT_FILE MCPD_SYSCONFDIR "/mcpd.json"
/* How long plugins may take to stop when the calls are done (server.shutdown_timeout_ms),
 * and then calls that do not end when they are cancelled. */
#define STOP_NS (5 * NS_PER_S)
/* A signal that comes so soon after the one that ended us only repeats it: timeout(1) and
 * others signal the process and then its group, and a client of --stdio that closes our
 * input may send SIGTERM, to be sure. */
#define SAME_END_NS (NS_PER_S / 2)
/* For the answers to calls that are given up to reach their clients. */
#define LAST_ANSWERS_NS (2 * NS_PER_S)
/* A plugin that is being loaded in this process, and one that stops, may keep us from
 * ending for so long. */
#define LOADING_NS (3 * NS_PER_S)
#define STOPPING_NS (10 * NS_PER_S)
/* How often main looks at what has grown old. */
#define TICK_S 1
/* How often it looks whether the plugins are loaded. */
#define SETTLE_STEP_NS NS_PER_MS
/* More heaps than this cost memory and save no time here. */
#define MALLOC_ARENAS 4
/* What is larger goes back to the system when it is freed: the bound of
 * server.max_memory_mib is one of what the process has, too. */
#define MALLOC_MMAP (256 * 1024)

struct options {
    const char *file; /* NULL: the default */
    const char *listen;
    const char *plugin_dir;
    enum log_level log_level;
    enum log_format log_format;
    bool check;
    bool check_health; /* and what is not healthy is a complaint */
    bool stdio;
};

/* Everything that runs. */
struct daemon {
    struct options options;
    struct activation activation; /* sockets that we are given */
    struct config *started; /* the configuration at the start */
    struct config *config; /* the one in force */
    struct registry *registry;
    struct store *store;
    struct mcp *mcp;
    struct plugins *plugins;
    struct http *http; /* NULL with --stdio */
    struct stdio *stdio; /* NULL without */
    bool dispatching;
    sigset_t signals; /* that main waits for */
    int told; /* the signal that has told us to end; 0: none has */
};

/* ---- options ---- */

static const char usage[] =
    "usage: mcpd [-c FILE] [--listen ADDRESS:PORT] [--plugin-dir DIR]\n"
    "            [--log-level LEVEL] [--log-format text|json] [--check[=health] | --stdio]\n"
    "       mcpd --version | --help\n"
    "\n"
    "  -c, --config FILE        the configuration (" DEFAULT_FILE ")\n"
    "      --listen ADDR:PORT   listen here instead of where the configuration says\n"
    "      --plugin-dir DIR     where the plugins are\n"
    "      --log-level LEVEL    error, warning, notice (default), info or debug\n"
    "      --log-format FORMAT  text (default) or json\n"
    "      --check[=health]     check the configuration and the plugins, say how the\n"
    "                           providers are, then exit; =health: 1 if one does not work\n"
    "      --stdio              serve the one client that has started mcpd, over standard\n"
    "                           input and output, and listen nowhere\n"
    "      --version            print the version and exit\n"
    "      --help               print this and exit\n"
    "\n"
    "SIGHUP reloads the configuration and the plugins; SIGTERM and SIGINT end mcpd\n"
    "when the calls in flight are done, a second one at once. See mcpd(8).\n";

enum {
    OPTION_LISTEN = 256,
    OPTION_PLUGIN_DIR,
    OPTION_LOG_LEVEL,
    OPTION_LOG_FORMAT,
    OPTION_CHECK,
    OPTION_STDIO,
    OPTION_VERSION,
    OPTION_HELP
};

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"listen", required_argument, NULL, OPTION_LISTEN},
    {"plugin-dir", required_argument, NULL, OPTION_PLUGIN_DIR},
    {"log-level", required_argument, NULL, OPTION_LOG_LEVEL},
    {"log-format", required_argument, NULL, OPTION_LOG_FORMAT},
    {"check", optional_argument, NULL, OPTION_CHECK},
    {"stdio", no_argument, NULL, OPTION_STDIO},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static void misuse(const char *text, const char *value)
{
    fprintf(stderr, "mcpd: %s%s\nTry 'mcpd --help'.\n", text, value);
    exit(EXIT_USAGE);
}

static enum log_level read_level(const char *name)
{
    int level = log_level_from_name(bytes_of(name));

    if (level < LOG_ERROR)
        misuse("--log-level must be error, warning, notice, info or debug, not ", name);
    return (enum log_level)level;
}

static enum log_format read_format(const char *name)
{
    struct bytes format = bytes_of(name);

    if (bytes_equal(format, BYTES("json")))
        return LOG_JSON;
    if (!bytes_equal(format, BYTES("text")))
        misuse("--log-format must be text or json, not ", name);
    return LOG_TEXT;
}

static struct options read_options(int argc, char **argv)
{
    struct options options = {.log_level = LOG_NOTICE};
    int option;

    while ((option = getopt_long(argc, argv, "c:", long_options, NULL)) != -1) {
        switch (option) {
        case 'c':
            options.file = optarg;
            break;
        case OPTION_LISTEN:
            options.listen = optarg;
            break;
        case OPTION_PLUGIN_DIR:
            options.plugin_dir = optarg;
            break;
        case OPTION_LOG_LEVEL:
            options.log_level = read_level(optarg);
            break;
        case OPTION_LOG_FORMAT:
            options.log_format = read_format(optarg);
            break;
        case OPTION_CHECK:
            if (optarg != NULL && strcmp(optarg, "health") != 0)
                misuse("--check takes no value, or =health, not ", optarg);
            options.check = true;
            options.check_health = optarg != NULL;
            break;
        case OPTION_STDIO:
            options.stdio = true;
            break;
        case OPTION_VERSION:
            puts("mcpd " MCPD_VERSION);
            exit(EXIT_SUCCESS);
        case OPTION_HELP:
            fputs(usage, stdout);
            exit(EXIT_SUCCESS);
        default:
            exit((fputs("Try 'mcpd --help'.\n", stderr), EXIT_USAGE));
        }
    }
    if (optind < argc)
        misuse("unexpected argument: ", argv[optind]);
    if (options.stdio && (options.check || options.listen != NULL))
        misuse("--stdio listens nowhere and serves: it does not go with ",
               options.check ? "--check" : "--listen");
    return options;
}

/* ---- configuration ---- */

static void print_complaint(void *context, const char *line)
{
    (void)context;
    fprintf(stderr, "%s\n", line);
}

static void log_complaint(void *context, const char *line)
{
    (void)context;
    log_error("%s", line);
}

/* The configuration with what the command line overrides. Without a file at
 * the default place there are defaults: everything can be said in options. */
static struct config *load_config(const struct options *options, config_complain *complain)
{
    const char *file = options->file != NULL ? options->file : DEFAULT_FILE;
    struct config *config;
    struct error err;

    if (options->file == NULL && access(file, F_OK) != 0 && errno == ENOENT)
        config = config_default();
    else
        config = config_load(file, complain, NULL);
    if (config == NULL)
        return NULL;
    if ((options->listen == NULL || config_set_listen(config, options->listen, &err)) &&
        (options->plugin_dir == NULL ||
         config_set_plugin_directory(config, options->plugin_dir, &err)))
        return config;
    complain(NULL, err.text);
    config_unref(config);
    return NULL;
}

/* How many complaints. */
static size_t check_store(const struct config *config)
{
    struct error err;

    if (config->store.url == NULL || store_check(config->store.url, &err))
        return 0;
    error_prefix(&err, "store.url");
    if (config->store.place != NULL)
        error_prefix(&err, "%s", config->store.place);
    print_complaint(NULL, err.text);
    return 1;
}

static int check(const struct options *options)
{
    struct config *config = load_config(options, print_complaint);

    if (config == NULL)
        return EXIT_CANNOT;
    size_t unhealthy = 0;
    size_t complaints =
        plugins_check(config, print_complaint, NULL, &unhealthy) + check_store(config);
    if (options->check_health)
        complaints += unhealthy;
    if (complaints == 0)
        fprintf(stderr, "%s: no complaints\n",
                config->file != NULL ? config->file : "default configuration");
    config_unref(config);
    return complaints == 0 ? EXIT_SUCCESS : EXIT_CANNOT;
}

/* ---- start and end ---- */

/* The end that a client asks for by closing its side of --stdio. */
#define CLIENT_ENDED SIGUSR1

static void client_ended(void)
{
    kill(getpid(), CLIENT_ENDED);
}

/* Where the configuration says, or in the directory that systemd gives. With
 * --stdio in memory: every client starts an mcpd of its own, and a store belongs to
 * one. */
static bool open_store(struct daemon *d, struct error *err)
{
    const uint64_t max_bytes = (uint64_t)d->config->store.max_mib << 20;
    const char *url = d->config->store.url, *directories = getenv("STATE_DIRECTORY");
    char chosen[4096] = "memory:";

    if (d->options.stdio)
        url = chosen;
    else if (url == NULL && directories != NULL && directories[0] == '/')
        snprintf(chosen, sizeof chosen, "sqlite://%.*s/state.db", (int)strcspn(directories, ":"),
                 directories);
    d->store = store_open(url != NULL ? url : chosen, max_bytes, err);
    if (d->store == NULL) {
        error_prefix(err, "store.url");
        return d->config->store.place != NULL ? error_prefix(err, "%s", d->config->store.place)
                                              : false;
    }
    if (url == NULL && !store_is_durable(d->store))
        log_notice("tasks are kept in memory and do not survive a restart: set store.url, such as "
                   "\"sqlite:///var/lib/mcp/state.db\", or \"memory:\" if that is what you want");
    return mcp_serve_tasks(d->mcp, d->store, err);
}

static void set_limits(const struct config *config)
{
    call_set_limits(config->calls.max_result_bytes);
    budget_limit((size_t)config->server.max_memory_mib << 20);
}

/* Waits until the plugins are as they shall be, however long one of them takes. False: we
 * have been told to end. */
static bool settle(struct daemon *d)
{
    const struct timespec step = {.tv_nsec = SETTLE_STEP_NS};
    uint64_t ticket = plugins_ask(d->plugins);
    sigset_t ends = d->signals;

    sigdelset(&ends, SIGHUP);
    while (!plugins_have_settled(d->plugins, ticket)) {
        int number = sigtimedwait(&ends, NULL, &step);
        if (number > 0) {
            d->told = number;
            return false;
        }
    }
    return true;
}

/* Up to the plugins. */
static bool open_all(struct daemon *d, struct error *err)
{
    const struct config *config = d->config;

    set_limits(config);
    d->registry = registry_new();
    if (d->registry == NULL)
        return error_no_memory(err);
    d->mcp = mcp_new(d->config, d->registry, err);
    if (d->mcp == NULL)
        return false;
    /* The port first: a second mcpd finds out before it has loaded anything. */
    if (!d->options.stdio) {
        d->http = http_open(d->config, d->mcp, &d->activation, err);
        if (d->http == NULL)
            return false;
    }
    if (!open_store(d, err))
        return false;
    d->dispatching = dispatch_start(config->calls.workers, config->calls.queue, err);
    if (!d->dispatching)
        return false;
    d->plugins = plugins_start(d->config, d->registry, err);
    return d->plugins != NULL;
}

/* True, too, when we have been told to end before the plugins were loaded. */
static bool start(struct daemon *d, struct error *err)
{
    if (!open_all(d, err))
        return false;
    if (!settle(d))
        return true;
    mcp_resume_tasks(d->mcp);
    bool begun = d->http != NULL ? http_start(d->http, err)
                                 : stdio_start(d->stdio, d->config, d->mcp, client_ended, err);
    if (!begun || !pulse_watch_start(err))
        return false;
    if (d->http != NULL)
        mcp_watch_health(d->mcp);
    notify("READY=1");
    return true;
}

/* Who is not done by then is not waited for; see end_at_once. */
static _Atomic int64_t held_up_ns = INT64_MAX;

static void allow(int64_t time_ns)
{
    atomic_store(&held_up_ns, clock_now() + time_ns);
}

static void end(struct daemon *d)
{
    pulse_watch_stop();
    if (d->plugins != NULL) {
        allow(LOADING_NS);
        plugins_stop_loading(d->plugins);
        allow(STOPPING_NS);
        plugins_stop(d->plugins, clock_now() + STOP_NS);
    }
    allow(STOPPING_NS);
    if (d->dispatching)
        dispatch_stop(clock_now() + STOP_NS);
    if (d->mcp != NULL)
        mcp_close_tasks(d->mcp);
    store_close(d->store);
    if (d->http != NULL)
        http_stop(d->http);
    stdio_stop(d->stdio);
    mcp_free(d->mcp);
    if (d->registry != NULL)
        registry_free(d->registry);
    config_unref(d->config);
    config_unref(d->started);
}

static void log_restart(void *context, const char *line)
{
    (void)context;
    log_warning("%s", line);
}

static void reload(struct daemon *d)
{
    notify_reloading();
    struct config *config = load_config(&d->options, log_complaint);
    if (config == NULL) {
        log_error("the configuration has errors: the old one stays in force");
    } else {
        config_needs_restart(d->started, config, log_restart, NULL);
        set_limits(config);
        mcp_configure(d->mcp, config);
        log_notice("configuration reloaded");
        config_unref(d->config);
        d->config = config;
    }
    /* The plugin files are looked at anew in any case. */
    plugins_reload(d->plugins, d->config);
    if (settle(d))
        notify("READY=1");
}

/* ---- signals ---- */

static void block_signals(sigset_t *set, bool stdio)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
    if (stdio)
        sigaddset(set, CLIENT_ENDED);
    pthread_sigmask(SIG_BLOCK, set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error of write */
}

/* Until a signal ends it. */
static void serve(struct daemon *d)
{
    const struct timespec tick = {.tv_sec = TICK_S};

    while (d->told == 0) {
        int number = sigtimedwait(&d->signals, NULL, &tick);
        if (number == SIGHUP)
            reload(d);
        else if (number > 0)
            d->told = number;
        mcp_tick(d->mcp);
    }
}

/* What ends mcpd at once. */
struct impatience {
    sigset_t signals;
    int64_t from_ns; /* before, a signal is a repetition */
    int number; /* of the first one: SIGTERM or SIGINT */
};

_Noreturn static void tell_held_up(const struct impatience *impatience)
{
    char id[128];

    plugins_are_at(id, sizeof id);
    log_error("%s%s not return: ending at once", id,
              id[0] != '\0' ? ": its plugin does" : "plugins do");
    _exit(128 + impatience->number);
}

/* A second SIGTERM or SIGINT is for those who cannot wait; nor do we wait for ever for
 * plugins. */
static void *end_at_once(void *arg)
{
    const struct impatience *impatience = arg;
    const struct timespec tick = {.tv_nsec = NS_PER_S / 10};
    int number;

    while (((number = sigtimedwait(&impatience->signals, NULL, &tick)) != SIGTERM &&
            number != SIGINT) ||
           clock_now() < impatience->from_ns) {
        if (clock_now() >= atomic_load(&held_up_ns))
            tell_held_up(impatience);
    }
    log_warning("ending at once");
    _exit(128 + number);
}

static void begin_end(const struct daemon *d)
{
    static struct impatience impatience; /* the thread lives to the end of the process */
    pthread_t impatient;

    notify("STOPPING=1");
    impatience = (struct impatience){.signals = d->signals,
                                     .from_ns = clock_now() + SAME_END_NS,
                                     .number = d->told == SIGINT ? SIGINT : SIGTERM};
    if (pthread_create(&impatient, NULL, end_at_once, &impatience) == 0)
        pthread_detach(impatient);
}

static void tell_unstarted(void)
{
    char id[128];

    plugins_are_at(id, sizeof id);
    log_notice("ending: told to before all plugins were loaded%s%s",
               id[0] != '\0' ? "; the one of this provider was being loaded: " : "", id);
}

/* Until every call is answered, and the answers have left. False: some have not. */
static bool wait_for_answers(struct daemon *d, int64_t deadline)
{
    bool drained =
        d->http != NULL ? http_drain(d->http, deadline) : stdio_drain(d->stdio, deadline);
    /* Those whose client has hung up, and may come back. */
    return mcp_wait_unanswered(d->mcp, deadline) && drained;
}

/* Load balancers are to find out before anybody is refused. */
static void announce_end(struct daemon *d)
{
    uint32_t delay_ms = d->config->server.shutdown_delay_ms;
    int64_t until = clock_now() + (int64_t)delay_ms * NS_PER_MS, left;

    if (delay_ms == 0)
        return;
    http_announce_end(d->http);
    log_notice("ending in %u.%03u s (server.shutdown_delay_ms): /readyz says so", delay_ms / 1000,
               delay_ms % 1000);
    while ((left = until - clock_now()) > 0) {
        const struct timespec step = {.tv_sec = left >= TICK_S * NS_PER_S ? TICK_S : 0,
                                      .tv_nsec = left >= TICK_S * NS_PER_S ? 0 : left};
        nanosleep(&step, NULL);
        mcp_tick(d->mcp);
    }
}

static void drain(struct daemon *d)
{
    if (d->http != NULL)
        announce_end(d);
    log_notice("ending: waiting for the calls in flight");
    if (d->http != NULL)
        http_stop_accepting(d->http);
    else
        stdio_stop_reading(d->stdio);
    mcp_end_streams(d->mcp);
    uint32_t limit_ms = d->config->server.shutdown_timeout_ms;
    int64_t deadline = clock_now() + (int64_t)limit_ms * NS_PER_MS;
    bool drained = wait_for_answers(d, deadline);
    mcp_stop_tasks(d->mcp, deadline);
    if (drained)
        return;
    log_warning("calls are still running after %u.%03u s (server.shutdown_timeout_ms): giving "
                "them up",
                limit_ms / 1000, limit_ms % 1000);
    call_give_up_all();
    wait_for_answers(d, clock_now() + LAST_ANSWERS_NS);
}

int main(int argc, char **argv)
{
    struct daemon d = {.config = NULL};
    struct error err = {.text = ""};

    image_try_child(argc, argv); /* does not return when this process is a trial */
    d.options = read_options(argc, argv);
    activation_take(&d.activation);
    mallopt(M_ARENA_MAX, MALLOC_ARENAS);
    mallopt(M_MMAP_THRESHOLD, MALLOC_MMAP);
    log_setup(d.options.log_level, d.options.log_format);
    if (d.options.stdio && (d.stdio = stdio_open(&err)) == NULL) {
        log_error("cannot start: %s", err.text);
        return EXIT_CANNOT;
    }
    if (!crypto_init()) {
        log_error("the system gives no random numbers");
        return EXIT_CANNOT;
    }
    if (d.options.check)
        return check(&d.options);
    d.config = load_config(&d.options, log_complaint);
    if (d.config == NULL)
        return EXIT_CANNOT;
    d.started = config_ref(d.config);
    block_signals(&d.signals, d.options.stdio);
    if (!start(&d, &err)) {
        log_error("cannot start: %s", err.text);
        end(&d);
        return EXIT_CANNOT;
    }
    bool started = d.told == 0;
    serve(&d);
    begin_end(&d);
    if (started)
        drain(&d);
    else
        tell_unstarted();
    end(&d);
    log_notice("ended");
    return EXIT_SUCCESS;
}

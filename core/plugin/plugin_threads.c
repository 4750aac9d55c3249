/* SPDX-License-Identifier: MIT */
/* Counts what plugins leave in the process, by standing between them and libc. */
#include "plugin/plugin_threads.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <threads.h>
#include <time.h>

#include "base/clock.h"
#include "plugin/exit_guard.h"

static struct {
    pthread_mutex_t mutex;
    struct plugin_code *first;
} loaded = {PTHREAD_MUTEX_INITIALIZER, NULL};

static void (*exit_hook)(void);

void plugin_on_exit(void (*hook)(void))
{
    exit_hook = hook;
}

static bool holds(const struct plugin_code *code, uintptr_t address)
{
    return address >= atomic_load(&code->start) && address < atomic_load(&code->end);
}

#ifndef MCPD_SANITIZE

/* ---- whose is it? ---- */

/* The plugin whose code this thread runs, or in whose mapping the function lies. NULL
 * for what the program itself makes: a worker that a plugin's finish function made
 * necessary serves everybody. */
static struct plugin_code *creator(const void *caller, uintptr_t function)
{
    if (exit_guard_program_holds(caller))
        return NULL;
    if (exit_guard_current != NULL && exit_guard_current->code != NULL)
        return exit_guard_current->code;
    pthread_mutex_lock(&loaded.mutex);
    struct plugin_code *code = loaded.first;
    while (code != NULL && !holds(code, function))
        code = code->next;
    pthread_mutex_unlock(&loaded.mutex);
    return code;
}

/* The function of libc that ours stands before. */
static void *libc_function(_Atomic(void *) *cache, const char *name)
{
    void *function = atomic_load_explicit(cache, memory_order_acquire);
    if (function == NULL) {
        function = dlsym(RTLD_NEXT, name);
        atomic_store_explicit(cache, function, memory_order_release);
    }
    return function;
}

#define LIBC(type, name)                                                                           \
    type name##_of_libc;                                                                           \
    static _Atomic(void *) name##_cache;                                                           \
    *(void **)&name##_of_libc = libc_function(&name##_cache, #name)

typedef int pthread_create_type(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
typedef int pthread_key_create_type(pthread_key_t *, void (*)(void *));
typedef int pthread_key_delete_type(pthread_key_t);

/* ---- threads ---- */

struct begin {
    struct plugin_code *code;
    void *(*run)(void *);
    void *argument;
    unsigned rounds; /* of destructors since the thread ended */
};

static pthread_key_t thread_key;
static pthread_once_t thread_key_once = PTHREAD_ONCE_INIT;

/* Destructors of other keys, the plugin's among them, run before and after
 * this one; to be the last, it lets all rounds but the last pass. */
static void thread_ended(void *data)
{
    struct begin *begin = data;
    exit_guard_current = NULL; /* was on the stack of a function that has gone */
    if (++begin->rounds < PTHREAD_DESTRUCTOR_ITERATIONS &&
        pthread_setspecific(thread_key, begin) == 0)
        return;
    struct plugin_code *code = begin->code;
    free(begin);
    atomic_fetch_sub(&code->threads, 1);
}

static void make_thread_key(void)
{
    LIBC(pthread_key_create_type *, pthread_key_create);
    if (pthread_key_create_of_libc(&thread_key, thread_ended) != 0)
        abort(); /* at the first plugin, long before 1024 keys are in use */
}

static void plugin_exited(struct plugin_code *code)
{
    atomic_store(&code->exited, true);
    if (exit_hook != NULL)
        exit_hook();
}

/* If the data cannot be set the thread stays counted, and the code mapped. */
static void *run_thread(void *data)
{
    struct begin *begin = data;
    struct exit_guard guard;
    void *result = NULL;
    pthread_setspecific(thread_key, begin);
    if (exit_guard_enter(&guard, begin->code))
        result = begin->run(begin->argument);
    else
        plugin_exited(guard.code);
    exit_guard_leave(&guard);
    return result;
}

static int create_thread(const void *caller, pthread_t *thread, const pthread_attr_t *attributes,
                         void *(*run)(void *), void *argument)
{
    LIBC(pthread_create_type *, pthread_create);
    if (pthread_create_of_libc == NULL)
        return EAGAIN;
    struct plugin_code *code = creator(caller, (uintptr_t)run);
    if (code == NULL)
        return pthread_create_of_libc(thread, attributes, run, argument);

    pthread_once(&thread_key_once, make_thread_key);
    struct begin *begin = malloc(sizeof(*begin));
    if (begin == NULL)
        return EAGAIN;
    *begin = (struct begin){.code = code, .run = run, .argument = argument};
    atomic_fetch_add(&code->threads, 1);
    int result = pthread_create_of_libc(thread, attributes, run_thread, begin);
    if (result != 0) {
        atomic_fetch_sub(&code->threads, 1);
        free(begin);
    }
    return result;
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                   void *argument)
{
    return create_thread(__builtin_return_address(0), thread, attributes, run, argument);
}

/* C11's threads are POSIX threads in glibc; thrd_join reads an int out of the
 * pointer. */
struct c11_begin {
    thrd_start_t run;
    void *argument;
};

static void *run_c11_thread(void *data)
{
    struct c11_begin begin = *(struct c11_begin *)data;
    free(data);
    return (void *)(intptr_t)begin.run(begin.argument);
}

int thrd_create(thrd_t *thread, thrd_start_t run, void *argument)
{
    struct c11_begin *begin = malloc(sizeof(*begin));
    if (begin == NULL)
        return thrd_nomem;
    *begin = (struct c11_begin){run, argument};
    int result = create_thread(__builtin_return_address(0), thread, NULL, run_c11_thread, begin);
    if (result == 0)
        return thrd_success;
    free(begin);
    return result == ENOMEM || result == EAGAIN ? thrd_nomem : thrd_error;
}

/* ---- keys ---- */

static _Atomic(struct plugin_code *) key_owner[PTHREAD_KEYS_MAX];

static void key_deleted(pthread_key_t key)
{
    if (key >= PTHREAD_KEYS_MAX)
        return;
    struct plugin_code *code = atomic_exchange(&key_owner[key], NULL);
    if (code != NULL)
        atomic_fetch_sub(&code->keys, 1);
}

/* Is the function in a library that asked never to be unmapped (-z nodelete), such as
 * OpenSSL's, which a plugin's library may bring? It outlives the plugin, and so may its key. */
static bool stays_mapped(void (*function)(void *))
{
    Dl_info info;
    struct link_map *map = NULL;
    if (dladdr1((const void *)(uintptr_t)function, &info, (void **)&map, RTLD_DL_LINKMAP) == 0 ||
        map == NULL || map->l_ld == NULL)
        return false;
    for (const ElfW(Dyn) *entry = map->l_ld; entry->d_tag != DT_NULL; entry++)
        if (entry->d_tag == DT_FLAGS_1)
            return (entry->d_un.d_val & DF_1_NODELETE) != 0;
    return false;
}

static int create_key(const void *caller, pthread_key_t *key, void (*destructor)(void *))
{
    LIBC(pthread_key_create_type *, pthread_key_create);
    if (pthread_key_create_of_libc == NULL)
        return EAGAIN;
    int result = pthread_key_create_of_libc(key, destructor);
    struct plugin_code *code = NULL;
    if (result == 0 && destructor != NULL && !stays_mapped(destructor))
        code = creator(caller, (uintptr_t)destructor);
    if (code != NULL && *key < PTHREAD_KEYS_MAX) {
        atomic_fetch_add(&code->keys, 1);
        atomic_store(&key_owner[*key], code);
    }
    return result;
}

int pthread_key_create(pthread_key_t *key, void (*destructor)(void *))
{
    return create_key(__builtin_return_address(0), key, destructor);
}

int pthread_key_delete(pthread_key_t key)
{
    LIBC(pthread_key_delete_type *, pthread_key_delete);
    if (pthread_key_delete_of_libc == NULL)
        return EINVAL;
    key_deleted(key); /* first: the number may be given again at once */
    return pthread_key_delete_of_libc(key);
}

int tss_create(tss_t *key, tss_dtor_t destructor)
{
    return create_key(__builtin_return_address(0), key, destructor) == 0 ? thrd_success
                                                                         : thrd_error;
}

void tss_delete(tss_t key)
{
    (void)pthread_key_delete(key);
}

#endif /* MCPD_SANITIZE */

/* ---- the list ---- */

struct plugin_code *plugin_code_new(const char *provider_id)
{
    struct plugin_code *code = calloc(1, sizeof(*code));
    if (code == NULL)
        return NULL;
    snprintf(code->provider, sizeof(code->provider), "%s", provider_id);
    exit_guard_setup();
    pthread_mutex_lock(&loaded.mutex);
    code->next = loaded.first;
    loaded.first = code;
    pthread_mutex_unlock(&loaded.mutex);
    return code;
}

void plugin_code_mapped(struct plugin_code *code, uintptr_t start, uintptr_t end)
{
    atomic_store(&code->start, start);
    atomic_store(&code->end, end);
}

void plugin_code_free(struct plugin_code *code)
{
    if (code == NULL)
        return;
    pthread_mutex_lock(&loaded.mutex);
    struct plugin_code **link = &loaded.first;
    while (*link != NULL && *link != code)
        link = &(*link)->next;
    if (*link == code)
        *link = code->next;
    pthread_mutex_unlock(&loaded.mutex);
    free(code);
}

/* ---- what is left ---- */

bool plugin_threads_gone(struct plugin_code *code, int64_t wait_ns)
{
    const struct timespec pause = {.tv_nsec = NS_PER_MS};
    int64_t until = clock_now() + wait_ns;
    while (atomic_load(&code->threads) != 0 && clock_now() < until)
        nanosleep(&pause, NULL);
    return atomic_load(&code->threads) == 0;
}

static unsigned signal_handlers(const struct plugin_code *code)
{
    unsigned count = 0;
    for (int number = 1; number <= SIGRTMAX; number++) {
        struct sigaction action;
        if (sigaction(number, NULL, &action) != 0)
            continue;
        uintptr_t handler = (action.sa_flags & SA_SIGINFO) != 0 ? (uintptr_t)action.sa_sigaction
                                                                : (uintptr_t)action.sa_handler;
        if (holds(code, handler))
            count++;
    }
    return count;
}

static void add_count(char *out, unsigned size, unsigned count, const char *what)
{
    unsigned length = 0;
    while (out[length] != '\0')
        length++;
    if (count > 0)
        snprintf(out + length, size - length, "%s%u %s%s", length > 0 ? ", " : "", count, what,
                 count > 1 ? "s" : "");
}

const char *plugin_left(struct plugin_code *code, char *out, unsigned size)
{
    out[0] = '\0';
    add_count(out, size, atomic_load(&code->threads), "running thread");
    add_count(out, size, atomic_load(&code->keys), "pthread key");
    add_count(out, size, signal_handlers(code), "signal handler");
    return out[0] != '\0' ? out : NULL;
}

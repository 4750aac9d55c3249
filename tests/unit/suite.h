/* SPDX-License-Identifier: MIT */
/* What every Check program does with its tests. */
#ifndef TESTS_SUITE_H
#define TESTS_SUITE_H

#include <check.h>
#include <stdbool.h>

/* One case of a suite. */
struct suite_case {
    const char *name;
    void (*setup)(void), (*teardown)(void); /* around each test; may be NULL */
    double seconds; /* that a test may take: under valgrind, too */
    const TTest *const *tests; /* ends with NULL */
};

void suite_add(Suite *suite, const struct suite_case *description);
/* The tests of a case, for the last member. */
#define SUITE_TESTS(...) ((const TTest *const[]){__VA_ARGS__, NULL})
/* A case of a program that has setup() and teardown() for all of its tests. */
#define SUITE_ADD(suite, title, limit, ...)                                                        \
    suite_add(suite, &(struct suite_case){.name = (title),                                         \
                                          .setup = setup,                                          \
                                          .teardown = teardown,                                    \
                                          .seconds = (limit),                                      \
                                          .tests = SUITE_TESTS(__VA_ARGS__)})

/* A sanitizer or valgrind is at work: what takes time takes ten times as much or more. */
bool suite_is_slow(void);

/* Runs it all and frees it; what main returns. */
int suite_run(Suite *suite);

#endif

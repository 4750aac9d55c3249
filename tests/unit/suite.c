/* SPDX-License-Identifier: MIT */
/* Cases and their run. */
#include "suite.h"

#include <stdlib.h>
#include <string.h>

void suite_add(Suite *suite, const struct suite_case *description)
{
    TCase *tcase = tcase_create(description->name);
    tcase_add_checked_fixture(tcase, description->setup, description->teardown);
    tcase_set_timeout(tcase, description->seconds);
    for (const TTest *const *test = description->tests; *test != NULL; test++)
        tcase_add_test(tcase, *test);
    suite_add_tcase(suite, tcase);
}

bool suite_is_slow(void)
{
#ifdef MCPD_SANITIZE
    return true;
#else
    const char *preload = getenv("LD_PRELOAD");
    return preload != NULL && strstr(preload, "vgpreload") != NULL;
#endif
}

int suite_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

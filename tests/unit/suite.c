/* SPDX-License-Identifier: MIT */
/* Cases and their run. */
#include "suite.h"

#include <stdlib.h>

void suite_add(Suite *suite, const struct suite_case *description)
{
    TCase *tcase = tcase_create(description->name);
    tcase_add_checked_fixture(tcase, description->setup, description->teardown);
    tcase_set_timeout(tcase, description->seconds);
    for (const TTest *const *test = description->tests; *test != NULL; test++)
        tcase_add_test(tcase, *test);
    suite_add_tcase(suite, tcase);
}

int suite_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

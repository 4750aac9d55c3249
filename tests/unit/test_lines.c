/* SPDX-License-Identifier: MIT */
/* Cutting a stream into lines, however it arrives. */
#include <stdlib.h>
#include <string.h>

#include "suite.h"
#include "transport/lines.h"

#define MAX 10

/* Reads `input` in pieces of `step` bytes; each line is put into `out` with a '|'
 * behind it, one that is too long as "!|". */
static void read_all(const char *input, size_t step, char *out)
{
    struct lines lines;
    struct bytes line;
    enum lines_next found;
    size_t left = strlen(input), room;

    lines_init(&lines, MAX);
    *out = '\0';
    while (left > 0) {
        char *place = lines_room(&lines, &room);
        ck_assert_ptr_nonnull(place);
        ck_assert_uint_gt(room, 0);
        size_t size = left < step ? left : step;
        memcpy(place, input, size);
        lines_added(&lines, size);
        input += size;
        left -= size;
        while ((found = lines_next(&lines, &line)) != LINES_NONE) {
            if (found == LINES_LINE)
                strncat(out, line.data, line.size);
            strcat(out, found == LINES_LINE ? "|" : "!|");
        }
    }
    if (lines_rest(&lines, &line) == LINES_LINE) {
        strncat(out, line.data, line.size);
        strcat(out, "$");
    }
    lines_free(&lines);
}

static const struct {
    const char *input, *expected;
} cases[] = {
    {"", ""},
    {"one\n", "one|"},
    {"one\ntwo\n", "one|two|"},
    {"one\n\n\ntwo", "one|||two$"},
    {"one\r\n", "one\r|"},
    {"\n", "|"},
    {"1234567890\n", "1234567890|"},
    {"12345678901\n", "!|"},
    {"a\n12345678901234567890123456789\nb\n", "a|!|b|"},
    {"12345678901\n12345678901\n\n", "!|!||"},
    {"123456789012345", "!|"},
    {"12345678901\nrest", "!|rest$"},
};

START_TEST(cut)
{
    char out[200];

    for (size_t step = 1; step < 40; step++) {
        read_all(cases[_i].input, step, out);
        ck_assert_str_eq(out, cases[_i].expected);
    }
}
END_TEST

/* A long line does not stay in memory, and what follows it is not lost. */
START_TEST(grow_and_shrink)
{
    struct lines lines;
    struct bytes line;
    size_t room;

    lines_init(&lines, 1 << 20);
    for (size_t filled = 0; filled < 1000000;) {
        char *place = lines_room(&lines, &room);
        size_t size = room < 1000000 - filled ? room : 1000000 - filled;
        memset(place, 'x', size);
        lines_added(&lines, size);
        filled += size;
        ck_assert_int_eq(lines_next(&lines, &line), LINES_NONE);
    }
    memcpy(lines_room(&lines, &room), "\n", 1);
    lines_added(&lines, 1);
    ck_assert_int_eq(lines_next(&lines, &line), LINES_LINE);
    ck_assert_uint_eq(line.size, 1000000);
    lines_room(&lines, &room);
    ck_assert_uint_lt(lines.capacity, 100000);
    lines_free(&lines);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lines");
    TCase *many = tcase_create("cut");

    tcase_add_loop_test(many, cut, 0, (int)(sizeof cases / sizeof cases[0]));
    suite_add_tcase(suite, many);
    suite_add(suite, &(struct suite_case){.name = "memory", .tests = SUITE_TESTS(grow_and_shrink)});
    return suite_run(suite);
}

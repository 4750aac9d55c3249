/* SPDX-License-Identifier: MIT */
/*
 * The plugin ABI of today's header: nothing that a plugin of an earlier minor has
 * compiled in has moved or changed. That the tables themselves are right, the frozen
 * headers say (tests/abi/layout_1.*.c).
 */
#include <check.h>
#include <mcp/completion.h>
#include <mcp/health.h>
#include <mcp/prompts.h>
#include <mcp/resources.h>
#include <mcp/skills.h>
#include <stdlib.h>

#include "../abi/layout.h"
#include "suite.h"

#define FIELD(type, field, offset) ck_assert_uint_eq(offsetof(struct type, field), offset);
#define VALUE(name, value) ck_assert_int_eq((int64_t)(name), value);

START_TEST(fields_are_where_they_were)
{
#if UINTPTR_MAX == UINT64_MAX
#define SIZE(type, size) ck_assert_uint_ge(sizeof(struct type), size);
    LAYOUT_1_0(FIELD, SIZE)
    LAYOUT_1_1(FIELD)
    LAYOUT_LATER(FIELD)
    SIZES_1_1(SIZE)
    SIZES_LATER(SIZE)
#undef SIZE
#endif
}
END_TEST

/* These have no struct_size: they never grow. */
START_TEST(structs_without_a_size_do_not_grow)
{
    ck_assert_uint_eq(sizeof(struct mcp_bytes), sizeof(void *) + sizeof(size_t));
    ck_assert_uint_eq(sizeof(struct mcp_note_header), 16);
}
END_TEST

START_TEST(numbers_are_what_they_were)
{
    VALUES_1_0(VALUE)
    VALUES_1_1(VALUE)
    ck_assert_int_eq(MCP_ABI_MAJOR, 1);
}
END_TEST

START_TEST(ids_are_what_they_were)
{
#define ID(name, text) ck_assert_str_eq(name, text);
    IDS_1_1(ID)
    IDS_LATER(ID)
#undef ID
}
END_TEST

/* While the minor is the one of the last release, structs have the size of the last
 * release: a field that was added calls for a new minor. */
START_TEST(a_larger_struct_has_a_larger_minor)
{
#if UINTPTR_MAX == UINT64_MAX && MCP_ABI_MINOR == 1
#define SIZE(type, size) ck_assert_uint_eq(sizeof(struct type), size);
    SIZES_1_1(SIZE)
#undef SIZE
#endif
}
END_TEST

START_TEST(strings_become_bytes)
{
    struct mcp_bytes bytes = MCP_STR("a\0b");
    ck_assert_uint_eq(bytes.size, 3);
    ck_assert_int_eq(bytes.data[2], 'b');
    ck_assert_uint_eq(MCP_STR("").size, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("abi");
    suite_add(suite, &(struct suite_case){
                         "layout", NULL, NULL, 10,
                         SUITE_TESTS(fields_are_where_they_were, structs_without_a_size_do_not_grow,
                                     numbers_are_what_they_were, ids_are_what_they_were,
                                     a_larger_struct_has_a_larger_minor, strings_become_bytes)});
    return suite_run(suite);
}

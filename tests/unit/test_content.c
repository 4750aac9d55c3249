/* SPDX-License-Identifier: MIT */
/* Content blocks in the form of a revision. */
#include "suite.h"

#include "mcp/content.h"

static const struct revision newest = {.version = "2026-07-28",
                                       .audio = true,
                                       .links = true,
                                       .link_icons = true,
                                       .content_meta = true};
static const struct revision oldest = {.version = "2024-11-05"};

static struct arena arena;
static struct json json;

static void set_up(void)
{
    arena_init(&arena, 1u << 20);
}

static void tear_down(void)
{
    arena_free(&arena);
}

static void expect(const struct revision *revision, const char *given, const char *wanted)
{
    struct buf out;

    buf_init(&out, 1u << 16);
    ck_assert(json_parse(&json, bytes_of(given), &json_default_limits, &arena, NULL));
    if (json.root->type == JSON_ARRAY)
        write_contents(&out, revision, &json, json.root);
    else
        write_content(&out, revision, &json, json.root);
    ck_assert(json_check(buf_bytes(&out), &json_default_limits, NULL));
    ck_assert_str_eq(out.data, wanted);
    buf_free(&out);
}

START_TEST(what_the_revision_knows_stays_as_it_is)
{
    static const char *const blocks[] = {
        "{\"type\":\"text\",\"text\":\"\\u00e9 \\\"\"}",
        "{\"type\":\"text\",\"text\":\"\",\"annotations\":{\"audience\":[\"user\"],\"priority\":1,"
        "\"lastModified\":\"2025\"},\"_meta\":{\"a\":[1]}}",
        "{\"type\":\"image\",\"data\":\"\",\"mimeType\":\"image/png\"}",
        "{\"type\":\"audio\",\"data\":\"AA==\",\"mimeType\":\"audio/wav\"}",
        "{\"type\":\"resource\",\"resource\":{\"uri\":\"a:b\",\"blob\":\"AA==\",\"_meta\":{}}}",
        "{\"type\":\"resource_link\",\"uri\":\"a:b\",\"name\":\"n\",\"size\":9007199254740993,"
        "\"icons\":[{\"src\":\"a:i\"}]}",
        "[]",
        "[{\"type\":\"text\",\"text\":\"1\"},{\"type\":\"text\",\"text\":\"2\"}]",
    };

    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        expect(&newest, blocks[i], blocks[i]);
}
END_TEST

START_TEST(members_that_are_not_known_are_left_out)
{
    expect(&newest, "{\"text\":\"a\",\"x\":1,\"type\":\"text\"}",
           "{\"type\":\"text\",\"text\":\"a\"}");
    expect(&oldest,
           "{\"type\":\"resource\",\"resource\":{\"uri\":\"a:b\",\"text\":\"t\",\"_meta\":{}},"
           "\"annotations\":{\"lastModified\":\"2025\",\"priority\":1},\"_meta\":{}}",
           "{\"type\":\"resource\",\"resource\":{\"uri\":\"a:b\",\"text\":\"t\"},"
           "\"annotations\":{\"priority\":1}}");
}
END_TEST

START_TEST(kinds_that_are_not_known_become_text)
{
    expect(&oldest, "{\"type\":\"audio\",\"data\":\"AA==\",\"mimeType\":\"audio/wav\"}",
           "{\"type\":\"text\",\"text\":\"[audio of type audio/wav: left out, for MCP 2024-11-05 "
           "has no such content]\"}");
    expect(&newest, "{\"type\":\"a \\\"smell\\\"\"}",
           "{\"type\":\"text\",\"text\":\"[a \\\"smell\\\": left out, for MCP 2026-07-28 has no "
           "such content]\"}");
    expect(&oldest,
           "{\"type\":\"resource_link\",\"uri\":\"a:b\",\"name\":\"\\\"n\\\"\",\"mimeType\":"
           "\"text/plain\",\"description\":\"One\\nTwo\"}",
           "{\"type\":\"text\",\"text\":\"Resource \\\"n\\\": a:b (text/plain)\\nOne\\nTwo\"}");
    expect(&oldest, "{\"type\":\"resource_link\",\"uri\":\"a:b\",\"name\":\"n\",\"mimeType\":5}",
           "{\"type\":\"text\",\"text\":\"Resource n: a:b\"}");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("content");
    suite_add(suite, &(struct suite_case){"content", set_up, tear_down, 60,
                                          SUITE_TESTS(what_the_revision_knows_stays_as_it_is,
                                                      members_that_are_not_known_are_left_out,
                                                      kinds_that_are_not_known_become_text)});
    return suite_run(suite);
}

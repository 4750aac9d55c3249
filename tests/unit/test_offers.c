/* SPDX-License-Identifier: MIT */
/* Which tool definitions are legal, what is kept of them, and x-mcp-header. */
#include <check.h>
#include <mcp/plugin.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/crypto.h"
#include "base/utf8.h"
#include "plugin/offers.h"
#include "suite.h"

static struct offers *set;
static struct error err;

static void set_up(void)
{
    set = offers_new();
    err.text[0] = '\0';
}

static void tear_down(void)
{
    offers_unref(set);
}

static bool add(const char *definition)
{
    return offers_add(set, OFFER_TOOL, &(struct offer_terms){bytes_of(definition), 0, 0, 0, 0},
                      &err);
}

#define OBJECT "\"inputSchema\":{\"type\":\"object\"}"

START_TEST(a_definition_is_kept_compact)
{
    ck_assert(offers_add(
        set, OFFER_TOOL,
        &(struct offer_terms){BYTES(" { \"name\" : \"read\\u005ffile\",\n \"inputSchema\":"
                                    "{\"type\": \"object\", \"big\": 9007199254740993},"
                                    "\"outputSchema\":{\"type\":\"object\"} } "),
                              MCP_TOOL_THREAD_SAFE, 42, 1000, 3},
        &err));
    const struct offer *tool = &set->lists[OFFER_TOOL].offers[0];
    ck_assert(bytes_equal(tool->name, BYTES("read_file")));
    ck_assert(bytes_equal(tool->terms.definition,
                          BYTES("{\"name\":\"read\\u005ffile\",\"inputSchema\":{\"type\":"
                                "\"object\",\"big\":9007199254740993},\"outputSchema\":"
                                "{\"type\":\"object\"}}")));
    ck_assert_ptr_nonnull(json_get(&tool->json, tool->json.root, "outputSchema"));
    ck_assert_uint_eq(tool->terms.flags, MCP_TOOL_THREAD_SAFE);
    ck_assert_uint_eq(tool->terms.tag, 42);
    ck_assert_uint_eq(tool->terms.timeout_ms, 1000);
    ck_assert_uint_eq(tool->terms.concurrency, 3);
    ck_assert_ptr_nonnull(tool->input);
    ck_assert_ptr_nonnull(tool->output);
    ck_assert_uint_eq(tool->header_count, 0);
}
END_TEST

START_TEST(illegal_definitions_name_tool_member_and_rule)
{
    static const struct {
        const char *definition;
        const char *said[3];
    } cases[] = {
        {"", {"not legal JSON"}},
        {"[]", {"must be a JSON object"}},
        {"{\"name\":\"a\",\"name\":\"b\"," OBJECT "}", {"not legal JSON"}},
        {"{" OBJECT "}", {"name"}},
        {"{\"name\":7," OBJECT "}", {"\"name\""}},
        {"{\"name\":\"\"," OBJECT "}", {"\"name\"", "1 to 128"}},
        {"{\"name\":\"a b\"," OBJECT "}", {"\"a b\"", "\"name\"", "A-Z"}},
        {"{\"name\":\"\\u00e9\"," OBJECT "}", {"\"name\""}},
        {"{\"name\":\"a\\u0000\"," OBJECT "}", {"\"name\""}},
        {"{\"name\":\"a/b\"," OBJECT "}", {"\"name\""}},
        {"{\"name\":\"t\"}", {"\"t\"", "\"inputSchema\""}},
        {"{\"name\":\"t\",\"inputSchema\":true}", {"\"t\"", "\"inputSchema\"", "object"}},
        {"{\"name\":\"t\",\"inputSchema\":{}}", {"\"t\"", "\"inputSchema\"", "\"type\""}},
        {"{\"name\":\"t\",\"inputSchema\":{\"type\":[\"object\"]}}", {"\"inputSchema\""}},
        {"{\"name\":\"t\",\"inputSchema\":{\"type\":\"string\"}}", {"\"inputSchema\""}},
        {"{\"name\":\"t\",\"title\":1," OBJECT "}", {"\"t\"", "\"title\"", "a string"}},
        {"{\"name\":\"t\",\"description\":null," OBJECT "}", {"\"description\""}},
        {"{\"name\":\"t\",\"outputSchema\":[]," OBJECT "}", {"\"outputSchema\"", "an object"}},
        {"{\"name\":\"t\",\"annotations\":1," OBJECT "}", {"\"annotations\""}},
        {"{\"name\":\"t\",\"annotations\":{\"readOnlyHint\":\"yes\"}," OBJECT "}",
         {"\"annotations.readOnlyHint\"", "true or false"}},
        {"{\"name\":\"t\",\"annotations\":{\"title\":1}," OBJECT "}", {"\"annotations.title\""}},
        {"{\"name\":\"t\",\"icons\":{}," OBJECT "}", {"\"icons\"", "an array"}},
        {"{\"name\":\"t\",\"icons\":[{\"sizes\":[]}]," OBJECT "}", {"\"icons\"", "\"src\""}},
        {"{\"name\":\"t\",\"_meta\":[]," OBJECT "}", {"\"_meta\""}},
        {"{\"name\":\"t\",\"inputSchema\":{\"type\":\"object\",\"properties\":{\"a\":"
         "{\"type\":\"strin\"}}}}",
         {"\"t\"", "\"inputSchema\""}},
        {"{\"name\":\"t\",\"outputSchema\":{\"$ref\":\"#/$defs/none\"}," OBJECT "}",
         {"\"t\"", "\"outputSchema\""}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ck_assert_msg(!add(cases[i].definition), "accepted: %s", cases[i].definition);
        for (size_t s = 0; s < 3 && cases[i].said[s] != NULL; s++)
            ck_assert_msg(strstr(err.text, cases[i].said[s]) != NULL, "%s: %s", cases[i].definition,
                          err.text);
        ck_assert_uint_eq(set->lists[OFFER_TOOL].count, 0);
    }
}
END_TEST

START_TEST(one_bad_tool_leaves_the_others)
{
    ck_assert(add("{\"name\":\"one\"," OBJECT "}"));
    ck_assert(!add("{\"name\":\"one\"," OBJECT "}"));
    ck_assert_ptr_nonnull(strstr(err.text, "\"one\""));
    ck_assert(!add("{\"name\":\"two\"}"));
    ck_assert(add("{\"name\":\"two\"," OBJECT "}"));
    ck_assert_uint_eq(set->lists[OFFER_TOOL].count, 2);
    ck_assert(bytes_equal(set->lists[OFFER_TOOL].offers[1].name, BYTES("two")));
}
END_TEST

START_TEST(names_have_a_longest)
{
    char text[300];
    snprintf(text, sizeof(text), "{\"name\":\"%0128d\"," OBJECT "}", 0);
    ck_assert(add(text));
    snprintf(text, sizeof(text), "{\"name\":\"%0129d\"," OBJECT "}", 0);
    ck_assert(!add(text));
    ck_assert_ptr_nonnull(strstr(err.text, "129 bytes"));
}
END_TEST

/* 199 bytes and the first of two. */
START_TEST(a_name_in_a_message_is_cut_between_characters)
{
    char text[600], name[300] = "a";
    for (int i = 0; i < 120; i++)
        strcat(name, "\u00e4");
    snprintf(text, sizeof(text), "{\"name\":\"%s\"," OBJECT "}", name);
    ck_assert(!add(text));
    ck_assert_ptr_nonnull(strstr(err.text, "241 bytes"));
    ck_assert(utf8_valid(bytes_of(err.text)));
}
END_TEST

START_TEST(definitions_and_sets_have_a_largest)
{
    size_t size = DEFINITION_MAX + 10;
    char *text = malloc(size + 1);
    memset(text, ' ', size);
    text[size] = '\0';
    memcpy(text, "{\"name\":\"t\"," OBJECT "}", strlen("{\"name\":\"t\"," OBJECT "}"));
    ck_assert(!add(text));
    ck_assert_ptr_nonnull(strstr(err.text, "bytes"));
    free(text);
    for (int i = 0; i < OFFERS_MAX; i++) {
        char small[100];
        snprintf(small, sizeof(small), "{\"name\":\"t%d\"," OBJECT "}", i);
        ck_assert(add(small));
    }
    ck_assert(!add("{\"name\":\"more\"," OBJECT "}"));
    ck_assert_ptr_nonnull(strstr(err.text, "4096"));
    ck_assert(bytes_equal(set->lists[OFFER_TOOL].offers[OFFERS_MAX - 1].name, BYTES("t4095")));
}
END_TEST

START_TEST(unknown_flags_are_refused)
{
    ck_assert(!offers_add(set, OFFER_TOOL,
                          &(struct offer_terms){BYTES("{\"name\":\"t\"," OBJECT "}"), 64, 0, 0, 0},
                          &err));
    ck_assert_ptr_nonnull(strstr(err.text, "flags"));
}
END_TEST

static void hash_of(unsigned char hash[32], uint32_t flags, uint64_t tag, uint32_t timeout,
                    uint32_t concurrency, const char *definition)
{
    struct offers *one = offers_new();
    ck_assert(offers_add(
        one, OFFER_TOOL,
        &(struct offer_terms){bytes_of(definition), flags, tag, timeout, concurrency}, &err));
    offers_seal(one);
    memcpy(hash, one->hash, 32);
    offers_unref(one);
}

START_TEST(the_hash_covers_what_matters)
{
    const char *definition = "{\"name\":\"t\"," OBJECT "}";
    unsigned char hash[7][32];
    hash_of(hash[0], 0, 0, 0, 0, definition);
    hash_of(hash[1], 1, 0, 0, 0, definition);
    hash_of(hash[2], 0, 1, 0, 0, definition);
    hash_of(hash[3], 0, 0, 1, 0, definition);
    hash_of(hash[4], 0, 0, 0, 1, definition);
    hash_of(hash[5], 0, 0, 0, 0, "{\"name\":\"u\"," OBJECT "}");
    hash_of(hash[6], 0, 0, 0, 0, " {\"name\" : \"t\", " OBJECT "}");
    ck_assert_mem_eq(hash[0], hash[6], 32); /* white space does not */
    for (int a = 0; a < 6; a++)
        for (int b = a + 1; b < 6; b++)
            ck_assert_msg(memcmp(hash[a], hash[b], 32) != 0, "%d and %d", a, b);
}
END_TEST

/* ---- x-mcp-header ---- */

static bool add_schema(const char *rest)
{
    char text[2048];
    snprintf(text, sizeof(text), "{\"name\":\"t\",\"inputSchema\":{\"type\":\"object\",%s}}", rest);
    return add(text);
}

START_TEST(headers_are_found_at_any_depth)
{
    ck_assert_msg(
        add_schema("\"properties\":{\"region\":{\"type\":\"string\",\"x-mcp-header\":\"Region\"},"
                   "\"a/b\":{\"type\":\"object\",\"properties\":{\"n~m\":{\"type\":\"integer\","
                   "\"x-mcp-header\":\"Depth\"}}},"
                   "\"plain\":{\"type\":\"boolean\"},"
                   "\"flag\":{\"type\":\"boolean\",\"x-mcp-header\":\"X-Flag\"}}"),
        "%s", err.text);
    const struct offer *tool = &set->lists[OFFER_TOOL].offers[0];
    ck_assert_uint_eq(tool->header_count, 3);
    ck_assert(bytes_equal(tool->headers[0].name, BYTES("Region")));
    ck_assert_str_eq(tool->headers[0].pointer, "/region");
    ck_assert_int_eq(tool->headers[0].type, JSON_STRING);
    ck_assert_str_eq(tool->headers[1].pointer, "/a~1b/n~0m");
    ck_assert_int_eq(tool->headers[1].type, JSON_NUMBER);
    ck_assert_str_eq(tool->headers[2].pointer, "/flag");
    ck_assert_int_eq(tool->headers[2].type, JSON_TRUE);
}
END_TEST

#define HEADER(name) "\"x-mcp-header\":\"" name "\""

START_TEST(header_rules)
{
    static const struct {
        const char *schema, *said;
    } cases[] = {
        {"\"properties\":{\"p\":{\"type\":\"string\"," HEADER("") "}}", "field name"},
        {"\"properties\":{\"p\":{\"type\":\"string\"," HEADER("a b") "}}", "field name"},
        {"\"properties\":{\"p\":{\"type\":\"string\"," HEADER("a\\r\\nb") "}}", "field name"},
        {"\"properties\":{\"p\":{\"type\":\"string\"," HEADER("a:b") "}}", "field name"},
        {"\"properties\":{\"p\":{\"type\":\"string\",\"x-mcp-header\":1}}", "string"},
        {"\"properties\":{\"p\":{\"type\":\"number\"," HEADER("P") "}}", "integer"},
        {"\"properties\":{\"p\":{\"type\":\"object\"," HEADER("P") "}}", "integer"},
        {"\"properties\":{\"p\":{" HEADER("P") "}}", "\"type\""},
        {"\"properties\":{\"p\":{\"type\":[\"string\",\"null\"]," HEADER("P") "}}", "\"type\""},
        {"\"properties\":{\"p\":{\"type\":\"string\"," HEADER(
             "Same") "},"
                     "\"q\":{\"type\":\"string\"," HEADER("sAME") "}}",
         "another parameter"},
        {HEADER("Root"), "through \"properties\""},
        {"\"properties\":{\"p\":{\"type\":\"array\",\"items\":{\"type\":\"string\"," HEADER(
             "P") "}}}",
         "through \"properties\""},
        {"\"anyOf\":[{\"properties\":{\"p\":{\"type\":\"string\"," HEADER("P") "}}}]",
         "through \"properties\""},
        {"\"$defs\":{\"d\":{\"type\":\"string\"," HEADER("P") "}}", "through \"properties\""},
        {"\"properties\":{\"p\":{\"type\":\"string\",\"x-mcp\\u002dheader\":\"\"}}", "field name"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ck_assert_msg(!add_schema(cases[i].schema), "accepted: %s", cases[i].schema);
        ck_assert_msg(strstr(err.text, cases[i].said) != NULL, "%s: %s", cases[i].schema, err.text);
        ck_assert_ptr_nonnull(strstr(err.text, "\"t\""));
    }
    /* A parameter of that name is none; nor is the word in a description. */
    ck_assert(add_schema("\"description\":\"x-mcp-header\",\"properties\":{\"x-mcp-header\":"
                         "{\"type\":\"string\"}}"));
    ck_assert_uint_eq(set->lists[OFFER_TOOL].offers[0].header_count, 0);
}
END_TEST

int main(void)
{
    if (!crypto_init())
        return 1;
    Suite *suite = suite_create("offers");
    suite_add(suite, &(struct suite_case){
                         "offers", set_up, tear_down, 60,
                         SUITE_TESTS(a_definition_is_kept_compact,
                                     illegal_definitions_name_tool_member_and_rule,
                                     one_bad_tool_leaves_the_others, names_have_a_longest,
                                     a_name_in_a_message_is_cut_between_characters,
                                     definitions_and_sets_have_a_largest, unknown_flags_are_refused,
                                     the_hash_covers_what_matters, headers_are_found_at_any_depth,
                                     header_rules)});
    return suite_run(suite);
}

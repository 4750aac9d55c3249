/* SPDX-License-Identifier: MIT */
/* Who may talk to us, and which request targets are ours. */
#include <check.h>
#include <stdlib.h>

#include "transport/exchange.h"

static struct config *config;

static void setup(void)
{
    static const char *hosts[] = {"mcp.example.com"};
    static const char *origins[] = {"https://app.example.com:8443"};

    config = config_default();
    ck_assert_ptr_nonnull(config);
    config->http.allowed_hosts = hosts;
    config->http.allowed_host_count = 1;
    config->http.allowed_origins = origins;
    config->http.allowed_origin_count = 1;
}

static void teardown(void)
{
    config_unref(config);
}

static const struct {
    const char *text;
    bool allowed;
} hosts[] = {
    {"localhost", true},
    {"localhost:8080", true},
    {"localhost:", true},
    {"localhost:99999", false},
    {"LOCALHOST:1", true},
    {"127.0.0.1", true},
    {"127.0.0.1:8080", true},
    {"[::1]", true},
    {"[::1]:8080", true},
    {"mcp.example.com", true},
    {"MCP.example.com:443", true},
    {"evil.example.com", false},
    {"localhost.evil.com", false},
    {"localhost.", false},
    {"127.0.0.1.nip.io", false},
    {"127.0.0.2", false},
    {"0.0.0.0:8080", false},
    {"localhost:8080@evil.com", false},
    {"localhost:80x", false},
    {"localhost:123456", false},
    {"[::1", false},
    {"[::1]x", false},
    {":8080", false},
    {"", false},
    {"mcp.example.com.evil.com", false},
};

START_TEST(host_names)
{
    ck_assert_msg(host_is_allowed(config, bytes_of(hosts[_i].text)) == hosts[_i].allowed,
                  "Host \"%s\"", hosts[_i].text);
}
END_TEST

static const struct {
    const char *text;
    bool allowed;
} origins[] = {
    {"http://localhost", true},
    {"http://localhost:8080", true},
    {"HTTP://LOCALHOST:8080", true},
    {"https://127.0.0.1:1", true},
    {"http://[::1]:8080", true},
    {"https://app.example.com:8443", true},
    {"https://app.example.com", false},
    {"http://evil.example.com", false},
    {"http://localhost.evil.com", false},
    {"http://127.0.0.1.nip.io", false},
    {"http://localhost:8080@evil.com", false},
    {"http://0.0.0.0:8080", false},
    {"file://", false},
    {"null", false},
    {"", false},
    {"http://", false},
    {"localhost", false},
    {"ftp://localhost", false},
};

START_TEST(origin_values)
{
    ck_assert_msg(origin_is_allowed(config, bytes_of(origins[_i].text)) == origins[_i].allowed,
                  "Origin \"%s\"", origins[_i].text);
}
END_TEST

static const struct {
    const char *target;
    int status;
} targets[] = {
    {"/mcp", 0},
    {"/mcp?key=value", 0},
    {"/sse", 0},
    {"/sse?x", 0},
    {"/messages?sessionId=abc", 0},
    {"/messages", 0},
    {"/sse/", 404},
    {"/messagesx", 404},
    {"/mcp/", 404},
    {"/", 404},
    {"/mcpx", 404},
    {"/MCP", 404},
    {"/.well-known/oauth-protected-resource", 404},
    {"http://evil.example/mcp", 400},
    {"*", 400},
    {"/mcp%00/../admin", 400},
    {"/mcp/%2e%2e/admin", 400},
    {"/mcp/%2E%2E/admin", 400},
    {"/mcp/../admin", 400},
    {"/./mcp", 400},
};

START_TEST(request_targets)
{
    struct connection connection = {.fd = -1};

    filter_target(&connection, targets[_i].target);
    ck_assert_msg(connection.target_status == targets[_i].status, "\"%s\": %d", targets[_i].target,
                  connection.target_status);
    ck_assert((connection.target_error == NULL) == (targets[_i].status == 0));
}
END_TEST

static const struct {
    const char *target, *session;
} sessions[] = {
    {"/messages?sessionId=abc", "abc"},
    {"/messages?a=b&sessionId=abc&c", "abc"},
    {"/messages?sessionId=", ""},
    {"/messages?", ""},
    {"/messages", ""},
    {"/messages?xsessionId=abc", ""},
    {"/messages?a&&sessionId=abc", "abc"},
    {"/messages?sessionId=abc&sessionId=def", "abc"},
    /* 63 characters fit. */
    {"/messages?sessionId=123456789012345678901234567890123456789012345678901234567890123",
     "123456789012345678901234567890123456789012345678901234567890123"},
    {"/messages?sessionId=1234567890123456789012345678901234567890123456789012345678901234", ""},
};

START_TEST(sessions_of_targets)
{
    struct connection connection = {.fd = -1};

    filter_target(&connection, sessions[_i].target);
    ck_assert_int_eq(connection.target, TARGET_MESSAGES);
    ck_assert_str_eq(connection.target_session, sessions[_i].session);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("transport");
    TCase *tests = tcase_create("names");
    SRunner *runner = srunner_create(suite);

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, host_names, 0, sizeof hosts / sizeof hosts[0]);
    tcase_add_loop_test(tests, origin_values, 0, sizeof origins / sizeof origins[0]);
    tcase_add_loop_test(tests, request_targets, 0, sizeof targets / sizeof targets[0]);
    tcase_add_loop_test(tests, sessions_of_targets, 0, sizeof sessions / sizeof sessions[0]);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* SPDX-License-Identifier: MIT */
/*
 * What the official conformance suite (npm @modelcontextprotocol/conformance)
 * expects of a server: its tools, resources, prompts and skill, on the public
 * ABI alone. tests/conformance runs the suite against an mcpd that serves this
 * plugin.
 */
#include <mcp/completion.h>
#include <mcp/plugin.h>
#include <mcp/prompts.h>
#include <mcp/resources.h>
#include <mcp/skills.h>

#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

MCP_PLUGIN_MANIFEST("{\"id\":\"conformance\",\"version\":\"1.0.0\",\"abi\":\"1.1\",\"extensions\":["
                    "\"" MCP_RESOURCES "\",\"" MCP_PROMPTS "\",\"" MCP_COMPLETION "\",\"" MCP_SKILLS
                    "\"]}");

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define INLINE MCP_TOOL_NONBLOCKING
#define BESIDE MCP_TOOL_THREAD_SAFE

#define PNG                                                                                        \
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJg" \
    "gg=="
#define WAV "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="

struct instance {
    const struct mcp_host *host;
    /* How often a change was announced: part of the definitions, so that the
     * lists really differ. */
    atomic_uint tool_changes, prompt_changes;
};

/* ---- JSON text ---- */

struct text {
    char *data;
    size_t size, capacity;
};

static void add(struct text *out, const char *data, size_t size)
{
    if (out->size + size + 1 > out->capacity) {
        out->capacity = (out->size + size + 1) * 2;
        char *grown = realloc(out->data, out->capacity);
        if (grown == NULL)
            abort();
        out->data = grown;
    }
    memcpy(out->data + out->size, data, size);
    out->size += size;
    out->data[out->size] = '\0';
}

__attribute__((format(printf, 2, 3))) static void addf(struct text *out, const char *format, ...)
{
    char part[2048];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(part, sizeof(part), format, args);
    va_end(args);
    add(out, part, size < (int)sizeof(part) ? (size_t)size : sizeof(part) - 1);
}

/* Without the quotes: it may be a part of a string. */
static void add_escaped(struct text *out, struct mcp_bytes value)
{
    for (size_t i = 0; i < value.size; i++) {
        unsigned char c = (unsigned char)value.data[i];
        if (c == '"' || c == '\\' || c < 0x20)
            addf(out, "\\u%04x", c);
        else
            add(out, value.data + i, 1);
    }
}

static struct mcp_bytes bytes_of(const char *text)
{
    return (struct mcp_bytes){text, strlen(text)};
}

static int32_t finish_result(struct mcp_call *call, struct text *json)
{
    int32_t code = call->ops->finish_result(call, (struct mcp_bytes){json->data, json->size});
    free(json->data);
    return code;
}

static int32_t finish_text(struct mcp_call *call, struct text *text)
{
    int32_t code = call->ops->finish_text(call, (struct mcp_bytes){text->data, text->size});
    free(text->data);
    return code;
}

/* ---- what a call brings ---- */

/* The text at a place; empty: there is none. */
static struct mcp_bytes part(struct mcp_call *call, int32_t which, const char *pointer)
{
    struct mcp_bytes value = {"", 0};
    int32_t kind;
    if (call->ops->read(call, which, pointer, &kind, &value) != MCP_OK)
        return (struct mcp_bytes){"", 0};
    return value;
}

static struct mcp_bytes argument(struct mcp_call *call, const char *pointer)
{
    return part(call, MCP_PART_ARGUMENTS, pointer);
}

static struct mcp_bytes answer(struct mcp_call *call, const char *pointer)
{
    return part(call, MCP_PART_INPUT_RESPONSES, pointer);
}

static bool can(struct mcp_call *call, const char *capability)
{
    return part(call, MCP_PART_CLIENT_CAPABILITIES, capability).size > 0;
}

static bool equals(struct mcp_bytes value, const char *text)
{
    return value.size == strlen(text) && memcmp(value.data, text, value.size) == 0;
}

static bool accepted(struct mcp_call *call, const char *key)
{
    char pointer[128];
    snprintf(pointer, sizeof(pointer), "/%s/action", key);
    return equals(answer(call, pointer), "accept");
}

static bool pause_ms(struct mcp_call *call, int ms)
{
    struct pollfd cancelled = {.fd = call->ops->cancel_fd(call), .events = POLLIN};
    poll(&cancelled, 1, ms);
    return call->ops->is_cancelled(call) == 0;
}

static int32_t finish_cancelled(struct mcp_call *call)
{
    return call->ops->finish_failure(call, MCP_STR("Cancelled."));
}

/* ---- asking ---- */

#define ELICIT(message, properties, required)                                                      \
    "{\"method\":\"elicitation/create\",\"params\":{\"message\":\"" message                        \
    "\",\"requestedSchema\":{\"type\":\"object\",\"properties\":{" properties                      \
    "},\"required\":[" required "]}}}"
#define SAMPLE(question, tokens)                                                                   \
    "{\"method\":\"sampling/createMessage\",\"params\":{\"messages\":[{\"role\":\"user\","         \
    "\"content\":{\"type\":\"text\",\"text\":\"" question "\"}}],\"maxTokens\":" tokens "}}"
#define ROOTS "{\"method\":\"roots/list\",\"params\":{}}"

static int32_t ask(struct mcp_call *call, const char *requests, const char *state)
{
    return call->ops->finish_need_input(call, bytes_of(requests), bytes_of(state));
}

/* ---- tools that answer at once ---- */

static int32_t simple_text(struct instance *self, struct mcp_call *call)
{
    (void)self;
    return call->ops->finish_text(call, MCP_STR("This is a simple text response for testing."));
}

static int32_t done(struct instance *self, struct mcp_call *call)
{
    (void)self;
    return call->ops->finish_text(call, MCP_STR("Done."));
}

#define IMAGE "{\"type\":\"image\",\"data\":\"" PNG "\",\"mimeType\":\"image/png\"}"

static int32_t image(struct instance *self, struct mcp_call *call)
{
    (void)self;
    return call->ops->finish_result(call, MCP_STR("{\"content\":[" IMAGE "]}"));
}

static int32_t audio(struct instance *self, struct mcp_call *call)
{
    (void)self;
    return call->ops->finish_result(call,
                                    MCP_STR("{\"content\":[{\"type\":\"audio\",\"data\":\"" WAV
                                            "\",\"mimeType\":\"audio/wav\"}]}"));
}

static int32_t embedded(struct instance *self, struct mcp_call *call)
{
    (void)self;
    return call->ops->finish_result(
        call, MCP_STR("{\"content\":[{\"type\":\"resource\",\"resource\":{"
                      "\"uri\":\"test://embedded-resource\",\"mimeType\":\"text/plain\","
                      "\"text\":\"This is an embedded resource content.\"}}]}"));
}

static int32_t mixed(struct instance *self, struct mcp_call *call)
{
    (void)self;
    return call->ops->finish_result(
        call,
        MCP_STR("{\"content\":[{\"type\":\"text\",\"text\":\"Multiple content types test:\"}," IMAGE
                ",{\"type\":\"resource\",\"resource\":{\"uri\":\"test://mixed-content-resource\","
                "\"mimeType\":\"application/json\","
                "\"text\":\"{\\\"test\\\":\\\"data\\\",\\\"value\\\":123}\"}}]}"));
}

static int32_t failing(struct instance *self, struct mcp_call *call)
{
    (void)self;
    return call->ops->finish_failure(
        call, MCP_STR("This tool intentionally returns an error for testing"));
}

static int32_t missing_capability(struct instance *self, struct mcp_call *call)
{
    (void)self;
    if (can(call, "/sampling"))
        return call->ops->finish_text(call, MCP_STR("Success"));
    return call->ops->finish_error(call, MCP_ERROR_MISSING_CAPABILITY,
                                   MCP_STR("This tool needs the client capability sampling"),
                                   MCP_STR("{\"requiredCapabilities\":{\"sampling\":{}}}"));
}

static int32_t streaming(struct instance *self, struct mcp_call *call)
{
    (void)self;
    call->ops->progress(call, 50, 100, MCP_STR("half"));
    return call->ops->finish_text(call, MCP_STR("Streaming complete"));
}

static int32_t logging(struct instance *self, struct mcp_call *call)
{
    (void)self;
    call->ops->log(call, MCP_LOG_INFO, MCP_STR("\"Logging tool\""));
    return call->ops->finish_text(call, MCP_STR("Logging evaluated"));
}

static int32_t change_tools(struct instance *self, struct mcp_call *call)
{
    atomic_fetch_add(&self->tool_changes, 1);
    self->host->notify(self->host, MCP_CHANGED_TOOLS);
    return done(self, call);
}

static int32_t change_prompts(struct instance *self, struct mcp_call *call)
{
    atomic_fetch_add(&self->prompt_changes, 1);
    self->host->notify(self->host, MCP_CHANGED_PROMPTS);
    return done(self, call);
}

/* ---- tools that take their time ---- */

static int32_t with_logging(struct instance *self, struct mcp_call *call)
{
    (void)self;
    call->ops->log(call, MCP_LOG_INFO, MCP_STR("\"Tool execution started\""));
    pause_ms(call, 50);
    call->ops->log(call, MCP_LOG_INFO, MCP_STR("\"Tool processing data\""));
    pause_ms(call, 50);
    call->ops->log(call, MCP_LOG_INFO, MCP_STR("\"Tool execution completed\""));
    return call->ops->finish_text(call, MCP_STR("Tool with logging executed successfully"));
}

static int32_t with_progress(struct instance *self, struct mcp_call *call)
{
    (void)self;
    for (int step = 0; step <= 100; step += 50) {
        call->ops->progress(call, step, 100, MCP_STR(""));
        if (step < 100)
            pause_ms(call, 50);
    }
    return call->ops->finish_text(call, part(call, MCP_PART_META, "/progressToken"));
}

static int32_t reconnection(struct instance *self, struct mcp_call *call)
{
    (void)self;
    call->ops->close_stream(call);
    pause_ms(call, 100);
    return call->ops->finish_text(call, MCP_STR("Reconnected"));
}

/* ---- tools that ask the client ---- */

static int32_t sampling(struct instance *self, struct mcp_call *call)
{
    struct text text = {0};
    (void)self;
    if (call->state.size > 0) {
        addf(&text, "LLM response: ");
        struct mcp_bytes said = answer(call, "/completion/content/text");
        add(&text, said.data, said.size);
        return finish_text(call, &text);
    }
    addf(&text, "{\"completion\":{\"method\":\"sampling/createMessage\",\"params\":{\"messages\":["
                "{\"role\":\"user\",\"content\":{\"type\":\"text\",\"text\":\"");
    add_escaped(&text, argument(call, "/prompt"));
    addf(&text, "\"}}],\"maxTokens\":100}}}");
    int32_t code = ask(call, text.data, "asked");
    free(text.data);
    return code;
}

/* "WORD: action=..., content=..." */
static int32_t tell_answer(struct mcp_call *call, const char *word)
{
    struct mcp_bytes action = answer(call, "/form/action"), content = answer(call, "/form/content");
    struct text text = {0};
    addf(&text, "%s: action=%.*s, content=", word, (int)action.size, action.data);
    if (content.size > 0)
        add(&text, content.data, content.size);
    else
        addf(&text, "{}");
    return finish_text(call, &text);
}

static int32_t elicitation(struct instance *self, struct mcp_call *call)
{
    struct text text = {0};
    (void)self;
    if (call->state.size > 0)
        return tell_answer(call, "User response");
    addf(&text, "{\"form\":{\"method\":\"elicitation/create\",\"params\":{\"message\":\"");
    add_escaped(&text, argument(call, "/message"));
    addf(&text, "\",\"requestedSchema\":{\"type\":\"object\",\"properties\":{\"username\":{"
                "\"type\":\"string\",\"description\":\"User's response\"},\"email\":{"
                "\"type\":\"string\",\"description\":\"User's email address\"}},"
                "\"required\":[\"username\",\"email\"]}}}}");
    int32_t code = ask(call, text.data, "asked");
    free(text.data);
    return code;
}

static int32_t form(struct mcp_call *call, const char *requests)
{
    if (call->state.size > 0)
        return tell_answer(call, "Elicitation completed");
    return ask(call, requests, "asked");
}

static int32_t defaults(struct instance *self, struct mcp_call *call)
{
    (void)self;
    return form(
        call,
        "{\"form\":" ELICIT(
            "Please review and update the form fields with defaults",
            "\"name\":{\"type\":\"string\",\"description\":\"Name\",\"default\":\"John Doe\"},"
            "\"age\":{\"type\":\"integer\",\"description\":\"Age\",\"default\":30},"
            "\"score\":{\"type\":\"number\",\"description\":\"Score\",\"default\":95.5},"
            "\"status\":{\"type\":\"string\",\"description\":\"Status\","
            "\"enum\":[\"active\",\"inactive\",\"pending\"],\"default\":\"active\"},"
            "\"verified\":{\"type\":\"boolean\",\"description\":\"Verified\",\"default\":true}",
            "") "}");
}

#define TITLED(value, title) "{\"const\":\"" value "\",\"title\":\"" title "\"}"

static int32_t enums(struct instance *self, struct mcp_call *call)
{
    (void)self;
    return form(
        call,
        "{\"form\":" ELICIT(
            "Please select options from the enum fields",
            "\"untitledSingle\":{\"type\":\"string\",\"enum\":[\"option1\",\"option2\",\"option3\"]"
            "},\"titledSingle\":{\"type\":\"string\",\"oneOf\":[" TITLED("value1", "First Option") "," TITLED(
                "value2",
                "Second Option") "," TITLED("value3",
                                            "Third Option") "]"
                                                            "}"
                                                            ","
                                                            "\"legacyEnum\":{\"type\":\"string\","
                                                            "\"enum\":[\"opt1\",\"opt2\",\"opt3\"],"
                                                            "\"enumNames\":[\"Option "
                                                            "One\",\"Option Two\",\"Option "
                                                            "Three\"]},"
                                                            "\"untitledMulti\":{\"type\":\"array\","
                                                            "\"minItems\":1,\"maxItems\":3,"
                                                            "\"items\":{"
                                                            "\"type\":\"string\",\"enum\":["
                                                            "\"option1\",\"option2\",\"option3\"]}}"
                                                            ","
                                                            "\"titledMulti\":{\"type\":\"array\","
                                                            "\"minItems\":1,\"maxItems\":3,"
                                                            "\"items\":{\"anyOf\":"
                                                            "[" TITLED("value1", "First Choice") "," TITLED(
                                                                "value2",
                                                                "Second Choice") "," TITLED("value"
                                                                                            "3",
                                                                                            "Third "
                                                                                            "Choic"
                                                                                            "e") "]"
                                                                                                 "}"
                                                                                                 "}",
            "") "}");
}

#define ASK_NAME                                                                                   \
    "\"user_name\":" ELICIT("What is your name?", "\"name\":{\"type\":\"string\"}", "\"name\"")

/* Says hello to the name at the place, or asks. */
static int32_t hello(struct mcp_call *call, struct mcp_bytes name)
{
    struct text text = {0};
    addf(&text, "Hello, ");
    add(&text, name.data, name.size);
    addf(&text, "!");
    return finish_text(call, &text);
}

static int32_t ask_name(struct instance *self, struct mcp_call *call)
{
    (void)self;
    struct mcp_bytes name = answer(call, "/user_name/content/name");
    if (accepted(call, "user_name") && name.size > 0)
        return hello(call, name);
    return ask(call, "{" ASK_NAME "}", "");
}

static int32_t ask_capital(struct instance *self, struct mcp_call *call)
{
    if (answer(call, "/capital_question").size > 0)
        return done(self, call);
    return ask(call, "{\"capital_question\":" SAMPLE("What is the capital of France?", "100") "}",
               "");
}

static int32_t ask_roots(struct instance *self, struct mcp_call *call)
{
    if (answer(call, "/client_roots").size > 0)
        return done(self, call);
    return ask(call, "{\"client_roots\":" ROOTS "}", "");
}

static int32_t ask_confirmation(struct instance *self, struct mcp_call *call)
{
    (void)self;
    if (equals(call->state, "confirming") && accepted(call, "confirm"))
        return call->ops->finish_text(call, MCP_STR("state-ok"));
    return ask(
        call,
        "{\"confirm\":" ELICIT("Please confirm", "\"ok\":{\"type\":\"boolean\"}", "\"ok\"") "}",
        "confirming");
}

static int32_t ask_three(struct instance *self, struct mcp_call *call)
{
    if (call->state.size > 0 && answer(call, "/user_name").size > 0 &&
        answer(call, "/greeting").size > 0 && answer(call, "/client_roots").size > 0)
        return done(self, call);
    return ask(call,
               "{" ASK_NAME
               ",\"greeting\":" SAMPLE("Generate a greeting", "50") ",\"client_roots\":" ROOTS "}",
               "three");
}

static int32_t ask_twice(struct instance *self, struct mcp_call *call)
{
    if (equals(call->state, "2") && accepted(call, "step2"))
        return done(self, call);
    if (equals(call->state, "2") || (equals(call->state, "1") && accepted(call, "step1")))
        return ask(call,
                   "{\"step2\":" ELICIT("Step 2: What is your favorite color?",
                                        "\"color\":{\"type\":\"string\"}", "\"color\"") "}",
                   "2");
    return ask(call,
               "{\"step1\":" ELICIT("Step 1: What is your name?", "\"name\":{\"type\":\"string\"}",
                                    "\"name\"") "}",
               "1");
}

static int32_t ask_what_they_can(struct instance *self, struct mcp_call *call)
{
    struct text requests = {0};
    if (call->state.size > 0)
        return done(self, call);
    if (can(call, "/elicitation"))
        addf(&requests, "," ASK_NAME);
    if (can(call, "/sampling"))
        addf(&requests, ",\"greeting\":" SAMPLE("Generate a greeting", "50"));
    if (can(call, "/roots"))
        addf(&requests, ",\"client_roots\":" ROOTS);
    if (requests.size == 0)
        return done(self, call);
    requests.data[0] = '{';
    addf(&requests, "}");
    int32_t code = ask(call, requests.data, "asked");
    free(requests.data);
    return code;
}

/* ---- tasks ---- */

static int32_t greet(struct instance *self, struct mcp_call *call)
{
    (void)self;
    return hello(call, argument(call, "/name"));
}

static int32_t slow_compute(struct instance *self, struct mcp_call *call)
{
    char seconds[32] = "0";
    struct mcp_bytes given = argument(call, "/seconds");
    if (given.size < sizeof(seconds))
        memcpy(seconds, given.data, given.size);
    return pause_ms(call, (int)(strtod(seconds, NULL) * 1000)) ? done(self, call)
                                                               : finish_cancelled(call);
}

static int32_t failing_job(struct instance *self, struct mcp_call *call)
{
    (void)self;
    if (!pause_ms(call, 1000))
        return finish_cancelled(call);
    return call->ops->finish_failure(call, MCP_STR("The job has failed, as it should."));
}

static int32_t protocol_error_job(struct instance *self, struct mcp_call *call)
{
    (void)self;
    return call->ops->finish_error(call, MCP_ERROR_INTERNAL,
                                   MCP_STR("The job ended with a protocol error"), MCP_STR(""));
}

#define ASK_CONFIRM(key, message)                                                                  \
    "\"" key "\":" ELICIT(message, "\"confirm\":{\"type\":\"boolean\"}", "\"confirm\"")

static int32_t confirm_delete(struct instance *self, struct mcp_call *call)
{
    if (answer(call, "/confirm").size > 0)
        return done(self, call);
    return ask(call, "{" ASK_CONFIRM("confirm", "Delete the file?") "}", "asked");
}

static int32_t multi_input(struct instance *self, struct mcp_call *call)
{
    if (answer(call, "/user_name").size > 0 && answer(call, "/confirm").size > 0)
        return done(self, call);
    return ask(call, "{" ASK_NAME "," ASK_CONFIRM("confirm", "Go on?") "}", "asked");
}

static int32_t tool_with_task(struct instance *self, struct mcp_call *call)
{
    (void)self;
    struct mcp_bytes name = answer(call, "/user_name/content/name");
    if (name.size == 0)
        return ask(call, "{" ASK_NAME "}", "asked");
    call->ops->start_task(call);
    if (!pause_ms(call, 200))
        return finish_cancelled(call);
    return hello(call, name);
}

/* ---- the tools ---- */

struct tool {
    const char *name, *description;
    const char *input; /* members of the inputSchema behind its type */
    uint32_t flags;
    int32_t (*run)(struct instance *self, struct mcp_call *call);
};

#define NOTHING "\"properties\":{}"
#define ONE(name, required)                                                                        \
    "\"properties\":{\"" name "\":{\"type\":\"string\"}},\"required\":[" required "]"

static const char schema_2020[] =
    "\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"$defs\":{\"address\":{"
    "\"$anchor\":\"addressDef\",\"type\":\"object\",\"properties\":{\"street\":{\"type\":"
    "\"string\"},\"city\":{\"type\":\"string\"}}}},\"properties\":{\"name\":{\"type\":\"string\"},"
    "\"address\":{\"$ref\":\"#/$defs/address\"},\"contactMethod\":{\"type\":\"string\",\"enum\":["
    "\"phone\",\"email\"]},\"phone\":{\"type\":\"string\"},\"email\":{\"type\":\"string\"}},"
    "\"allOf\":[{\"anyOf\":[{\"required\":[\"phone\"]},{\"required\":[\"email\"]}]}],\"if\":{"
    "\"properties\":{\"contactMethod\":{\"const\":\"phone\"}},\"required\":[\"contactMethod\"]},"
    "\"then\":{\"required\":[\"phone\"]},\"else\":{\"required\":[\"email\"]},"
    "\"additionalProperties\":false";

/* The first must answer without arguments: the suite calls it. */
static const struct tool tools[] = {
    {"test_simple_text", "Tests simple text content response", NOTHING, INLINE, simple_text},
    {"test_image_content", "Tests image content response", NOTHING, INLINE, image},
    {"test_audio_content", "Tests audio content response", NOTHING, INLINE, audio},
    {"test_embedded_resource", "Tests embedded resource content response", NOTHING, INLINE,
     embedded},
    {"test_multiple_content_types", "Tests mixed content", NOTHING, INLINE, mixed},
    {"test_error_handling", "Always returns a tool error", NOTHING, INLINE, failing},
    {"test_tool_with_logging", "Emits three info log messages", NOTHING, BESIDE, with_logging},
    {"test_tool_with_progress", "Reports progress 0, 50, 100 of 100", NOTHING, BESIDE,
     with_progress},
    {"test_reconnection", "Closes its SSE stream mid-call", NOTHING, BESIDE, reconnection},
    {"test_sampling", "Requests an LLM completion from the client", ONE("prompt", "\"prompt\""),
     INLINE, sampling},
    {"test_elicitation", "Requests user input from the client", ONE("message", "\"message\""),
     INLINE, elicitation},
    {"test_elicitation_sep1034_defaults", "Elicitation with defaults", NOTHING, INLINE, defaults},
    {"test_elicitation_sep1330_enums", "Elicitation with enum schemas", NOTHING, INLINE, enums},
    {"json_schema_2020_12_tool", "Tool with JSON Schema 2020-12 features", schema_2020, INLINE,
     done},
    {"test_x_mcp_header", "Mirrors region into Mcp-Param-Region",
     "\"properties\":{\"region\":{\"type\":\"string\",\"description\":\"mirrored\","
     "\"x-mcp-header\":\"Region\"},\"level\":{\"type\":\"integer\",\"description\":"
     "\"not mirrored\"}}",
     INLINE, done},
    {"test_missing_capability", "Requires the sampling client capability", NOTHING, INLINE,
     missing_capability},
    {"test_streaming_elicitation", "Streams a notification then the result", NOTHING, INLINE,
     streaming},
    {"test_logging_tool", "Logs only when the request asked for a log level", NOTHING, INLINE,
     logging},
    {"test_trigger_tool_change", "Publishes tools/list_changed", NOTHING, INLINE, change_tools},
    {"test_trigger_prompt_change", "Publishes prompts/list_changed", NOTHING, INLINE,
     change_prompts},
    {"test_input_required_result_elicitation", "Asks for a name", NOTHING, INLINE, ask_name},
    {"test_input_required_result_sampling", "Asks for a completion", NOTHING, INLINE, ask_capital},
    {"test_input_required_result_list_roots", "Asks for roots", NOTHING, INLINE, ask_roots},
    {"test_input_required_result_request_state", "Round trip of a state", NOTHING, INLINE,
     ask_confirmation},
    {"test_input_required_result_multiple_inputs", "Three inputs at once", NOTHING, INLINE,
     ask_three},
    {"test_input_required_result_multi_round", "Two rounds", NOTHING, INLINE, ask_twice},
    {"test_input_required_result_tampered_state", "A sealed state", NOTHING, INLINE,
     ask_confirmation},
    {"test_input_required_result_capabilities", "Only asks what the client declared", NOTHING,
     INLINE, ask_what_they_can},
    {"greet", "Says hello at once", ONE("name", "\"name\""), INLINE, greet},
    {"slow_compute", "Sleeps, then answers",
     "\"properties\":{\"seconds\":{\"type\":\"number\"},\"label\":{\"type\":\"string\"}}",
     BESIDE | MCP_TOOL_TASK_OPTIONAL, slow_compute},
    {"failing_job", "A task that ends in a tool error", NOTHING, BESIDE | MCP_TOOL_TASK_REQUIRED,
     failing_job},
    {"protocol_error_job", "A task that ends in a protocol error", NOTHING,
     BESIDE | MCP_TOOL_TASK_OPTIONAL, protocol_error_job},
    {"confirm_delete", "A task that asks one question", ONE("filename", "\"filename\""),
     BESIDE | MCP_TOOL_TASK_OPTIONAL, confirm_delete},
    {"multi_input", "A task that asks two questions at once", NOTHING,
     BESIDE | MCP_TOOL_TASK_OPTIONAL, multi_input},
    {"test_tool_with_task", "Asks for a name, then goes on as a task", NOTHING,
     BESIDE | MCP_TOOL_TASK_REQUIRED | MCP_TOOL_TASK_LATE, tool_with_task},
};

static int32_t get_tools(void *instance, const struct mcp_tool_sink *sink)
{
    struct instance *self = instance;
    for (size_t i = 0; i < COUNT(tools); i++) {
        struct text definition = {0};
        addf(&definition,
             "{\"name\":\"%s\",\"description\":\"%s\",\"inputSchema\":{\"type\":\"object\",%s}",
             tools[i].name, tools[i].description, tools[i].input);
        if (tools[i].run == change_tools)
            addf(&definition, ",\"_meta\":{\"com.example/changes\":%u}",
                 atomic_load(&self->tool_changes));
        addf(&definition, "}");
        const struct mcp_tool tool = {.struct_size = sizeof(tool),
                                      .flags = tools[i].flags,
                                      .definition = {definition.data, definition.size},
                                      .tag = i};
        int32_t code = sink->add(sink, &tool);
        free(definition.data);
        if (code != MCP_OK)
            return code;
    }
    return MCP_OK;
}

static int32_t call_tool(void *self, struct mcp_call *call)
{
    return tools[call->tag].run(self, call);
}

static int32_t give(const struct mcp_offer_sink *sink, uint64_t tag, const char *definition)
{
    const struct mcp_offer offer = {.struct_size = sizeof(offer),
                                    .flags = INLINE,
                                    .definition = bytes_of(definition),
                                    .tag = tag};
    return sink->add(sink, &offer);
}

/* ---- resources ---- */

#define SKILL_TEXT                                                                                 \
    "---\\nname: pdf-processing\\ndescription: Extract, fill, and assemble PDF documents\\n---\\n" \
    "# PDF processing\\n"

static const struct {
    const char *definition;
    const char *content; /* "text" or "blob" and its value */
} resources[] = {
    {"{\"uri\":\"test://static-text\",\"name\":\"static-text\",\"title\":\"Static Text Resource\","
     "\"description\":\"A static text resource for testing\",\"mimeType\":\"text/plain\"}",
     "\"mimeType\":\"text/plain\",\"text\":\"This is the content of the static text resource.\""},
    {"{\"uri\":\"test://static-binary\",\"name\":\"static-binary\",\"title\":\"Static Binary "
     "Resource\",\"description\":\"A static binary resource (image) for testing\",\"mimeType\":"
     "\"image/png\"}",
     "\"mimeType\":\"image/png\",\"blob\":\"" PNG "\""},
    {"{\"uri\":\"test://watched-resource\",\"name\":\"watched-resource\",\"title\":\"Watched "
     "Resource\",\"description\":\"A resource that can be subscribed to\",\"mimeType\":"
     "\"text/plain\"}",
     "\"mimeType\":\"text/plain\",\"text\":\"Watched resource content\""},
    {"{\"uri\":\"skill://pdf-processing/SKILL.md\",\"name\":\"pdf-processing\",\"description\":"
     "\"Extract, fill, and assemble PDF documents\",\"mimeType\":\"text/markdown\"}",
     "\"mimeType\":\"text/markdown\",\"text\":\"" SKILL_TEXT "\""},
    {"{\"uri\":\"skill://pdf-processing/references/FORMS.md\",\"name\":\"FORMS.md\",\"title\":"
     "\"Forms\",\"description\":\"Form reference\",\"mimeType\":\"text/markdown\"}",
     "\"mimeType\":\"text/markdown\",\"text\":\"# Forms\\nSupporting content.\\n\""},
};
#define TEMPLATE_TAG COUNT(resources)

static int32_t get_resources(void *self, const struct mcp_offer_sink *sink)
{
    int32_t code = MCP_OK;
    (void)self;
    for (size_t i = 0; i < COUNT(resources) && code == MCP_OK; i++)
        code = give(sink, i, resources[i].definition);
    return code;
}

static int32_t get_resource_templates(void *self, const struct mcp_offer_sink *sink)
{
    (void)self;
    return give(sink, TEMPLATE_TAG,
                "{\"uriTemplate\":\"test://template/{id}/data\",\"name\":\"template\",\"title\":"
                "\"Resource Template\",\"description\":\"A resource template with parameter "
                "substitution\",\"mimeType\":\"application/json\"}");
}

static int32_t read_resource(void *self, struct mcp_call *call)
{
    struct text json = {0};
    (void)self;
    addf(&json, "{\"contents\":[{\"uri\":\"");
    add_escaped(&json, call->name);
    if (call->tag == TEMPLATE_TAG) {
        struct mcp_bytes id = argument(call, "/id");
        addf(&json, "\",\"mimeType\":\"application/json\",\"text\":\"{\\\"id\\\":\\\"");
        add_escaped(&json, id);
        addf(&json, "\\\",\\\"templateTest\\\":true,\\\"data\\\":\\\"Data for ID: ");
        add_escaped(&json, id);
        addf(&json, "\\\"}\"");
    } else {
        addf(&json, "\",%s", resources[call->tag].content);
    }
    addf(&json, "}]}");
    return finish_result(call, &json);
}

/* ---- prompts ---- */

#define USER(block) "{\"role\":\"user\",\"content\":" block "}"
#define USER_TEXT(text) USER("{\"type\":\"text\",\"text\":\"" text "\"}")

static int32_t simple_prompt(struct mcp_call *call)
{
    return call->ops->finish_text(call, MCP_STR("This is a simple prompt for testing."));
}

static int32_t prompt_with_arguments(struct mcp_call *call)
{
    struct mcp_bytes one = argument(call, "/arg1"), two = argument(call, "/arg2");
    struct text text = {0};
    addf(&text, "Prompt with arguments: arg1='%.*s', arg2='%.*s'", (int)one.size, one.data,
         (int)two.size, two.data);
    return finish_text(call, &text);
}

static int32_t prompt_with_resource(struct mcp_call *call)
{
    struct text json = {0};
    addf(&json, "{\"messages\":[{\"role\":\"user\",\"content\":{\"type\":\"resource\","
                "\"resource\":{\"uri\":\"");
    add_escaped(&json, argument(call, "/resourceUri"));
    addf(&json,
         "\",\"mimeType\":\"text/plain\",\"text\":\"Embedded resource content for testing.\"}}}"
         "," USER_TEXT("Please process the embedded resource above.") "]}");
    return finish_result(call, &json);
}

static int32_t prompt_with_image(struct mcp_call *call)
{
    return call->ops->finish_result(call, MCP_STR("{\"messages\":[" USER(IMAGE) "," USER_TEXT(
                                              "Please analyze the image above.") "]}"));
}

static int32_t prompt_that_asks(struct mcp_call *call)
{
    struct mcp_bytes context = answer(call, "/user_context/content/context");
    struct text text = {0};
    if (!accepted(call, "user_context") || context.size == 0)
        return ask(call,
                   "{\"user_context\":" ELICIT("What context should the prompt use?",
                                               "\"context\":{\"type\":\"string\"}",
                                               "\"context\"") "}",
                   "");
    addf(&text, "Prompt with context: ");
    add(&text, context.data, context.size);
    return finish_text(call, &text);
}

#define ARGUMENT(name, description)                                                                \
    "{\"name\":\"" name "\",\"description\":\"" description "\",\"required\":true}"

static const struct {
    const char *members;
    int32_t (*run)(struct mcp_call *call);
} prompts[] = {
    {"\"name\":\"test_simple_prompt\",\"description\":\"A simple prompt without arguments\"",
     simple_prompt},
    {"\"name\":\"test_prompt_with_arguments\",\"description\":\"A prompt with required "
     "arguments\",\"arguments\":[" ARGUMENT("arg1", "First test argument") "," ARGUMENT(
         "arg2", "Second test argument") "]",
     prompt_with_arguments},
    {"\"name\":\"test_prompt_with_embedded_resource\",\"description\":\"A prompt that includes an "
     "embedded resource\",\"arguments\":[" ARGUMENT("resourceUri",
                                                    "URI of the resource to embed") "]",
     prompt_with_resource},
    {"\"name\":\"test_prompt_with_image\",\"description\":\"A prompt that includes image content\"",
     prompt_with_image},
    {"\"name\":\"test_input_required_result_prompt\",\"description\":\"A prompt that asks the "
     "client first\"",
     prompt_that_asks},
};

static int32_t get_prompts(void *instance, const struct mcp_offer_sink *sink)
{
    struct instance *self = instance;
    int32_t code = MCP_OK;
    for (size_t i = 0; i < COUNT(prompts) && code == MCP_OK; i++) {
        struct text definition = {0};
        addf(&definition, "{%s,\"_meta\":{\"com.example/changes\":%u}}", prompts[i].members,
             atomic_load(&self->prompt_changes));
        code = give(sink, i, definition.data);
        free(definition.data);
    }
    return code;
}

static int32_t get_prompt(void *self, struct mcp_call *call)
{
    (void)self;
    return prompts[call->tag].run(call);
}

/* ---- completion and skills ---- */

static int32_t complete(void *self, struct mcp_call *call)
{
    (void)self;
    return call->ops->finish_result(call, MCP_STR("{\"values\":[],\"total\":0,\"hasMore\":false}"));
}

static int32_t get_skills(void *self, const struct mcp_offer_sink *sink)
{
    (void)self;
    return give(
        sink, 0,
        "{\"uri\":\"skill://pdf-processing/SKILL.md\",\"frontmatter\":{\"name\":\"pdf-processing\","
        "\"description\":\"Extract, fill, and assemble PDF documents\"},\"resources\":[{\"uri\":"
        "\"skill://pdf-processing/SKILL.md\",\"digest\":\"sha256:"
        "716a629cc583d11651050777c51aa7608322d06439655bd3c6df9d9d8863db9e\",\"size\":101},{\"uri\":"
        "\"skill://pdf-processing/references/FORMS.md\",\"digest\":\"sha256:"
        "a785a5d9c96641ffd17181cb74fe776fed1c74511f0a96d9deb60d13b6dccb57\",\"size\":28}]}");
}

/* ---- the plugin ---- */

static int32_t create(const struct mcp_host *host, struct mcp_bytes config, void **instance)
{
    struct instance *self = calloc(1, sizeof(*self));
    (void)config;
    if (self == NULL)
        return MCP_ENOMEM;
    self->host = host;
    *instance = self;
    return MCP_OK;
}

static void destroy(void *self)
{
    free(self);
}

static const void *get_extension(void *self, const char *id)
{
    static const struct mcp_resources resources_1 = {
        .struct_size = sizeof(resources_1),
        .get_resources = get_resources,
        .get_resource_templates = get_resource_templates,
        .read_resource = read_resource,
    };
    static const struct mcp_prompts prompts_1 = {
        .struct_size = sizeof(prompts_1), .get_prompts = get_prompts, .get_prompt = get_prompt};
    static const struct mcp_completion completion_1 = {.struct_size = sizeof(completion_1),
                                                       .complete = complete};
    static const struct mcp_skills skills_1 = {.struct_size = sizeof(skills_1),
                                               .get_skills = get_skills};
    (void)self;
    if (strcmp(id, MCP_RESOURCES) == 0)
        return &resources_1;
    if (strcmp(id, MCP_PROMPTS) == 0)
        return &prompts_1;
    if (strcmp(id, MCP_COMPLETION) == 0)
        return &completion_1;
    return strcmp(id, MCP_SKILLS) == 0 ? &skills_1 : NULL;
}

static const struct mcp_plugin plugin = {
    MCP_PLUGIN_HEADER,      .id = "conformance",
    .version = "1.0.0",     .create = create,
    .destroy = destroy,     .get_tools = get_tools,
    .call_tool = call_tool, .get_extension = get_extension,
};

MCP_EXPORT const struct mcp_plugin *mcp_plugin_v1(void)
{
    return &plugin;
}

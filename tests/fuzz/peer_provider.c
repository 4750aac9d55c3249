/* SPDX-License-Identifier: MIT */
/* The provider of peer.c: it ends a call as its tag and its arguments "a" and "b" say. */
#include "must.h"
#include "peer.h"
#include "plugin/call.h"

enum { TEXT, STRUCTURED, RESULT, FAILURE, ASK, ERROR, MIXED };

static struct mcp_bytes argument(struct mcp_call *abi, const char *pointer)
{
    struct mcp_bytes value = MCP_STR("");
    int32_t kind;

    if (abi->ops->argument(abi, pointer, &kind, &value) != MCP_OK)
        return MCP_STR("");
    return value;
}

/* The second time, with what the client answered. */
static void ask(struct mcp_call *abi, struct mcp_bytes a, struct mcp_bytes b)
{
    if (abi->input_responses.size > 0)
        abi->ops->finish_structured(abi, abi->state, abi->input_responses);
    else if (abi->ops->finish_need_input(abi, a, b) != MCP_OK)
        abi->ops->finish_failure(abi, b);
}

static void end(struct mcp_call *abi, uint64_t how, struct mcp_bytes a, struct mcp_bytes b)
{
    switch (how) {
    case STRUCTURED:
        abi->ops->finish_structured(abi, b, a);
        break;
    case RESULT:
        abi->ops->finish_result(abi, a);
        break;
    case FAILURE:
        abi->ops->finish_failure(abi, a);
        break;
    case ASK:
        ask(abi, a, b);
        break;
    case ERROR:
        abi->ops->finish_error(abi, b.size > 0 ? -32021 : -32002, b, a);
        break;
    default:
        abi->ops->finish_text(abi, a);
    }
}

static void provider_call(struct provider *provider, struct call *call)
{
    struct mcp_call *abi = call_abi(call);
    struct mcp_bytes a = argument(abi, "/a"), b = argument(abi, "/b");
    uint64_t how = abi->tag;

    (void)provider;
    if (call_function(call) == CALL_COMPLETE)
        a = argument(abi, "/argument/value");
    else if (call_function(call) == CALL_READ_RESOURCE)
        a = argument(abi, "/path");
    if (how == MIXED) /* what the first character says */
        how = a.size == 0 || a.data[0] == 'x' ? TEXT : a.data[0] == '{' ? RESULT : ERROR;
    abi->ops->log(abi, MCP_LOG_INFO, MCP_STR("{\"a\":1}"));
    abi->ops->progress(abi, 1, 2, b);
    if (b.size == 1)
        abi->ops->close_stream(abi);
    if (b.size == 2)
        abi->ops->start_task(abi);
    end(abi, how, a, b);
}

static const struct provider_ops ops = {.call = provider_call};

static void offer(struct provider *provider, enum offer_kind kind, const char *definition,
                  uint64_t tag, uint32_t flags)
{
    struct error err = {.text = ""};
    const struct offer_terms terms = {bytes_of(definition), flags | MCP_TOOL_NONBLOCKING, tag, 0,
                                      0};

    if (!offers_add(provider->offers, kind, &terms, &err)) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
}

#define TOOL(name) "{\"name\":\"" name "\",\"inputSchema\":{\"type\":\"object\"}}"
#define DIGEST "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define SKILL(name)                                                                                \
    "{\"uri\":\"skill://" name "/SKILL.md\",\"frontmatter\":{\"name\":\"" name                     \
    "\",\"description\":"                                                                          \
    "\"d\"},\"resources\":[{\"uri\":\"skill://" name "/SKILL.md\",\"digest\":\"" DIGEST            \
    "\",\"size\":3},{\"uri\":\"skill://" name "/d/%41.txt\",\"digest\":\"" DIGEST                  \
    "\",\"size\":0}]}"

static void offer_tools(struct provider *provider, bool tasks)
{
    offer(provider, OFFER_TOOL,
          "{\"name\":\"echo\",\"inputSchema\":{\"type\":\"object\",\"properties\":{"
          "\"a\":{\"type\":\"string\",\"x-mcp-header\":\"Text\"}}}}",
          TEXT, 0);
    offer(provider, OFFER_TOOL,
          "{\"name\":\"s\",\"inputSchema\":{\"type\":\"object\"},\"outputSchema\":{\"type\":"
          "\"object\",\"properties\":{\"n\":{\"type\":\"integer\"}}}}",
          STRUCTURED, 0);
    offer(provider, OFFER_TOOL,
          "{\"name\":\"n\",\"inputSchema\":{\"type\":\"object\",\"properties\":{\"a\":{\"type\":"
          "\"integer\",\"x-mcp-header\":\"Text\"}}}}",
          TEXT, 0);
    offer(provider, OFFER_TOOL, TOOL("r"), RESULT, 0);
    offer(provider, OFFER_TOOL, TOOL("f"), FAILURE, 0);
    offer(provider, OFFER_TOOL, TOOL("q"), ASK, 0);
    offer(provider, OFFER_TOOL, TOOL("once"), ASK, MCP_TOOL_STATE_ONCE);
    offer(provider, OFFER_TOOL, TOOL("e"), ERROR, 0);
    if (!tasks)
        return;
    offer(provider, OFFER_TOOL, TOOL("job"), MIXED, MCP_TOOL_TASK_OPTIONAL);
    offer(provider, OFFER_TOOL, TOOL("must"), STRUCTURED, MCP_TOOL_TASK_REQUIRED);
    offer(provider, OFFER_TOOL, TOOL("asks"), ASK, MCP_TOOL_TASK_OPTIONAL);
    offer(provider, OFFER_TOOL, TOOL("late"), TEXT, MCP_TOOL_TASK_OPTIONAL | MCP_TOOL_TASK_LATE);
    offer(provider, OFFER_TOOL, TOOL("fails"), FAILURE, MCP_TOOL_TASK_OPTIONAL);
}

struct provider *peer_provider(bool tasks)
{
    static struct provider provider;

    provider_init(&provider, &ops);
    provider.id = strdup("fuzz");
    provider.plugin = strdup("fuzz");
    provider.version = strdup("1");
    provider.completes = true;
    provider.offers = offers_new();
    offer_tools(&provider, tasks);
    offer(&provider, OFFER_RESOURCE, "{\"uri\":\"a:1\",\"name\":\"A\",\"mimeType\":\"text/x\"}",
          TEXT, 0);
    offer(&provider, OFFER_RESOURCE, "{\"uri\":\"a:d/2\",\"name\":\"B\",\"size\":1}", ERROR, 0);
    offer(&provider, OFFER_TEMPLATE, "{\"uriTemplate\":\"t:{path}{?q*}\",\"name\":\"T\"}", MIXED,
          0);
    offer(&provider, OFFER_PROMPT,
          "{\"name\":\"p\",\"arguments\":[{\"name\":\"a\",\"required\":true},{\"name\":\"b\"}]}",
          MIXED, 0);
    offer(&provider, OFFER_PROMPT, "{\"name\":\"ask\",\"arguments\":[{\"name\":\"a\"}]}", ASK, 0);
    offer(&provider, OFFER_SKILL, SKILL("one"), 0, 0);
    offer(&provider, OFFER_SKILL, SKILL("two"), 0, 0);
    offers_seal(provider.offers);
    return &provider;
}

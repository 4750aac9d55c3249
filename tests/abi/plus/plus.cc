// SPDX-License-Identifier: MIT
// A plugin in C++, built with plugin.mk: with the standard library, a static object and
// a template's static member, none of which may leave the file or pin it in memory.
#include <mcp/plugin.h>

#include <map>
#include <string>

MCP_PLUGIN_MANIFEST("{\"id\":\"plus\",\"version\":\"1.0.0\",\"abi\":\"1.0\"}");

template <class T> struct Counter {
    static T &value()
    {
        static T count{}; // STB_GNU_UNIQUE, if nothing prevents it
        return count;
    }
};

namespace
{

const std::map<std::string, std::string> greetings = {{"en", "Hello"}, {"de", "Hallo"}};

int32_t get_tools(void *, const mcp_tool_sink *sink)
{
    mcp_tool tool = {};
    tool.struct_size = sizeof tool;
    tool.definition = MCP_STR("{\"name\":\"plus_greet\",\"description\":\"Greets.\","
                              "\"inputSchema\":{\"type\":\"object\",\"properties\":{"
                              "\"language\":{\"type\":\"string\"}}}}");
    return sink->add(sink, &tool);
}

// No exception may pass the border.
int32_t call_tool(void *, mcp_call *call)
try {
    int32_t kind = 0;
    mcp_bytes language = {};
    std::string key = "en";
    if (call->ops->argument(call, "/language", &kind, &language) == MCP_OK &&
        kind == MCP_JSON_STRING)
        key.assign(language.data, language.size);
    Counter<long>::value()++;
    std::string text = greetings.at(key) + " from C++.";
    return call->ops->finish_text(call, mcp_bytes{text.data(), text.size()});
} catch (const std::exception &) {
    return call->ops->finish_failure(call, MCP_STR("That language is not known."));
}

mcp_plugin describe()
{
    mcp_plugin p = {};
    p.magic = MCP_PLUGIN_MAGIC;
    p.struct_size = sizeof p;
    p.abi_major = MCP_ABI_MAJOR;
    p.abi_minor = MCP_ABI_MINOR;
    p.id = "plus";
    p.version = "1.0.0";
    p.get_tools = get_tools;
    p.call_tool = call_tool;
    return p;
}

const mcp_plugin plugin = describe();

} // namespace

extern "C" MCP_EXPORT const mcp_plugin *mcp_plugin_v1(void)
{
    return &plugin;
}

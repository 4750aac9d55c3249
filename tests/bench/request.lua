-- SPDX-License-Identifier: MIT
-- One request of wrk, from files of the bench: BENCH_BODY is the body,
-- BENCH_HEADERS the header fields, one a line. Prints what it measured as a line
-- of JSON. The bench compares bytes a request with the answer it has checked, so
-- that every answer counts and none is parsed here: that would measure Lua.
local function read(name)
    local file = assert(io.open(os.getenv(name), "rb"))
    local text = file:read("*a")
    file:close()
    return text
end

wrk.method = "POST"
wrk.body = read("BENCH_BODY")
for name, value in read("BENCH_HEADERS"):gmatch("([^\n:]+): ([^\n]*)\n") do
    wrk.headers[name] = value
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        '{"requests":%d,"seconds":%.4f,"bytes":%d,"p50_us":%d,"p99_us":%d,"max_us":%d,' ..
            '"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}\n',
        summary.requests, summary.duration / 1e6, summary.bytes, latency:percentile(50),
        latency:percentile(99), latency.max, errors.connect, errors.read, errors.write,
        errors.status, errors.timeout))
end

/* SPDX-License-Identifier: MIT */
/* A web page must not reach a daemon on its visitor's own machine by having a
 * name resolve to 127.0.0.1 (2026-07-28, Streamable HTTP, "Security"; DNS
 * rebinding): Host and Origin must be names we know. */
#include "transport/exchange.h"

/* "host" of "host:port" or "[v6]:port"; .data is NULL when that is not its form. */
static struct bytes host_part(struct bytes text)
{
    const struct bytes none = {NULL, 0};
    size_t size = 0;

    if (text.size > 0 && text.data[0] == '[') {
        const char *close = memchr(text.data, ']', text.size);
        if (close == NULL)
            return none;
        size = (size_t)(close - text.data) + 1;
    } else {
        while (size < text.size && text.data[size] != ':')
            size++;
    }
    if (size == 0)
        return none;
    if (size < text.size) {
        unsigned port = 0;
        if (text.data[size] != ':' || text.size - size > 6)
            return none;
        for (size_t i = size + 1; i < text.size; i++) {
            if (text.data[i] < '0' || text.data[i] > '9')
                return none;
            port = port * 10 + (unsigned)(text.data[i] - '0');
        }
        if (port > UINT16_MAX)
            return none;
    }
    return (struct bytes){text.data, size};
}

static bool is_loopback(struct bytes host)
{
    return bytes_equal(host, BYTES("127.0.0.1")) || bytes_equal_nocase(host, BYTES("localhost")) ||
           bytes_equal(host, BYTES("[::1]"));
}

bool host_is_allowed(const struct config *config, struct bytes host)
{
    struct bytes name = host_part(host);

    if (name.data == NULL)
        return false;
    if (is_loopback(name))
        return true;
    for (size_t i = 0; i < config->http.allowed_host_count; i++)
        if (bytes_equal_nocase(name, bytes_of(config->http.allowed_hosts[i])))
            return true;
    return false;
}

bool origin_is_allowed(const struct config *config, struct bytes origin)
{
    static const char *const schemes[] = {"http://", "https://"};

    for (size_t i = 0; i < config->http.allowed_origin_count; i++)
        if (bytes_equal_nocase(origin, bytes_of(config->http.allowed_origins[i])))
            return true;
    for (size_t i = 0; i < 2; i++) {
        size_t size = strlen(schemes[i]);
        if (origin.size <= size ||
            !bytes_equal_nocase((struct bytes){origin.data, size}, bytes_of(schemes[i])))
            continue;
        struct bytes name = host_part((struct bytes){origin.data + size, origin.size - size});
        return name.data != NULL && is_loopback(name);
    }
    return false;
}

/* SPDX-License-Identifier: MIT */
/*
 * Which addresses may be connected to. Everything that the registries of IANA do not call
 * globally reachable is refused unless the configuration allows it, by the address itself,
 * so that it does not matter how the host was written or what a name resolves to.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http.h"

struct range {
    const char *text;
    const char *kind;
};

/* The narrower ones first. */
static const struct range ranges4[] = {
    {"169.254.169.254/32", "a metadata address"},    {"100.100.100.200/32", "a metadata address"},
    {"192.0.0.192/32", "a metadata address"},        {"168.63.129.16/32", "a metadata address"},
    {"0.0.0.0/8", "an unspecified address"},         {"10.0.0.0/8", "a private address"},
    {"100.64.0.0/10", "a shared (carrier) address"}, {"127.0.0.0/8", "a loopback address"},
    {"169.254.0.0/16", "a link-local address"},      {"172.16.0.0/12", "a private address"},
    {"192.0.0.0/24", "a reserved address"},          {"192.0.2.0/24", "a documentation address"},
    {"192.88.99.0/24", "a reserved address"},        {"192.168.0.0/16", "a private address"},
    {"198.18.0.0/15", "a benchmarking address"},     {"198.51.100.0/24", "a documentation address"},
    {"203.0.113.0/24", "a documentation address"},   {"224.0.0.0/4", "a multicast address"},
    {"240.0.0.0/4", "a reserved address"},
};

static const struct range ranges6[] = {
    {"::/128", "an unspecified address"},
    {"::1/128", "a loopback address"},
    {"fd00:ec2::254/128", "a metadata address"},
    {"fd20:ce::254/128", "a metadata address"},
    {"fc00::/7", "a private address"},
    {"fe80::/10", "a link-local address"},
    {"fec0::/10", "a site-local address"},
    {"ff00::/8", "a multicast address"},
    {"64:ff9b:1::/48", "a private translation address"},
    {"2001::/23", "a reserved address"},
    {"2001:db8::/32", "a documentation address"},
    {"3fff::/20", "a documentation address"},
};

static bool lies_in(const struct in6_addr *address, const struct network *network)
{
    unsigned bytes = network->bits / 8, bits = network->bits % 8;

    if (memcmp(address, &network->address, bytes) != 0)
        return false;
    unsigned char mask = (unsigned char)(0xff << (8 - bits));
    return bits == 0 || ((address->s6_addr[bytes] ^ network->address.s6_addr[bytes]) & mask) == 0;
}

static void map4(struct in6_addr *out, const void *four)
{
    memset(out, 0, sizeof(*out));
    out->s6_addr[10] = out->s6_addr[11] = 0xff;
    memcpy(out->s6_addr + 12, four, 4);
}

bool network_read(struct network *network, const char *text)
{
    char address[64];
    struct in_addr four;
    const char *slash = strchr(text, '/');
    size_t size = slash != NULL ? (size_t)(slash - text) : strlen(text);
    char *end = NULL;
    unsigned long bits = 0;

    if (size >= sizeof(address))
        return false;
    memcpy(address, text, size);
    address[size] = '\0';
    if (slash != NULL) {
        bits = strtoul(slash + 1, &end, 10);
        if (slash[1] < '0' || slash[1] > '9' || *end != '\0')
            return false;
    }
    bool is_four = inet_pton(AF_INET, address, &four) == 1;
    if (is_four)
        map4(&network->address, &four);
    else if (inet_pton(AF_INET6, address, &network->address) != 1)
        return false;
    unsigned long most = is_four ? 32 : 128;
    network->bits = (unsigned)(slash == NULL ? 128 : bits + (128 - most));
    return slash == NULL || bits <= most;
}

static const char *find(const struct in6_addr *address, const struct range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct network network;
        if (network_read(&network, ranges[i].text) && lies_in(address, &network))
            return ranges[i].kind;
    }
    return NULL;
}

static bool begins(const struct in6_addr *address, const char *network)
{
    struct network n;

    return network_read(&n, network) && lies_in(address, &n);
}

static const char *kind4(const struct in6_addr *mapped)
{
    return find(mapped, ranges4, sizeof(ranges4) / sizeof(ranges4[0]));
}

/* An IPv6 address may be another way to write one of IPv4. */
static const char *kind6(const struct in6_addr *address)
{
    struct in6_addr four;
    const char *kind = find(address, ranges6, sizeof(ranges6) / sizeof(ranges6[0]));

    if (kind != NULL)
        return kind;
    if (begins(address, "64:ff9b::/96")) { /* NAT64 */
        map4(&four, address->s6_addr + 12);
        return kind4(&four);
    }
    if (begins(address, "2002::/16")) { /* 6to4 */
        map4(&four, address->s6_addr + 2);
        return kind4(&four);
    }
    return begins(address, "2000::/3") ? NULL : "no public address";
}

/* False: it is no address of the Internet. */
static bool canonical(const struct sockaddr *address, struct in6_addr *out)
{
    if (address->sa_family == AF_INET) {
        map4(out, &((const struct sockaddr_in *)(const void *)address)->sin_addr);
        return true;
    }
    if (address->sa_family != AF_INET6)
        return false;
    *out = ((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    return true;
}

const char *address_kind(const struct sockaddr *address)
{
    struct in6_addr six;

    if (!canonical(address, &six))
        return "no address of the Internet";
    return IN6_IS_ADDR_V4MAPPED(&six) ? kind4(&six) : kind6(&six);
}

bool address_allowed(const struct settings *settings, const struct sockaddr *address)
{
    struct in6_addr six;

    if (!canonical(address, &six))
        return false;
    for (size_t i = 0; i < settings->network_count; i++)
        if (lies_in(&six, &settings->networks[i]))
            return true;
    return address_kind(address) == NULL;
}

void address_write(const struct sockaddr *address, char *out, socklen_t size)
{
    const void *bytes =
        address->sa_family == AF_INET
            ? (const void *)&((const struct sockaddr_in *)(const void *)address)->sin_addr
            : (const void *)&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;

    if ((address->sa_family != AF_INET && address->sa_family != AF_INET6) ||
        inet_ntop(address->sa_family, bytes, out, size) == NULL)
        snprintf(out, size, "an address of another kind");
}

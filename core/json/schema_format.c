/* SPDX-License-Identifier: MIT */
/* The formats of the validation vocabulary. Internationalised host names are
 * checked for their shape only, not against the tables of IDNA. */
#include <arpa/inet.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "json/schema_internal.h"

struct format {
    const char *name;
    const char *description;
    bool (*check)(struct bytes text);
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool in_set(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

/* ---- dates and times (RFC 3339) ---- */

/* Takes exactly `count` digits from the front. */
static bool take_digits(struct bytes *text, size_t count, int *value)
{
    *value = 0;
    if (text->size < count)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!is_digit(text->data[i]))
            return false;
        *value = *value * 10 + (text->data[i] - '0');
    }
    text->data += count;
    text->size -= count;
    return true;
}

static bool take_char(struct bytes *text, char a, char b)
{
    if (text->size == 0 || (text->data[0] != a && text->data[0] != b))
        return false;
    text->data++;
    text->size--;
    return true;
}

static bool take_date(struct bytes *text)
{
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year, month, day;
    if (!take_digits(text, 4, &year) || !take_char(text, '-', '-') ||
        !take_digits(text, 2, &month) || !take_char(text, '-', '-') || !take_digits(text, 2, &day))
        return false;
    if (month < 1 || month > 12 || day < 1 || day > days[month - 1])
        return false;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month != 2 || day < 29 || leap;
}

static bool take_time(struct bytes *text)
{
    int hour, minute, second, zone_hour = 0, zone_minute = 0, west = 0;
    if (!take_digits(text, 2, &hour) || !take_char(text, ':', ':') ||
        !take_digits(text, 2, &minute) || !take_char(text, ':', ':') ||
        !take_digits(text, 2, &second))
        return false;
    if (take_char(text, '.', '.')) {
        int digit;
        if (!take_digits(text, 1, &digit))
            return false;
        while (take_digits(text, 1, &digit))
            ;
    }
    if (!take_char(text, 'Z', 'z')) {
        west = text->size > 0 && text->data[0] == '-';
        if (!take_char(text, '+', '-') || !take_digits(text, 2, &zone_hour) ||
            !take_char(text, ':', ':') || !take_digits(text, 2, &zone_minute))
            return false;
    }
    if (hour > 23 || minute > 59 || second > 60 || zone_hour > 23 || zone_minute > 59)
        return false;
    /* A leap second is the last one of a day in UTC. */
    int zone = zone_hour * 60 + zone_minute;
    int utc = hour * 60 + minute + (west ? zone : -zone);
    return second < 60 || (utc + 2 * 1440) % 1440 == 1439;
}

static bool check_date(struct bytes text)
{
    return take_date(&text) && text.size == 0;
}

static bool check_time(struct bytes text)
{
    return take_time(&text) && text.size == 0;
}

static bool check_date_time(struct bytes text)
{
    return take_date(&text) && take_char(&text, 'T', 't') && take_time(&text) && text.size == 0;
}

/* Numbers followed by the units, each at most once and in their order. */
static bool take_units(struct bytes *text, const char *units, bool *some)
{
    *some = false;
    while (text->size > 0 && is_digit(text->data[0])) {
        int digit;
        while (take_digits(text, 1, &digit))
            ;
        const char *unit =
            text->size > 0 && text->data[0] != '\0' ? strchr(units, text->data[0]) : NULL;
        /* RFC 3339, appendix A: no unit may be left out between two others. */
        if (unit == NULL || (*some && unit != units))
            return false;
        units = unit + 1;
        text->data++;
        text->size--;
        *some = true;
    }
    return true;
}

static bool check_duration(struct bytes text)
{
    bool date, time = false;
    if (!take_char(&text, 'P', 'P'))
        return false;
    struct bytes weeks = text;
    bool some;
    if (take_units(&weeks, "W", &some) && some)
        return weeks.size == 0;
    if (!take_units(&text, "YMD", &date))
        return false;
    if (take_char(&text, 'T', 'T') && (!take_units(&text, "HMS", &time) || !time))
        return false;
    return text.size == 0 && (date || time);
}

/* ---- hosts ---- */

static bool check_ipv4(struct bytes text)
{
    for (int i = 0; i < 4; i++) {
        int value = 0, digits = 0, digit;
        if (i > 0 && !take_char(&text, '.', '.'))
            return false;
        bool zero = text.size > 0 && text.data[0] == '0';
        for (; digits < 4 && take_digits(&text, 1, &digit); digits++)
            value = value * 10 + digit;
        if (digits == 0 || digits > 3 || value > 255 || (zero && digits > 1))
            return false;
    }
    return text.size == 0;
}

static bool check_ipv6(struct bytes text)
{
    char copy[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if (text.size >= sizeof(copy) || memchr(text.data, '\0', text.size) != NULL)
        return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    return inet_pton(AF_INET6, copy, &address) == 1;
}

static bool check_label(struct bytes label, bool international)
{
    if (label.size < 1 || label.size > 63 || label.data[0] == '-' ||
        label.data[label.size - 1] == '-')
        return false;
    for (size_t i = 0; i < label.size; i++) {
        char c = label.data[i];
        if (!is_letter(c) && !is_digit(c) && c != '-' && !(international && (c & 0x80) != 0))
            return false;
    }
    /* "--" there is for A-labels. */
    return label.size < 4 || memcmp(label.data + 2, "--", 2) != 0 ||
           ((label.data[0] | 0x20) == 'x' && (label.data[1] | 0x20) == 'n' && label.size > 4);
}

static bool check_host(struct bytes text, bool international)
{
    if (text.size == 0 || text.size > 253)
        return false;
    while (true) {
        const char *dot = memchr(text.data, '.', text.size);
        size_t size = dot != NULL ? (size_t)(dot - text.data) : text.size;
        if (!check_label((struct bytes){text.data, size}, international))
            return false;
        if (dot == NULL)
            return true;
        text = (struct bytes){dot + 1, text.size - size - 1};
    }
}

static bool check_hostname(struct bytes text)
{
    return check_host(text, false);
}

static bool check_idn_hostname(struct bytes text)
{
    return check_host(text, true);
}

/* ---- mail (RFC 5321, 4.1.2) ---- */

static bool check_local_part(struct bytes text, bool international)
{
    bool dot = true; /* no dot may stand at either end, nor two together */
    if (text.size >= 2 && text.data[0] == '"' && text.data[text.size - 1] == '"') {
        for (size_t i = 1; i < text.size - 1; i++) {
            bool escaped = text.data[i] == '\\';
            if (escaped && ++i == text.size - 1)
                return false;
            if ((unsigned char)text.data[i] < 0x20 || (text.data[i] == '"' && !escaped))
                return false;
        }
        return true;
    }
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c == '.' && dot)
            return false;
        dot = c == '.';
        if (!dot && !is_letter(c) && !is_digit(c) && !in_set(c, "!#$%&'*+-/=?^_`{|}~") &&
            !(international && (c & 0x80) != 0))
            return false;
    }
    return !dot;
}

static bool check_mail(struct bytes text, bool international)
{
    size_t at = text.size;
    while (at > 0 && text.data[at - 1] != '@')
        at--;
    if (at < 2 || at > 65)
        return false;
    struct bytes local = {text.data, at - 1}, domain = {text.data + at, text.size - at};
    if (!check_local_part(local, international))
        return false;
    if (domain.size < 2 || domain.data[0] != '[' || domain.data[domain.size - 1] != ']')
        return check_host(domain, international);
    domain = (struct bytes){domain.data + 1, domain.size - 2};
    if (domain.size > 5 && memcmp(domain.data, "IPv6:", 5) == 0)
        return check_ipv6((struct bytes){domain.data + 5, domain.size - 5});
    return check_ipv4(domain);
}

static bool check_email(struct bytes text)
{
    return check_mail(text, false);
}

static bool check_idn_email(struct bytes text)
{
    return check_mail(text, true);
}

/* ---- URIs (RFC 3986, RFC 3987) ---- */

static bool check_uri_characters(struct bytes text, const char *also, bool international)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c == '%') {
            if (text.size - i < 3 || !is_hex(text.data[i + 1]) || !is_hex(text.data[i + 2]))
                return false;
            i += 2;
        } else if (!is_letter(c) && !is_digit(c) && !in_set(c, "-._~!$&'()*+,;=") &&
                   !in_set(c, also) && !(international && (c & 0x80) != 0)) {
            return false;
        }
    }
    return true;
}

static bool check_authority(struct bytes text, bool international)
{
    const char *user = text.size > 0 ? memchr(text.data, '@', text.size) : NULL;
    if (user != NULL) {
        size_t size = (size_t)(user - text.data);
        if (!check_uri_characters((struct bytes){text.data, size}, ":", international))
            return false;
        text = (struct bytes){user + 1, text.size - size - 1};
    }
    size_t host = 0;
    if (text.size > 0 && text.data[0] == '[') {
        const char *close = memchr(text.data, ']', text.size);
        if (close == NULL)
            return false;
        host = (size_t)(close - text.data) + 1;
        struct bytes address = {text.data + 1, host - 2};
        bool future = address.size > 0 && (address.data[0] | 0x20) == 'v';
        if (!future && !check_ipv6(address))
            return false;
    } else {
        while (host < text.size && text.data[host] != ':')
            host++;
        if (!check_uri_characters((struct bytes){text.data, host}, "", international))
            return false;
    }
    if (host < text.size && text.data[host] == ':')
        host++;
    while (host < text.size && is_digit(text.data[host]))
        host++;
    return host == text.size;
}

static bool check_reference(struct bytes text, bool absolute, bool international)
{
    struct bytes fragment;
    text = uri_split(text, &fragment);
    if (fragment.data != NULL && !check_uri_characters(fragment, ":@/?", international))
        return false;
    bool has_scheme = uri_is_absolute(text);
    if (has_scheme) {
        const char *colon = memchr(text.data, ':', text.size);
        text = (struct bytes){colon + 1, text.size - (size_t)(colon + 1 - text.data)};
    } else if (absolute) {
        return false;
    }
    bool authority = text.size >= 2 && memcmp(text.data, "//", 2) == 0;
    if (authority) {
        size_t size = 2;
        while (size < text.size && text.data[size] != '/' && text.data[size] != '?')
            size++;
        if (!check_authority((struct bytes){text.data + 2, size - 2}, international))
            return false;
        text = (struct bytes){text.data + size, text.size - size};
    }
    size_t path = 0, segment = 0;
    while (path < text.size && text.data[path] != '?')
        path++;
    while (segment < path && text.data[segment] != '/')
        segment++;
    /* A colon in the first segment would make a scheme of what is before it. */
    if (!has_scheme && !authority && segment > 0 && memchr(text.data, ':', segment) != NULL)
        return false;
    return check_uri_characters((struct bytes){text.data, path}, ":@/", international) &&
           check_uri_characters((struct bytes){text.data + path, text.size - path}, ":@/?",
                                international);
}

static bool check_uri(struct bytes text)
{
    return check_reference(text, true, false);
}

static bool check_uri_reference(struct bytes text)
{
    return check_reference(text, false, false);
}

static bool check_iri(struct bytes text)
{
    return check_reference(text, true, true);
}

static bool check_iri_reference(struct bytes text)
{
    return check_reference(text, false, true);
}

/* Letters, digits, "_", "%XX", with single dots between them; returns the size. */
static size_t variable_name_size(struct bytes text)
{
    size_t at = 0;
    bool dot = true; /* none may come first, last or behind another one */
    while (at < text.size) {
        char c = text.data[at];
        if (c == '%') {
            if (text.size - at < 3 || !is_hex(text.data[at + 1]) || !is_hex(text.data[at + 2]))
                return 0;
            at += 2;
        } else if (c == '.' ? dot : !is_letter(c) && !is_digit(c) && c != '_') {
            break;
        }
        dot = c == '.';
        at++;
    }
    return dot ? 0 : at;
}

/* "*" or ":1" to ":9999"; 0 when it is neither. */
static size_t modifier_size(struct bytes text)
{
    size_t digits = 1;
    if (text.data[0] == '*')
        return 1;
    while (digits < text.size && is_digit(text.data[digits]))
        digits++;
    return text.data[0] == ':' && digits > 1 && digits <= 5 && text.data[1] != '0' ? digits : 0;
}

/* One expression of a template, without its braces (RFC 6570, 2.2). */
static bool check_expression(struct bytes text)
{
    size_t at = text.size > 0 && in_set(text.data[0], "+#./;?&=,!@|") ? 1 : 0;
    while (true) {
        size_t size = variable_name_size((struct bytes){text.data + at, text.size - at});
        at += size;
        if (size == 0)
            return false;
        if (at < text.size && text.data[at] != ',') {
            size = modifier_size((struct bytes){text.data + at, text.size - at});
            at += size;
            if (size == 0)
                return false;
        }
        if (at == text.size)
            return true;
        if (text.data[at++] != ',')
            return false;
    }
}

static bool check_uri_template(struct bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c == '{') {
            const char *close = memchr(text.data + i, '}', text.size - i);
            if (close == NULL)
                return false;
            size_t end = (size_t)(close - text.data);
            if (!check_expression((struct bytes){text.data + i + 1, end - i - 1}))
                return false;
            i = end;
        } else if (c <= ' ' || c == 0x7f || in_set((char)c, "\"<>\\^`|}") ||
                   (c == '%' && (text.size - i < 3 || !is_hex(text.data[i + 1]) ||
                                 !is_hex(text.data[i + 2])))) {
            return false;
        }
    }
    return true;
}

/* ---- the rest ---- */

static bool check_uuid(struct bytes text)
{
    if (text.size != 36)
        return false;
    for (size_t i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text.data[i] != '-' : !is_hex(text.data[i]))
            return false;
    }
    return true;
}

static bool check_json_pointer(struct bytes text)
{
    if (text.size > 0 && text.data[0] != '/')
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '~' &&
            (i + 1 == text.size || (text.data[i + 1] != '0' && text.data[i + 1] != '1')))
            return false;
    }
    return true;
}

static bool check_relative_json_pointer(struct bytes text)
{
    size_t digits = 0;
    while (digits < text.size && is_digit(text.data[digits]))
        digits++;
    if (digits == 0 || (digits > 1 && text.data[0] == '0'))
        return false;
    text = (struct bytes){text.data + digits, text.size - digits};
    return bytes_equal(text, BYTES("#")) || check_json_pointer(text);
}

/* Behind "(?": what only PCRE2 knows? */
static bool is_foreign_group(struct bytes text)
{
    size_t at = 0;
    while (at < text.size && in_set(text.data[at], "ims-"))
        at++;
    if (at < text.size && text.data[at] == ':')
        return false;
    return at > 0 || text.size == 0 || !in_set(text.data[0], "=!<");
}

static bool check_regex(struct bytes text)
{
    for (size_t i = 0; i + 1 < text.size; i++) {
        if (text.data[i] == '\\') { /* and what it escapes, which may be a '(' */
            if (in_set(text.data[++i], "aeghijlmoqyzAEFGHIJKLMNOQRTUVXYZ"))
                return false;
        } else if (text.data[i] == '(' && text.data[i + 1] == '?' &&
                   is_foreign_group((struct bytes){text.data + i + 2, text.size - i - 2})) {
            return false;
        }
    }
    size_t size;
    struct pattern *pattern = pattern_new(text, &size, NULL);
    pattern_free(pattern);
    return pattern != NULL;
}

static const struct format formats[] = {
    {"date", "a date (RFC 3339) such as 2026-07-28", check_date},
    {"date-time", "a date and time (RFC 3339) such as 2026-07-28T12:00:00Z", check_date_time},
    {"duration", "a duration (ISO 8601) such as P1DT12H", check_duration},
    {"email", "an e-mail address", check_email},
    {"hostname", "a host name", check_hostname},
    {"idn-email", "an e-mail address", check_idn_email},
    {"idn-hostname", "a host name", check_idn_hostname},
    {"ipv4", "an IPv4 address", check_ipv4},
    {"ipv6", "an IPv6 address", check_ipv6},
    {"iri", "an IRI", check_iri},
    {"iri-reference", "an IRI or a relative reference", check_iri_reference},
    {"json-pointer", "a JSON Pointer", check_json_pointer},
    {"regex", "a regular expression (ECMA-262)", check_regex},
    {"relative-json-pointer", "a relative JSON Pointer", check_relative_json_pointer},
    {"time", "a time with its zone (RFC 3339) such as 12:00:00Z", check_time},
    {"uri", "a URI", check_uri},
    {"uri-reference", "a URI or a relative reference", check_uri_reference},
    {"uri-template", "a URI template (RFC 6570)", check_uri_template},
    {"uuid", "a UUID", check_uuid}};

const struct format *format_find(struct bytes name)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (bytes_equal(name, bytes_of(formats[i].name)))
            return &formats[i];
    }
    return NULL;
}

bool format_check(const struct format *format, struct bytes text)
{
    return format->check(text);
}

const char *format_description(const struct format *format)
{
    return format->description;
}

bool schema_format_holds(const char *name, struct bytes text)
{
    return format_check(format_find(bytes_of(name)), text);
}

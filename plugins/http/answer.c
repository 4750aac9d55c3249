/* SPDX-License-Identifier: MIT */
/* From a response to the end of the call: try again, follow, or tell. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "encoding.h"
#include "engine.h"
#include "reading.h"

#define ERROR_BODY_MAX 4096
#define FIRST_PAUSE_MS 200
#define PAUSE_MAX_MS 10000

static const struct document_limits limits = {.values = 1000000, .depth = 100};

/* ---- again ---- */

static bool may_pass(CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_SEND_FAIL_REWIND:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_OPERATION_TIMEDOUT:
        return true;
    default:
        return false;
    }
}

/* Half of it for sure, and some of the rest, so that many do not come back together. */
static int64_t spread(int64_t pause)
{
    unsigned random = 0;

    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
        random = 0;
    return pause / 2 + (int64_t)(random % (unsigned)(pause / 2 + 1));
}

/* Whether there is another attempt; it is ready then. */
static bool try_again(struct job *job, CURLcode code, long status)
{
    curl_off_t after = 0;
    bool passes = code == CURLE_OK
                      ? status == 429 || status == 502 || status == 503 || status == 504
                      : may_pass(code) && job->refused[0] == '\0';

    if (!passes || !transfer_is_idempotent(job) || job->tries >= job->engine->settings->retries)
        return false;
    int64_t pause = FIRST_PAUSE_MS << (job->tries < 6 ? job->tries : 6);
    pause = spread(pause < PAUSE_MAX_MS ? pause : PAUSE_MAX_MS);
    curl_easy_getinfo(job->easy, CURLINFO_RETRY_AFTER, &after);
    if (after > 0 && after < 1000000)
        pause = after * 1000;
    int64_t at = clock_ms() + pause;
    if (at >= job->deadline_ms)
        return false;
    job->tries++;
    transfer_clean(job);
    job->not_before_ms = at;
    return true;
}

/* An access token may have been withdrawn: 401 gets one more attempt with another. */
static bool renew(struct job *job, long status)
{
    bool found = false;

    for (size_t i = 0;
         status == 401 && !job->renewed && !job->elsewhere && i < job->engine->settings->auth_count;
         i++) {
        if (job->engine->settings->auth[i].kind != AUTH_OAUTH2 || job->operation->open)
            continue;
        token_forget(job->engine, i);
        found = true;
    }
    if (!found)
        return false;
    job->renewed = true;
    job->created_ms = clock_ms();
    transfer_clean(job);
    job->not_before_ms = clock_ms();
    return true;
}

/* ---- redirects ---- */

static bool same_origin(const char *a, const char *b)
{
    CURLUPart parts[] = {CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT};
    CURLU *x = curl_url(), *y = curl_url();
    bool same = x != NULL && y != NULL && curl_url_set(x, CURLUPART_URL, a, 0) == CURLUE_OK &&
                curl_url_set(y, CURLUPART_URL, b, 0) == CURLUE_OK;

    for (size_t i = 0; i < 3 && same; i++) {
        char *p = NULL, *q = NULL;
        same = curl_url_get(x, parts[i], &p, CURLU_DEFAULT_PORT) == CURLUE_OK &&
               curl_url_get(y, parts[i], &q, CURLU_DEFAULT_PORT) == CURLUE_OK &&
               strcasecmp(p, q) == 0;
        curl_free(p);
        curl_free(q);
    }
    curl_url_cleanup(x);
    curl_url_cleanup(y);
    return same;
}

/* True: the job goes on elsewhere, or has been ended. */
static bool follow(struct job *job, long status)
{
    char *target = NULL;

    if (status != 301 && status != 302 && status != 303 && status != 307 && status != 308)
        return false;
    curl_easy_getinfo(job->easy, CURLINFO_REDIRECT_URL, &target);
    if (target == NULL)
        return false;
    if (job->redirects++ >= job->engine->settings->max_redirects) {
        job_fail(job, "There are more than %lld redirects.",
                 (long long)job->engine->settings->max_redirects);
        return true;
    }
    if (strncasecmp(job->url, "https:", 6) == 0 && strncasecmp(target, "https:", 6) != 0) {
        job_fail(job,
                 "There is a redirect from https to a URL that is not, which is not followed.");
        return true;
    }
    char *url = strdup(target);
    if (url == NULL) {
        job_fail(job, "mcpd is out of memory.");
        return true;
    }
    const char *method = transfer_method(job);
    if ((status == 303 && strcmp(method, "HEAD") != 0) ||
        (status < 303 && strcmp(method, "POST") == 0))
        job->as_get = true;
    /* Once away, the secrets stay away: who sent us there could send us back. */
    job->elsewhere = job->elsewhere || !same_origin(job->url, url);
    free(job->url);
    job->url = url;
    transfer_clean(job);
    job->not_before_ms = clock_ms();
    return true;
}

/* ---- what came ---- */

/* The content type, without parameters, in lower case; "" if there is none. */
static void content_type(const struct job *job, char out[128], bool *latin)
{
    const char *sent = NULL;
    size_t used = 0;

    curl_easy_getinfo(job->easy, CURLINFO_CONTENT_TYPE, &sent);
    char *type = sent != NULL ? strdup(sent) : NULL;
    if (type != NULL)
        engine_wipe(job->engine, type, strlen(type));
    for (; type != NULL && used < 127 && type[used] > 0x20 && type[used] < 0x7f &&
           type[used] != ';' && type[used] != '"' && type[used] != '\\';
         used++)
        out[used] = type[used] >= 'A' && type[used] <= 'Z' ? (char)(type[used] | 0x20) : type[used];
    out[used] = '\0';
    *latin = type != NULL && strcasestr(type, "charset=iso-8859-1") != NULL;
    free(type);
}

static const char *reason(long status)
{
    static const struct {
        long status;
        const char *reason;
    } reasons[] = {{200, " OK"},
                   {201, " Created"},
                   {202, " Accepted"},
                   {204, " No Content"},
                   {304, " Not Modified"},
                   {400, " Bad Request"},
                   {401, " Unauthorized"},
                   {403, " Forbidden"},
                   {404, " Not Found"},
                   {405, " Method Not Allowed"},
                   {409, " Conflict"},
                   {410, " Gone"},
                   {415, " Unsupported Media Type"},
                   {422, " Unprocessable Content"},
                   {429, " Too Many Requests"},
                   {500, " Internal Server Error"},
                   {502, " Bad Gateway"},
                   {503, " Service Unavailable"},
                   {504, " Gateway Timeout"}};

    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "";
}

static bool is_text_type(const char *type)
{
    return strncmp(type, "text/", 5) == 0 || strstr(type, "json") != NULL ||
           strstr(type, "xml") != NULL || strstr(type, "yaml") != NULL ||
           strstr(type, "javascript") != NULL ||
           strcmp(type, "application/x-www-form-urlencoded") == 0;
}

/* UTF-8 out of ISO 8859-1, for the few that say so. */
static void widen(struct text *text)
{
    struct text wide;

    text_init(&wide, 2 * text->max);
    for (size_t i = 0; i < text->size; i++) {
        unsigned char c = (unsigned char)text->data[i];
        char two[2] = {(char)(0xc0 | c >> 6), (char)(0x80 | (c & 0x3f))};
        text_add(&wide, c < 0x80 ? &text->data[i] : two, c < 0x80 ? 1 : 2);
    }
    text_free(text);
    *text = wide;
}

static void finish_text(struct job *job)
{
    struct text clean;

    text_init(&clean, 3 * job->response.max + 16);
    text_add_utf8(&clean, job->response.data, job->response.size);
    if (clean.failed)
        fail_call(job->call, "mcpd is out of memory.");
    else
        job->call->ops->finish_text(job->call, text_bytes(&clean));
    text_free(&clean);
}

/* Pictures and sounds as themselves, other bytes as a resource with the request's URL. */
static void finish_bytes(struct job *job, const char *type)
{
    struct text out;
    bool media = strncmp(type, "image/", 6) == 0 || strncmp(type, "audio/", 6) == 0;

    text_init(&out, 2 * job->response.max + 65536);
    if (media) {
        text_addf(&out, "{\"content\":[{\"type\":\"%.5s\",\"data\":\"", type);
    } else {
        text_adds(&out, "{\"content\":[{\"type\":\"resource\",\"resource\":{\"uri\":");
        engine_wipe(job->engine, job->url, strlen(job->url)); /* a redirect may have it */
        text_add_string(&out, job->url, strcspn(job->url, "?"));
        text_adds(&out, ",\"blob\":\"");
    }
    text_add_base64(&out, job->response.data, job->response.size);
    text_adds(&out, "\",\"mimeType\":");
    type = *type != '\0' ? type : "application/octet-stream";
    text_add_string(&out, type, strlen(type));
    text_adds(&out, media ? "}]}" : "}}]}");
    if (out.failed)
        fail_call(job->call, "mcpd is out of memory.");
    else
        job->call->ops->finish_result(job->call, text_bytes(&out));
    text_free(&out);
}

/* Whether it was JSON, and the call has been ended. */
static bool finish_json(struct job *job)
{
    struct document document;
    bool good = document_read_json(&document, job->response.data, job->response.size, &limits) &&
                (document.root->kind == VALUE_OBJECT || !job->operation->promises);

    if (good)
        job->call->ops->finish_structured(job->call, (struct mcp_bytes){NULL, 0},
                                          text_bytes(&job->response));
    document_free(&document);
    return good;
}

static void fail_status(struct job *job, long status, const char *what)
{
    struct text *response = &job->response;
    size_t size = response->size < ERROR_BODY_MAX ? response->size : ERROR_BODY_MAX;

    job_fail(job, "HTTP %ld%s%s%s%.*s%s", status, reason(status), what, size > 0 ? ": " : "",
             (int)size, size > 0 ? response->data : "", response->size > size ? " [...]" : "");
}

static void tell(struct job *job, long status)
{
    char type[128];
    bool latin;
    struct text *response = &job->response;

    content_type(job, type, &latin);
    if (latin)
        widen(response);
    engine_wipe(job->engine, response->data, response->size);
    if (response->size >= 3 && memcmp(response->data, "\xef\xbb\xbf", 3) == 0) {
        memmove(response->data, response->data + 3, response->size - 2);
        response->size -= 3;
    }
    if (status < 200 || status >= 300) {
        fail_status(job, status, "");
        return;
    }
    bool json = strstr(type, "json") != NULL && response->size > 0 && finish_json(job);
    if (!json && job->operation->promises) {
        fail_status(job, status,
                    ", but it is not the JSON object that the API's description promises");
        return;
    }
    if (!json && response->size == 0) {
        char line[80];
        int size = snprintf(line, sizeof(line), "HTTP %ld%s", status, reason(status));
        job->call->ops->finish_text(job->call, (struct mcp_bytes){line, (size_t)size});
    } else if (!json &&
               (is_text_type(type) ||
                (*type == '\0' && utf8_prefix(response->data, response->size) == response->size))) {
        finish_text(job);
    } else if (!json) {
        finish_bytes(job, type);
    }
    job_end(job);
}

static void tell_error(struct job *job, CURLcode code)
{
    const struct settings *settings = job->engine->settings;

    if (job->refused[0] != '\0')
        job_fail(job,
                 "It may not be reached: %s. The operator can allow that in "
                 "\"allowed_networks\".",
                 job->refused);
    else if (job->too_large)
        job_fail(job,
                 "The response is larger than the %lld bytes that \"max_response_bytes\" "
                 "allows. Ask for less.",
                 (long long)settings->max_response_bytes);
    else if (job->header_too_large)
        job_fail(job, "The headers of the response are too large.");
    else if (code == CURLE_OPERATION_TIMEDOUT && clock_ms() + 2 >= job->deadline_ms)
        job_fail(job, "It took longer than the %lld ms that it may take.",
                 (long long)(job->deadline_ms - job->created_ms));
    else if (code == CURLE_SEND_FAIL_REWIND)
        job_fail(job, "The connection was closed before an answer came. Whether the request took "
                      "effect is not known; it was not sent again.");
    else
        job_fail(job, "%s.", job->error[0] != '\0' ? job->error : curl_easy_strerror(code));
}

void answer(struct job *job, CURLcode code)
{
    long status = 0;

    if (job->call == NULL) {
        token_received(job, code);
        return;
    }
    curl_easy_getinfo(job->easy, CURLINFO_RESPONSE_CODE, &status);
    if (try_again(job, code, status))
        return;
    if (code != CURLE_OK) {
        tell_error(job, code);
        return;
    }
    if (!renew(job, status) && !follow(job, status))
        tell(job, status);
}

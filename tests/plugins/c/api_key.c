// Does what a Bearer token says, with what the helper module has for it.

#include "portcullis.h"

static pc_text url, secret;
// HMAC-SHA256 of "message" under 32 times "k".
static const char JWK[] = "{\"kty\":\"oct\",\"k\":\"a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s\"}";
static const unsigned char SIGNED[] = {99, 163, 117, 184, 166, 43, 112, 37, 176, 176, 15, 176, 123, 113, 107, 68, 166, 8, 105, 43, 95, 246, 9, 227, 27, 220, 126, 34, 25, 84, 134, 70};

pc_text pc_schema(void) {
  return PC_TEXT("{\"type\":\"object\",\"required\":[\"url\"],\"additionalProperties\":false,\"properties\":{"
                 "\"url\":{\"type\":\"string\",\"x-portcullis-grant\":\"http\"},\"secret\":{\"type\":\"string\",\"default\":\"s\"},"
                 "\"groups\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},\"count\":{\"type\":\"integer\"}}}");
}

pc_text pc_configure(pc_text settings) {
  url = pc_setting(settings, "url");
  secret = pc_setting(settings, "secret");
  if (secret.size == 0) secret = PC_TEXT("s");
  pc_text count = pc_setting_json(settings, "count");
  return count.size > 0 && *count.start == '-' ? PC_TEXT("settings.count: must not be negative") : (pc_text){0};
}

static bool is(pc_text text, const char *word) { return text.size == strlen(word) && memcmp(text.start, word, text.size) == 0; }

static pc_text words(const char *format, int one, pc_text two, int three, pc_text four) {
  char *made = pc_allocate(1024);
  int size = snprintf(made, 1024, format, one, (int)two.size, two.start, three, (int)four.size, four.start);
  return (pc_text){made, size < 1024 ? size : 1023};
}

pc_decision pc_authenticate(pc_request request) {
  pc_challenge challenge = {PC_TEXT("Bearer"), PC_PAIRS({PC_TEXT("realm"), PC_TEXT("prober")})};
  pc_text token, none = PC_TEXT("");
  pc_decision decision;
  if (!pc_bearer(request, &challenge, &token, &decision)) return decision;
  if (is(token, "fetch")) {
    pc_fetched fetched = pc_fetch((pc_call){
        .method = PC_TEXT("POST"),
        .url = url,
        .headers = PC_PAIRS({PC_TEXT("x-a"), PC_TEXT("1")}, {PC_TEXT("x-b"), PC_TEXT("2")}),
        .body = PC_TEXT("ping"),
        .timeout_ms = 1000,
    });
    if (fetched.is_failure) return pc_unavailable(fetched.failure.reason);
    decision = pc_grant(words("%d %.*s", fetched.response.status, fetched.response.body, 0, none));
    decision.grant.attributes = PC_PAIRS({PC_TEXT("first"), fetched.response.headers.start[0].name});
    return decision;
  }
  if (is(token, "verify")) {
    pc_text jwk = PC_TEXT(JWK), message = PC_TEXT("message"), signature = {(const char *)SIGNED, sizeof(SIGNED)};
    pc_verified good = pc_verify(PC_HS256, jwk, message, signature), bad = pc_verify(PC_HS256, jwk, PC_TEXT("massage"), signature);
    pc_verified broken = pc_verify(PC_RS256, jwk, message, signature);
    bool right = !good.is_error && good.is_valid && !bad.is_error && !bad.is_valid && broken.is_error && broken.error.size > 0;
    return pc_grant(right ? PC_TEXT("true false true true true") : PC_TEXT("wrong"));
  }
  if (is(token, "cache")) {
    pc_cached before = pc_cache_get(PC_TEXT("k"));
    pc_cache_set(PC_TEXT("k"), PC_TEXT("v"), 60);
    pc_cached after = pc_cache_get(PC_TEXT("k"));
    return pc_grant(before.is_there ? words("%.0d%.*strue%.0d %.*s", 0, before.value, 0, after.value)
                                    : words("%.0d%.*sfalse%.0d %.*s", 0, none, 0, after.value));
  }
  if (is(token, "all")) {
    pc_log(PC_INFO, PC_TEXT("asked for all"));
    static pc_text groups[] = {{"g", 1}, {"h", 1}};
    pc_texts cookies = pc_cookie(request, "c");
    decision = pc_grant(words("%.0d%.*s%.0d %.*s", 0, pc_method(request), 0, pc_path(request)));
    decision.grant.groups = (pc_texts){groups, 2};
    decision.grant.admin = true;
    decision.grant.attributes = PC_PAIRS({PC_TEXT("secret"), secret}, {PC_TEXT("cookies"), cookies.size ? cookies.start[0] : none});
    decision.grant.has_valid_for = true;
    decision.grant.valid_for = 60;
    decision.grant.response_headers = PC_PAIRS({PC_TEXT("x-prober"), PC_TEXT("yes")});
    return decision;
  }
  if (is(token, "forbid")) return pc_forbidden(PC_TEXT("not this one"), &challenge);
  if (is(token, "respond")) {
    decision = (pc_decision){.is_refusal = true};
    decision.refusal.kind = PC_RESPOND;
    decision.refusal.response.status = 303;
    decision.refusal.response.headers = PC_PAIRS({PC_TEXT("location"), PC_TEXT("/login")});
    decision.refusal.response.body = PC_TEXT("go");
    return decision;
  }
  if (is(token, "fail")) return pc_unavailable(PC_TEXT("no refusal"));
  if (is(token, "panic")) abort();
  return pc_unauthenticated(PC_TEXT("an unknown token"), &challenge);
}

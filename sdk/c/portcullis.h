// What authenticators in C share: settings, what is known of a request, credentials, refusals, requests to other servers, the cache,
// and signatures that the gateway verifies. Copy this file beside yours and include it in one file, because it defines the functions
// that the gateway calls. Yours defines pc_schema, pc_configure and pc_authenticate.
//
// What these functions return stays valid until the next call of pc_authenticate; pc_copy makes a text that stays.
#ifndef PORTCULLIS_H
#define PORTCULLIS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

// A text, or any bytes. It may have zeros, and has none at its end.
typedef struct {
  const char *start;
  size_t size;
} pc_text;

typedef struct {
  pc_text *start;
  size_t size;
} pc_texts;

// A header, a parameter of a challenge, or an attribute of a user.
typedef struct {
  pc_text name;
  pc_text value;
} pc_pair;

typedef struct {
  pc_pair *start;
  size_t size;
} pc_pairs;

#define PC_TEXT(literal) ((pc_text){literal, sizeof(literal) - 1})

// A challenge of WWW-Authenticate (RFC 9110, section 11.6.1).
typedef struct {
  pc_text scheme;
  pc_pairs parameters;
} pc_challenge;

enum { PC_NOT_MINE, PC_UNAUTHENTICATED, PC_FORBIDDEN, PC_RESPOND, PC_UNAVAILABLE };

// What the gateway gets: a grant, or a refusal. It lies in memory as the contract says.
typedef struct {
  uint8_t is_refusal;
  union {
    struct {
      pc_text user;
      pc_texts groups;
      uint8_t admin;
      pc_pairs attributes;
      uint8_t has_valid_for;
      // For how many seconds the decision may be reused.
      uint32_t valid_for;
      pc_pairs response_headers;
    } grant;
    struct {
      uint8_t kind;
      union {
        struct {
          uint8_t has_challenge;
          pc_challenge challenge;
        } not_mine;
        struct {
          pc_text reason;
          uint8_t has_challenge;
          pc_challenge challenge;
        } denied;
        struct {
          uint16_t status;
          pc_pairs headers;
          pc_text body;
        } response;
        pc_text unavailable;
      };
    } refusal;
  };
} pc_decision;

typedef int32_t pc_request;

// What yours defines: the JSON Schema of the settings, what receives them, and what decides. pc_configure returns what is wrong with
// the settings, or an empty text.
pc_text pc_schema(void);
pc_text pc_configure(pc_text settings);
pc_decision pc_authenticate(pc_request request);

#define PC_EXPORT(name) __attribute__((export_name(name)))
#define PC_IMPORT(module, name) __attribute__((import_module(module), import_name(name)))
#define PC_TYPES "portcullis:auth/types@0.2.0"

// Memory

typedef struct pc_block {
  struct pc_block *next;
  _Alignas(8) char start[];
} pc_block;

static pc_block *pc_blocks;
static bool pc_in_host;

// Memory that is freed at the next call.
static void *pc_allocate(size_t size) {
  pc_block *block = malloc(sizeof(pc_block) + size);
  if (block == NULL) abort();
  block->next = pc_blocks;
  pc_blocks = block;
  return block->start;
}

static void pc_free_all(void) {
  while (pc_blocks != NULL) {
    pc_block *next = pc_blocks->next;
    free(pc_blocks);
    pc_blocks = next;
  }
}

// Where the gateway puts what it passes. What the adapter of WASI asks for must stay.
PC_EXPORT("cabi_realloc")
void *pc_cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
  if (size == 0) return (void *)align;
  void *block;
  if (!pc_in_host) {
    block = realloc(old, size);
  } else {
    block = pc_allocate(size);
    if (old_size > 0) memcpy(block, old, old_size < size ? old_size : size);
  }
  if (block == NULL) abort();
  return block;
}

static inline pc_pairs pc_copy_pairs(const pc_pair *pairs, size_t size) {
  pc_pair *copy = pc_allocate(size * sizeof(pc_pair));
  memcpy(copy, pairs, size * sizeof(pc_pair));
  return (pc_pairs){copy, size};
}

// A list of headers, parameters or attributes. The list stays valid until the next call, whatever the texts do.
#define PC_PAIRS(...) pc_copy_pairs((const pc_pair[]){__VA_ARGS__}, sizeof((const pc_pair[]){__VA_ARGS__}) / sizeof(pc_pair))

#define PC_HOST(call) (pc_in_host = true, (call), pc_in_host = false)

// A copy that stays.
static inline pc_text pc_copy(pc_text text) {
  char *copy = malloc(text.size + 1);
  if (copy == NULL) abort();
  memcpy(copy, text.start, text.size);
  return (pc_text){copy, text.size};
}

// Compares in a time that depends on the length of what is given alone.
static inline bool pc_equal(pc_text given, pc_text expected) {
  if (expected.size == 0) return given.size == 0;
  size_t different = given.size ^ expected.size;
  for (size_t i = 0; i < given.size; i++) different |= (unsigned char)(given.start[i] ^ expected.start[i % expected.size]);
  return different == 0;
}

// Settings. The gateway wrote this JSON, without spaces, and has checked it against the schema.

static inline int pc_hex(const char *digits) {
  int value = 0;
  for (int i = 0; i < 4; i++) {
    char c = digits[i];
    value = value * 16 + (c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
  }
  return value;
}

static inline char *pc_append(char *end, int c) {
  if (c < 0x80) {
    *end++ = c;
  } else if (c < 0x800) {
    *end++ = 0xC0 | c >> 6, *end++ = 0x80 | (c & 63);
  } else if (c < 0x10000) {
    *end++ = 0xE0 | c >> 12, *end++ = 0x80 | (c >> 6 & 63), *end++ = 0x80 | (c & 63);
  } else {
    *end++ = 0xF0 | c >> 18, *end++ = 0x80 | (c >> 12 & 63), *end++ = 0x80 | (c >> 6 & 63), *end++ = 0x80 | (c & 63);
  }
  return end;
}

// Reads the string that begins at the quote, and returns where it ends. NULL if it has no end.
static inline const char *pc_read_string(const char *at, const char *end, pc_text *text) {
  char *value = malloc(end - at), *last = value;
  if (value == NULL) abort();
  for (at++; at < end && *at != '"'; at++) {
    if (*at != '\\') {
      *last++ = *at;
      continue;
    }
    if (++at == end) return NULL;
    const char *plain = "\"\\/bfnrt", *found = memchr(plain, *at, 8);
    if (found != NULL) {
      *last++ = "\"\\/\b\f\n\r\t"[found - plain];
      continue;
    }
    if (end - at < 5) return NULL;
    int c = pc_hex(at + 1);
    at += 4;
    if (c >> 10 == 0xD800 >> 10 && end - at >= 7) {
      c = 0x10000 + ((c & 0x3FF) << 10) + (pc_hex(at + 3) & 0x3FF);
      at += 6;
    }
    last = pc_append(last, c);
  }
  *text = (pc_text){value, last - value};
  return at < end ? at + 1 : NULL;
}

// The value of a setting as JSON. An empty text if it isn't set.
static inline pc_text pc_setting_json(pc_text settings, const char *name) {
  const char *at = settings.start + 1, *end = settings.start + settings.size;
  while (at != NULL && at < end && *at == '"') {
    pc_text key, skipped;
    at = pc_read_string(at, end, &key);
    if (at == NULL || at == end) break;
    const char *value = ++at;
    for (int depth = 0; at != NULL && at < end && (depth > 0 || (*at != ',' && *at != '}'));) {
      if (*at == '"') {
        at = pc_read_string(at, end, &skipped);
        if (at != NULL) free((void *)skipped.start);
        continue;
      }
      depth += (*at == '{' || *at == '[') - (*at == '}' || *at == ']');
      at++;
    }
    bool is_it = key.size == strlen(name) && memcmp(key.start, name, key.size) == 0;
    free((void *)key.start);
    if (at == NULL) break;
    if (is_it) return (pc_text){value, at - value};
    at++;
  }
  return (pc_text){0};
}

// A setting that is a string. An empty text if it isn't set, or isn't a string. It stays.
static inline pc_text pc_setting(pc_text settings, const char *name) {
  pc_text json = pc_setting_json(settings, name), text = {0};
  if (json.size > 0 && *json.start == '"' && pc_read_string(json.start, json.start + json.size, &text) == NULL) return (pc_text){0};
  return text;
}

// A setting such as "150ms", "2s", "5m", "12h" or "1d", in milliseconds. Another one, if it isn't set or is longer than 49 days.
static inline uint32_t pc_setting_ms(pc_text settings, const char *name, uint32_t standard) {
  pc_text text = pc_setting(settings, name);
  uint64_t amount = 0, factor = 0;
  size_t digits = 0;
  for (; digits < text.size && digits < 9 && text.start[digits] >= '0' && text.start[digits] <= '9'; digits++) {
    amount = amount * 10 + (text.start[digits] - '0');
  }
  static const struct {
    const char *unit;
    uint64_t factor;
  } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 3600 * 1000}, {"d", 24 * 3600 * 1000}};
  for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
    size_t size = strlen(units[i].unit);
    if (digits > 0 && text.size == digits + size && memcmp(text.start + digits, units[i].unit, size) == 0) factor = units[i].factor;
  }
  return factor == 0 || amount * factor > UINT32_MAX ? standard : (uint32_t)(amount * factor);
}

// The request. Each function asks the gateway, which remembers what was read.

PC_IMPORT(PC_TYPES, "[method]request.method") void pc_import_method(pc_request, pc_text *);
PC_IMPORT(PC_TYPES, "[method]request.path") void pc_import_path(pc_request, pc_text *);
PC_IMPORT(PC_TYPES, "[method]request.header") void pc_import_header(pc_request, const char *, size_t, pc_texts *);
PC_IMPORT(PC_TYPES, "[method]request.cookie") void pc_import_cookie(pc_request, const char *, size_t, pc_texts *);
PC_IMPORT(PC_TYPES, "[resource-drop]request") void pc_import_drop(pc_request);

static inline pc_text pc_method(pc_request request) {
  pc_text text;
  PC_HOST(pc_import_method(request, &text));
  return text;
}

static inline pc_text pc_path(pc_request request) {
  pc_text text;
  PC_HOST(pc_import_path(request, &text));
  return text;
}

// All values of a header, in order. None if it is absent or not granted.
static inline pc_texts pc_header(pc_request request, const char *name) {
  pc_texts values;
  PC_HOST(pc_import_header(request, name, strlen(name), &values));
  return values;
}

// All values of a cookie. If there are several, an attacker may have set one: refuse the request.
static inline pc_texts pc_cookie(pc_request request, const char *name) {
  pc_texts values;
  PC_HOST(pc_import_cookie(request, name, strlen(name), &values));
  return values;
}

// Decisions

static inline pc_decision pc_grant(pc_text user) {
  pc_decision decision = {0};
  decision.grant.user = user;
  return decision;
}

// The request has no credentials of this kind. challenge may be NULL, here and below.
static inline pc_decision pc_not_mine(const pc_challenge *challenge) {
  pc_decision decision = {.is_refusal = true};
  decision.refusal.kind = PC_NOT_MINE;
  if (challenge != NULL) {
    decision.refusal.not_mine.has_challenge = true;
    decision.refusal.not_mine.challenge = *challenge;
  }
  return decision;
}

static inline pc_decision pc_denied(uint8_t kind, pc_text reason, const pc_challenge *challenge) {
  pc_decision decision = {.is_refusal = true};
  decision.refusal.kind = kind;
  decision.refusal.denied.reason = reason;
  if (challenge != NULL) {
    decision.refusal.denied.has_challenge = true;
    decision.refusal.denied.challenge = *challenge;
  }
  return decision;
}

// The credentials aren't valid. The reason is for the operator's log.
static inline pc_decision pc_unauthenticated(pc_text reason, const pc_challenge *challenge) {
  return pc_denied(PC_UNAUTHENTICATED, reason, challenge);
}

// The user is known, and not allowed.
static inline pc_decision pc_forbidden(pc_text reason, const pc_challenge *challenge) {
  return pc_denied(PC_FORBIDDEN, reason, challenge);
}

// There can't be a decision now.
static inline pc_decision pc_unavailable(pc_text reason) {
  pc_decision decision = {.is_refusal = true};
  decision.refusal.kind = PC_UNAVAILABLE;
  decision.refusal.unavailable = reason;
  return decision;
}

// Takes the token of the scheme Bearer (RFC 6750) out of the header Authorization. Without one, it writes the refusal.
static inline bool pc_bearer(pc_request request, const pc_challenge *challenge, pc_text *token, pc_decision *refusal) {
  pc_texts values = pc_header(request, "authorization");
  *refusal = pc_not_mine(challenge);
  if (values.size == 0) return false;
  if (values.size > 1) {
    *refusal = pc_unauthenticated(PC_TEXT("there is more than one Authorization header"), challenge);
    return false;
  }
  const char *at = values.start[0].start, *end = at + values.start[0].size;
  if (end - at < 7 || strncasecmp(at, "bearer ", 7) != 0) return false;
  for (at += 7; at < end && *at == ' ';) at++;
  while (end > at && end[-1] == ' ') end--;
  *token = (pc_text){at, end - at};
  if (token->size > 0 && memchr(at, ' ', token->size) == NULL && memchr(at, ',', token->size) == NULL) return true;
  *refusal = pc_unauthenticated(PC_TEXT("the token is malformed"), challenge);
  return false;
}

// Other servers, which the operator must have granted

typedef struct {
  pc_text method;
  pc_text url;
  pc_pairs headers;
  pc_text body;
  // For the whole exchange. 0 for 30 seconds, which is the most.
  uint32_t timeout_ms;
  // The largest body of the response, in bytes. 0 for 8 MiB, which is the most.
  uint32_t max_body;
} pc_call;

// A complete response. The names of its headers are in lower case.
typedef struct {
  uint16_t status;
  pc_pairs headers;
  pc_text body;
} pc_response;

enum { PC_FETCH_DENIED, PC_FETCH_INVALID, PC_FETCH_LIMITED, PC_FETCH_TIMEOUT, PC_FETCH_TOO_LARGE, PC_FETCH_UNREACHABLE, PC_FETCH_UNUSABLE };

typedef struct {
  uint8_t is_failure;
  union {
    pc_response response;
    struct {
      uint8_t kind;
      pc_text reason;
    } failure;
  };
} pc_fetched;

PC_IMPORT("portcullis:auth/outbound@0.2.0", "fetch")
void pc_import_fetch(const char *, size_t, const char *, size_t, const pc_pair *, size_t, const char *, size_t, uint32_t, uint32_t,
                     uint32_t, uint32_t, pc_fetched *);

// Sends a request and waits for the response, whatever its status. Redirects aren't followed.
static inline pc_fetched pc_fetch(pc_call call) {
  if (call.method.size == 0) call.method = PC_TEXT("GET");
  pc_fetched fetched;
  PC_HOST(pc_import_fetch(call.method.start, call.method.size, call.url.start, call.url.size, call.headers.start, call.headers.size,
                          call.body.start, call.body.size, call.timeout_ms > 0, call.timeout_ms, call.max_body > 0, call.max_body,
                          &fetched));
  // The number of bytes is in the place of a text.
  if (fetched.is_failure && fetched.failure.kind == PC_FETCH_TOO_LARGE) fetched.failure.reason = PC_TEXT("the response is too large");
  if (fetched.is_failure && fetched.failure.kind == PC_FETCH_DENIED) fetched.failure.reason = PC_TEXT("the server is not granted");
  if (fetched.is_failure && fetched.failure.kind == PC_FETCH_LIMITED) fetched.failure.reason = PC_TEXT("a call may send 64 requests, and an authenticator may have 64 in flight");
  if (fetched.is_failure && fetched.failure.kind == PC_FETCH_TIMEOUT) fetched.failure.reason = PC_TEXT("there was no answer in time");
  return fetched;
}

// Signatures, in the order of the contract (RFC 7518, section 3.1)
enum { PC_RS256, PC_RS384, PC_RS512, PC_PS256, PC_PS384, PC_PS512, PC_ES256, PC_ES384, PC_ES512, PC_ED25519, PC_HS256, PC_HS384, PC_HS512 };

typedef struct {
  uint8_t is_error;
  union {
    uint8_t is_valid;
    pc_text error;
  };
} pc_verified;

PC_IMPORT("portcullis:auth/crypto@0.2.0", "verify")
void pc_import_verify(uint32_t, const char *, size_t, const char *, size_t, const char *, size_t, pc_verified *);

// Lets the gateway verify a signature with a key, a JWK as JSON (RFC 7517). The error says why the key can't be used.
static inline pc_verified pc_verify(uint32_t algorithm, pc_text jwk, pc_text message, pc_text signature) {
  pc_verified verified;
  PC_HOST(pc_import_verify(algorithm, jwk.start, jwk.size, message.start, message.size, signature.start, signature.size, &verified));
  return verified;
}

// The cache

typedef struct {
  uint8_t is_there;
  pc_text value;
} pc_cached;

PC_IMPORT("portcullis:auth/cache@0.2.0", "get") void pc_import_cache_get(const char *, size_t, pc_cached *);
PC_IMPORT("portcullis:auth/cache@0.2.0", "set") void pc_import_cache_set(const char *, size_t, const char *, size_t, uint32_t);
PC_IMPORT("portcullis:auth/cache@0.2.0", "add") int32_t pc_import_cache_add(const char *, size_t, const char *, size_t, uint32_t);
PC_IMPORT("portcullis:auth/cache@0.2.0", "delete") void pc_import_cache_delete(const char *, size_t);

// What an earlier call has stored. The key has at most 256 bytes; store a hash of a credential, never itself.
static inline pc_cached pc_cache_get(pc_text key) {
  pc_cached cached;
  PC_HOST(pc_import_cache_get(key.start, key.size, &cached));
  return cached;
}

static inline void pc_cache_set(pc_text key, pc_text value, uint32_t seconds) {
  PC_HOST(pc_import_cache_set(key.start, key.size, value.start, value.size, seconds));
}

// Stores a value unless there is one, and says whether it did. If many instances need the same data, that one fetches it.
static inline bool pc_cache_add(pc_text key, pc_text value, uint32_t seconds) {
  return pc_import_cache_add(key.start, key.size, value.start, value.size, seconds) != 0;
}

static inline void pc_cache_delete(pc_text key) { PC_HOST(pc_import_cache_delete(key.start, key.size)); }

// The log

enum { PC_TRACE, PC_DEBUG, PC_INFO, PC_WARN, PC_ERROR };

PC_IMPORT("wasi:logging/logging@0.1.0-draft", "log") void pc_import_log(uint32_t, const char *, size_t, const char *, size_t);

// Writes a line to the gateway's log. Never log a credential.
static inline void pc_log(uint32_t level, pc_text message) {
  PC_HOST(pc_import_log(level, NULL, 0, message.start, message.size));
}

// What the gateway calls. It reads the result before it calls again.

#define PC_PLUGIN "portcullis:auth/plugin@0.2.0"
#define PC_AUTHENTICATOR "portcullis:auth/authenticator@0.2.0"

PC_EXPORT(PC_PLUGIN "#settings-schema")
pc_text *pc_export_schema(void) {
  static pc_text result;
  result = pc_schema();
  return &result;
}

PC_EXPORT(PC_PLUGIN "#configure")
void *pc_export_configure(const char *start, size_t size) {
  static struct {
    uint8_t is_error;
    pc_text error;
  } result;
  result.error = pc_configure((pc_text){start, size});
  result.is_error = result.error.size > 0;
  return &result;
}

PC_EXPORT(PC_AUTHENTICATOR "#authenticate")
pc_decision *pc_export_authenticate(pc_request request) {
  static pc_decision result;
  pc_free_all();
  result = pc_authenticate(request);
  pc_import_drop(request);
  return &result;
}

#endif

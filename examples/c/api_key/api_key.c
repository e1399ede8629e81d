// An API key in a header.

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// The canonical ABI of the component model, as far as this plugin needs it: the functions that the gateway calls, and the
// ones that it offers. `wit-bindgen c` generates all of it, for plugins that need more.

#define AUTHENTICATOR "portcullis:auth/authenticator@0.1.0"
#define TYPES "portcullis:auth/types@0.1.0"
#define EXPORT(name) __attribute__((export_name(name)))
#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))

// A text or a list: where it begins, and how many bytes or items it has.
typedef struct {
  const char *start;
  size_t size;
} text;
typedef struct {
  text *start;
  size_t size;
} texts;

#define TEXT(literal) ((text){literal, sizeof(literal) - 1})

typedef struct {
  uint8_t is_error;
  text error;
} configured;

// record grant, and variant refusal without its challenges.
typedef struct {
  uint8_t is_refusal;
  union {
    struct {
      text user;
      texts groups;
      uint8_t admin;
      texts attributes;
      uint8_t has_valid_for;
      uint32_t valid_for;
      texts response_headers;
    } grant;
    struct {
      uint8_t kind;
      text reason;
      uint8_t has_challenge;
      text challenge[2];
    } refusal;
  };
} decision;

enum { NOT_MINE = 0, UNAUTHENTICATED = 1 };

IMPORT(TYPES, "[method]request.header")
void request_header(int32_t request, const char *name, size_t size, texts *values);
IMPORT(TYPES, "[resource-drop]request")
void request_drop(int32_t request);

// Where the gateway puts what it passes.
EXPORT("cabi_realloc")
void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
  (void)old_size;
  if (size == 0) return (void *)align;
  void *block = realloc(old, size);
  if (block == NULL) abort();
  return block;
}

// The authenticator

static const char SCHEMA[] =
    "{\"type\": \"object\", \"required\": [\"key\"], \"additionalProperties\": false, \"properties\": {\"key\": {"
    "\"type\": \"string\", \"minLength\": 1, \"writeOnly\": true, \"description\": \"What clients send in X-Api-Key.\"}}}";
static text key;

static int hex(const char *digits) {
  int value = 0;
  for (int i = 0; i < 4; i++) {
    char c = digits[i];
    value = value * 16 + (c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
  }
  return value;
}

static char *append_utf8(char *end, int c) {
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

// Reads {"key":"…"}. The gateway wrote this JSON and has checked it against the schema, so nothing else can come.
static bool read_key(text json) {
  const char *at = memchr(json.start, ':', json.size);
  const char *end = json.start + json.size;
  if (at == NULL || (at = memchr(at, '"', end - at)) == NULL) return false;
  char *value = malloc(json.size), *last = value;
  if (value == NULL) return false;
  for (at++; at < end && *at != '"'; at++) {
    if (*at != '\\') {
      *last++ = *at;
      continue;
    }
    const char *plain = "\"\\/bfnrt", *found = memchr(plain, *++at, 8);
    if (found != NULL) {
      *last++ = "\"\\/\b\f\n\r\t"[found - plain];
      continue;
    }
    if (end - at < 5) return false;
    int c = hex(at + 1);
    at += 4;
    if (c >> 10 == 0xD800 >> 10 && end - at >= 7) {
      c = 0x10000 + ((c & 0x3FF) << 10) + (hex(at + 3) & 0x3FF);
      at += 6;
    }
    last = append_utf8(last, c);
  }
  key = (text){value, last - value};
  return key.size > 0;
}

// The time depends on the length of what is given alone.
static bool matches(text given) {
  size_t different = given.size ^ key.size;
  for (size_t i = 0; i < given.size; i++) different |= given.start[i] ^ key.start[i % key.size];
  return different == 0;
}

EXPORT(AUTHENTICATOR "#settings-schema")
text *settings_schema(void) {
  static text result;
  result = TEXT(SCHEMA);
  return &result;
}

EXPORT(AUTHENTICATOR "#configure")
configured *configure(const char *start, size_t size) {
  static configured result;
  bool good = read_key((text){start, size});
  result = (configured){!good, good ? (text){0} : TEXT("settings.key: must be text that isn't empty")};
  return &result;
}

EXPORT(AUTHENTICATOR "#authenticate")
decision *authenticate(int32_t request) {
  static decision result;
  texts values;
  request_header(request, "x-api-key", sizeof("x-api-key") - 1, &values);
  result = (decision){0};
  if (values.size == 1 && matches(values.start[0])) {
    result.grant.user = TEXT("api");
  } else {
    result.is_refusal = true;
    result.refusal.kind = values.size == 0 ? NOT_MINE : UNAUTHENTICATED;
    if (values.size > 0) result.refusal.reason = TEXT("wrong API key");
  }
  // What is empty has no block.
  for (size_t i = 0; i < values.size; i++)
    if (values.start[i].size > 0) free((void *)values.start[i].start);
  if (values.size > 0) free(values.start);
  request_drop(request);
  return &result;
}

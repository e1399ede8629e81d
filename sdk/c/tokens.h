// JSON Web Tokens for authenticators in C: the keys of an issuer, the signature, which the gateway verifies, and the claims. Copy
// this file beside portcullis.h and include it in the same file of yours. It decides as the built-in jwt does.
#ifndef PORTCULLIS_TOKENS_H
#define PORTCULLIS_TOKENS_H

#include <stdlib.h>
#include <time.h>

#include "portcullis.h"

// time.h hides it where the compiler is told to know standard C alone.
int nanosleep(const struct timespec *, struct timespec *);

// JSON

enum { PC_JSON_NULL, PC_JSON_FALSE, PC_JSON_TRUE, PC_JSON_NUMBER, PC_JSON_TEXT, PC_JSON_LIST, PC_JSON_OBJECT };

// A value. The members of an object and the items of a list are linked.
typedef struct pc_json {
  int kind;
  // Of a member: its name, and whether another one has it, too.
  pc_text name;
  bool is_twice;
  // A text without its escapes, or a number as it is written.
  pc_text text;
  double number;
  struct pc_json *first;
  struct pc_json *next;
  size_t size;
  // Of an object: whether a name occurs more than once.
  bool has_twice;
} pc_json;

// The deepest that objects and lists are nested.
#define PC_MAX_DEPTH 127

typedef struct {
  const char *at, *end;
} pc_reader;

static inline bool pc_is(pc_text text, const char *literal) {
  return text.size == strlen(literal) && memcmp(text.start, literal, text.size) == 0;
}

static inline bool pc_same(pc_text one, pc_text other) {
  return one.size == other.size && memcmp(one.start, other.start, one.size) == 0;
}

// RFC 3629, section 4
static inline bool pc_is_utf8(pc_text text) {
  const unsigned char *at = (const unsigned char *)text.start, *end = at + text.size;
  while (at < end) {
    unsigned char c = *at++, least = 0x80, most = 0xBF;
    int more = c < 0x80 ? 0 : c < 0xC2 ? -1 : c < 0xE0 ? 1 : c < 0xF0 ? 2 : c < 0xF5 ? 3 : -1;
    if (c == 0xE0) least = 0xA0;
    if (c == 0xED) most = 0x9F;
    if (c == 0xF0) least = 0x90;
    if (c == 0xF4) most = 0x8F;
    if (more < 0 || end - at < more) return false;
    for (; more > 0; more--, at++, least = 0x80, most = 0xBF) {
      if (*at < least || *at > most) return false;
    }
  }
  return true;
}

static inline void pc_skip_space(pc_reader *reader) {
  while (reader->at < reader->end && memchr(" \t\r\n", *reader->at, 4) != NULL) reader->at++;
}

static inline bool pc_take(pc_reader *reader, char c) {
  if (reader->at == reader->end || *reader->at != c) return false;
  reader->at++;
  return true;
}

static inline bool pc_is_digit(char c) { return c >= '0' && c <= '9'; }

// Four hexadecimal digits. -1 if they aren't there.
static inline int pc_read_unit(pc_reader *reader) {
  if (reader->end - reader->at < 4) return -1;
  for (int i = 0; i < 4; i++) {
    char c = reader->at[i] | 32;
    if (!pc_is_digit(reader->at[i]) && (c < 'a' || c > 'f')) return -1;
  }
  reader->at += 4;
  return pc_hex(reader->at - 4);
}

// A string, after its first quote. One with half a character is refused, because no text for the gateway can have it.
static inline bool pc_read_text(pc_reader *reader, pc_text *text) {
  const char *close = reader->at;
  while (close < reader->end && *close != '"') close += *close == '\\' ? 2 : 1;
  if (close >= reader->end) return false;
  char *value = pc_allocate(close - reader->at + 1), *last = value;
  while (reader->at < close) {
    char c = *reader->at++;
    if ((unsigned char)c < 0x20) return false;
    if (c != '\\') {
      *last++ = c;
      continue;
    }
    const char *plain = "\"\\/bfnrt", *found = memchr(plain, *reader->at, 8);
    if (found != NULL) {
      *last++ = "\"\\/\b\f\n\r\t"[found - plain];
      reader->at++;
      continue;
    }
    if (!pc_take(reader, 'u')) return false;
    int unit = pc_read_unit(reader);
    if (unit < 0 || unit >> 10 == 0xDC00 >> 10) return false;
    if (unit >> 10 == 0xD800 >> 10) {
      if (!pc_take(reader, '\\') || !pc_take(reader, 'u')) return false;
      int low = pc_read_unit(reader);
      if (low < 0 || low >> 10 != 0xDC00 >> 10) return false;
      unit = 0x10000 + ((unit & 0x3FF) << 10) + (low & 0x3FF);
    }
    last = pc_append(last, unit);
  }
  *text = (pc_text){value, last - value};
  return reader->at == close && pc_take(reader, '"');
}

static inline bool pc_read_digits(pc_reader *reader) {
  const char *start = reader->at;
  while (reader->at < reader->end && pc_is_digit(*reader->at)) reader->at++;
  return reader->at > start;
}

static inline bool pc_read_number(pc_reader *reader, pc_json *value) {
  const char *start = reader->at;
  pc_take(reader, '-');
  if (!pc_take(reader, '0') && !pc_read_digits(reader)) return false;
  if (pc_take(reader, '.') && !pc_read_digits(reader)) return false;
  if (pc_take(reader, 'e') || pc_take(reader, 'E')) {
    if (!pc_take(reader, '+')) pc_take(reader, '-');
    if (!pc_read_digits(reader)) return false;
  }
  size_t size = reader->at - start;
  char *text = pc_allocate(size + 1);
  memcpy(text, start, size);
  text[size] = 0;
  value->kind = PC_JSON_NUMBER;
  value->text = (pc_text){text, size};
  value->number = strtod(text, NULL);
  // What no number of 64 bits can be is infinite here.
  return value->number - value->number == 0;
}

static inline int pc_by_name(const void *one, const void *other) {
  pc_text a = (*(pc_json *const *)one)->name, b = (*(pc_json *const *)other)->name;
  if (a.size != b.size) return a.size < b.size ? -1 : 1;
  return memcmp(a.start, b.start, a.size);
}

static inline void pc_mark_twice(pc_json *object) {
  if (object->size < 2) return;
  pc_json **members = pc_allocate(object->size * sizeof(pc_json *)), **last = members;
  for (pc_json *member = object->first; member != NULL; member = member->next) *last++ = member;
  qsort(members, object->size, sizeof(pc_json *), pc_by_name);
  for (size_t i = 1; i < object->size; i++) {
    if (!pc_same(members[i - 1]->name, members[i]->name)) continue;
    members[i - 1]->is_twice = members[i]->is_twice = object->has_twice = true;
  }
}

static inline pc_json *pc_read_value(pc_reader *reader, int depth) {
  pc_json *value = pc_allocate(sizeof(pc_json));
  *value = (pc_json){0};
  pc_skip_space(reader);
  if (reader->at == reader->end) return NULL;
  static const char *const words[] = {"null", "false", "true"};
  for (int i = 0; i < 3; i++) {
    size_t size = strlen(words[i]);
    if ((size_t)(reader->end - reader->at) < size || memcmp(reader->at, words[i], size) != 0) continue;
    reader->at += size;
    value->kind = PC_JSON_NULL + i;
    return value;
  }
  if (pc_take(reader, '"')) {
    value->kind = PC_JSON_TEXT;
    return pc_read_text(reader, &value->text) ? value : NULL;
  }
  bool is_object = pc_take(reader, '{');
  if (!is_object && !pc_take(reader, '[')) return pc_read_number(reader, value) ? value : NULL;
  if (depth == PC_MAX_DEPTH) return NULL;
  char close = is_object ? '}' : ']';
  value->kind = is_object ? PC_JSON_OBJECT : PC_JSON_LIST;
  pc_json **next = &value->first;
  pc_skip_space(reader);
  if (pc_take(reader, close)) return value;
  do {
    pc_text name = {0};
    pc_skip_space(reader);
    if (is_object) {
      if (!pc_take(reader, '"') || !pc_read_text(reader, &name)) return NULL;
      pc_skip_space(reader);
      if (!pc_take(reader, ':')) return NULL;
    }
    pc_json *inside = pc_read_value(reader, depth + 1);
    if (inside == NULL) return NULL;
    inside->name = name;
    *next = inside;
    next = &inside->next;
    value->size++;
    pc_skip_space(reader);
  } while (pc_take(reader, ','));
  if (!pc_take(reader, close)) return NULL;
  if (is_object) pc_mark_twice(value);
  return value;
}

// Reads JSON as strictly as the built-in jwt does. NULL if it can't be read. It stays valid until the next call.
static inline pc_json *pc_read_json(pc_text text) {
  if (!pc_is_utf8(text)) return NULL;
  pc_reader reader = {text.start, text.start + text.size};
  pc_json *value = pc_read_value(&reader, 0);
  pc_skip_space(&reader);
  return reader.at == reader.end ? value : NULL;
}

// The last member of this name. NULL if there is none, or if it is no object.
static inline pc_json *pc_member(const pc_json *object, pc_text name) {
  pc_json *found = NULL;
  if (object == NULL || object->kind != PC_JSON_OBJECT) return NULL;
  for (pc_json *member = object->first; member != NULL; member = member->next) {
    if (pc_same(member->name, name)) found = member;
  }
  return found;
}

static inline bool pc_is_absent(const pc_json *value) { return value == NULL || value->kind == PC_JSON_NULL; }

// A setting that is a list of texts. It stays.
static inline pc_texts pc_setting_texts(pc_text settings, const char *name) {
  pc_json *list = pc_read_json(pc_setting_json(settings, name));
  if (list == NULL || list->kind != PC_JSON_LIST) return (pc_texts){0};
  pc_text *texts = malloc((list->size + 1) * sizeof(pc_text));
  if (texts == NULL) abort();
  size_t size = 0;
  for (pc_json *item = list->first; item != NULL; item = item->next) {
    if (item->kind == PC_JSON_TEXT) texts[size++] = pc_copy(item->text);
  }
  return (pc_texts){texts, size};
}

// base64url (RFC 4648, section 5), without padding and with zeros in the bits that are left over

static inline int pc_base64_digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (pc_is_digit(c)) return c - '0' + 52;
  return c == '-' ? 62 : c == '_' ? 63 : -1;
}

static inline bool pc_decode(pc_text text, pc_text *decoded) {
  char *value = pc_allocate(text.size + 1), *last = value;
  uint32_t bits = 0;
  int count = 0;
  for (size_t i = 0; i < text.size; i++) {
    int digit = pc_base64_digit(text.start[i]);
    if (digit < 0) return false;
    bits = bits << 6 | digit;
    count += 6;
    if (count >= 8) {
      count -= 8;
      *last++ = bits >> count;
      bits &= (1u << count) - 1;
    }
  }
  *decoded = (pc_text){value, last - value};
  return count < 6 && bits == 0;
}

static inline pc_text pc_encode(pc_text bytes) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  char *value = pc_allocate(bytes.size * 4 / 3 + 2), *last = value;
  uint32_t bits = 0;
  int count = 0;
  for (size_t i = 0; i < bytes.size; i++) {
    bits = bits << 8 | (unsigned char)bytes.start[i];
    for (count += 8; count >= 6; count -= 6) *last++ = digits[bits >> (count - 6) & 63];
  }
  if (count > 0) *last++ = digits[bits << (6 - count) & 63];
  return (pc_text){value, last - value};
}

// Texts for the log

static inline pc_text pc_join(const pc_text *parts, size_t count) {
  size_t size = 0;
  for (size_t i = 0; i < count; i++) size += parts[i].size;
  char *whole = pc_allocate(size + 1), *last = whole;
  for (size_t i = 0; i < count; i++) {
    if (parts[i].size > 0) memcpy(last, parts[i].start, parts[i].size);
    last += parts[i].size;
  }
  return (pc_text){whole, size};
}

#define PC_JOIN(...) pc_join((const pc_text[]){__VA_ARGS__}, sizeof((const pc_text[]){__VA_ARGS__}) / sizeof(pc_text))

static inline pc_text pc_decimal(uint64_t number) {
  char *digits = pc_allocate(21);
  return (pc_text){digits, snprintf(digits, 21, "%llu", (unsigned long long)number)};
}

// Tokens

// Verifies bearer tokens of one issuer (RFC 7519, RFC 6750). The key decides which algorithms it verifies, never the token; exp, iss
// and aud must be there; crit, none, HMAC and keys that a token brings along are refused.
typedef struct {
  // That of the claim iss, exactly.
  pc_text issuer;
  // The claim aud must name one of them.
  pc_texts audiences;
  // Where the issuer publishes its public keys, a JWK Set (RFC 7517). All instances share them by the cache.
  pc_text jwks_url;
  // For one fetch. 0 for two seconds.
  uint32_t timeout_ms;
  // When they are fetched again though every token is verified. 0 for ten minutes.
  uint32_t lifetime_seconds;
  // The shortest time between two fetches. 0 for 30 seconds.
  uint32_t min_refresh_seconds;
  // How much longer they are used while the issuer can't be reached. 0 for a day.
  uint32_t stale_if_error_seconds;
  // How much the clocks may differ. 0 for one minute.
  uint32_t leeway_seconds;
  // That of the challenge. "portcullis" if it is empty.
  pc_text realm;
} pc_jwt;

typedef struct {
  const pc_json *object;
  // For how many seconds the token is still valid.
  uint32_t remaining;
} pc_claims;

#define PC_MAX_TOKEN (16 * 1024)
#define PC_MAX_KEYS 1000

static inline bool pc_starts(pc_text text, const char *start) {
  size_t size = strlen(start);
  return text.size >= size && strncasecmp(text.start, start, size) == 0;
}

static inline bool pc_is_loopback(pc_text host) {
  if (host.size > 0 && *host.start != '[') {
    const char *colon = memchr(host.start, ':', host.size);
    if (colon != NULL) host.size = colon - host.start;
  } else {
    return pc_is(host, "[::1]") || pc_starts(host, "[::1]:");
  }
  int dots = 0;
  for (size_t i = 0; i < host.size; i++) {
    dots += host.start[i] == '.';
    if (host.start[i] != '.' && !pc_is_digit(host.start[i])) return host.size == 9 && pc_starts(host, "localhost");
  }
  return dots == 3 && pc_starts(host, "127.");
}

// Scheme and authority of a URL. The authority is empty if it is none.
static inline pc_text pc_authority(pc_text url) {
  size_t scheme = pc_starts(url, "https://") ? 8 : pc_starts(url, "http://") ? 7 : 0;
  pc_text authority = {url.start + scheme, 0};
  if (scheme == 0) return (pc_text){0};
  while (scheme + authority.size < url.size && memchr("/?#", authority.start[authority.size], 3) == NULL) {
    char c = authority.start[authority.size++];
    if (c <= ' ' || c > '~' || c == '@' || c == '\\') return (pc_text){0};
  }
  return authority;
}

// What is wrong in the settings, for pc_configure. An empty text if nothing is.
static inline pc_text pc_check_jwt(const pc_jwt *jwt) {
  if (jwt->issuer.size == 0) return PC_TEXT("issuer: it is empty");
  bool has_empty = jwt->audiences.size == 0;
  for (size_t i = 0; i < jwt->audiences.size; i++) has_empty |= jwt->audiences.start[i].size == 0;
  if (has_empty) return PC_TEXT("audiences: they are missing, or one of them is empty");
  pc_text authority = pc_authority(jwt->jwks_url);
  if (authority.size == 0 || memchr(jwt->jwks_url.start, '#', jwt->jwks_url.size) != NULL) {
    return PC_TEXT("jwks_url: must be an https URL without a user name and a fragment");
  }
  // Whoever can change the answer decides who is let in.
  if (!pc_starts(jwt->jwks_url, "https://") && !pc_is_loopback(authority)) {
    return PC_TEXT("jwks_url: must be https, unless the server is on this machine");
  }
  return (pc_text){0};
}

static inline pc_decision pc_bearer_error(const pc_jwt *jwt, uint8_t kind, const char *code, pc_text reason, const char *told) {
  pc_text realm = jwt->realm.size > 0 ? jwt->realm : PC_TEXT("portcullis");
  pc_challenge challenge = {PC_TEXT("Bearer"), PC_PAIRS({PC_TEXT("realm"), realm})};
  if (code != NULL) {
    challenge.parameters = PC_PAIRS({PC_TEXT("realm"), realm}, {PC_TEXT("error"), {code, strlen(code)}},
                                    {PC_TEXT("error_description"), {told, strlen(told)}});
  }
  return kind == PC_NOT_MINE ? pc_not_mine(&challenge) : pc_denied(kind, reason, &challenge);
}

static inline pc_decision pc_malformed(const pc_jwt *jwt, const char *told) {
  pc_text reason = PC_JOIN(PC_TEXT("malformed request: "), {told, strlen(told)});
  return pc_bearer_error(jwt, PC_UNAUTHENTICATED, "invalid_request", reason, told);
}

#define PC_NOT_ACCEPTED "The token is not accepted here"
#define PC_NOT_SIGNED "The signature of the token does not verify"

static inline pc_decision pc_refused(const pc_jwt *jwt, pc_text reason, const char *told) {
  return pc_bearer_error(jwt, PC_UNAUTHENTICATED, "invalid_token", reason, told);
}

// The algorithms, in the order of the contract

static const char *const pc_algorithms[] = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256",
                                            "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512"};

// The number of an algorithm. -1 if it isn't known. RFC 9864 names EdDSA by its curve.
static inline int pc_algorithm(pc_text name) {
  if (pc_is(name, "Ed25519")) return PC_ED25519;
  for (int i = 0; i <= PC_HS512; i++) {
    if (pc_is(name, pc_algorithms[i])) return i;
  }
  return -1;
}

// Keys

// A key that verifies signatures.
typedef struct pc_key {
  struct pc_key *next;
  pc_text jwk;
  bool has_kid;
  pc_text kid;
  // Its algorithms, as bits.
  uint32_t algorithms;
} pc_key;

typedef struct {
  time_t fetched;
  pc_text body;
  pc_key *first;
} pc_keys;

// Reads a member that is text. Returns whether it is, or absent.
static inline bool pc_text_of(const pc_json *object, const char *name, pc_text *text) {
  pc_json *member = pc_member(object, (pc_text){name, strlen(name)});
  *text = (pc_text){0};
  if (pc_is_absent(member)) return true;
  if (member->kind != PC_JSON_TEXT) return false;
  *text = member->text;
  return true;
}

// A number of a key in base64url: as long as it must be (RFC 7518, section 6.2.1.2), which some providers don't see to.
static inline bool pc_coordinate(pc_text number, size_t size, pc_text *made) {
  pc_text decoded;
  while (number.size > 0 && number.start[number.size - 1] == '=') number.size--;
  if (!pc_decode(number, &decoded)) return false;
  *made = number;
  if (size == 0 || decoded.size == size) return true;
  while (decoded.size > 0 && *decoded.start == 0) decoded.start++, decoded.size--;
  if (decoded.size > size) return false;
  char *filled = pc_allocate(size + 1);
  memset(filled, 0, size);
  if (decoded.size > 0) memcpy(filled + size - decoded.size, decoded.start, decoded.size);
  *made = pc_encode((pc_text){filled, size});
  return true;
}

// How many bytes base64url stands for.
static inline bool pc_has_bytes(pc_text number, size_t least, size_t most) {
  size_t size = number.size * 3 / 4;
  return size >= least && size <= most;
}

// Reads a key. Its type and curve decide first about its algorithms, then alg (CVE-2026-39999, CVE-2026-22817). A shared secret in a
// published set is not secret, and verifies nothing. NULL if it can't be used.
static inline pc_key *pc_read_key(const pc_json *jwk) {
  pc_text kty, kid, alg, use, curve, n, e, x, y;
  if (jwk->kind != PC_JSON_OBJECT) return NULL;
  if (!pc_text_of(jwk, "kty", &kty) || !pc_text_of(jwk, "kid", &kid) || !pc_text_of(jwk, "alg", &alg) ||
      !pc_text_of(jwk, "use", &use) || !pc_text_of(jwk, "crv", &curve) || !pc_text_of(jwk, "n", &n) || !pc_text_of(jwk, "e", &e) ||
      !pc_text_of(jwk, "x", &x) || !pc_text_of(jwk, "y", &y)) {
    return NULL;
  }
  if ((use.start != NULL && !pc_is(use, "sig")) || kid.size > 256) return NULL;
  pc_json *operations = pc_member(jwk, PC_TEXT("key_ops"));
  if (!pc_is_absent(operations)) {
    bool verifies = false;
    for (pc_json *item = operations->first; operations->kind == PC_JSON_LIST && item != NULL; item = item->next) {
      verifies |= item->kind == PC_JSON_TEXT && pc_is(item->text, "verify");
    }
    if (!verifies) return NULL;
  }
  pc_key *key = pc_allocate(sizeof(pc_key));
  *key = (pc_key){.has_kid = kid.start != NULL, .kid = kid};
  static const struct {
    const char *curve;
    size_t size;
    int algorithm;
  } curves[] = {{"P-256", 32, PC_ES256}, {"P-384", 48, PC_ES384}, {"P-521", 66, PC_ES512}};
  if (pc_is(kty, "RSA")) {
    if (!pc_coordinate(n, 0, &n) || !pc_coordinate(e, 0, &e) || !pc_has_bytes(n, 256, 1025) || !pc_has_bytes(e, 1, 8)) return NULL;
    key->algorithms = (1u << (PC_PS512 + 1)) - 1;
    key->jwk = PC_JOIN(PC_TEXT("{\"kty\":\"RSA\",\"n\":\""), n, PC_TEXT("\",\"e\":\""), e, PC_TEXT("\"}"));
  } else if (pc_is(kty, "EC")) {
    for (size_t i = 0; i < 3; i++) {
      if (!pc_is(curve, curves[i].curve)) continue;
      if (!pc_coordinate(x, curves[i].size, &x) || !pc_coordinate(y, curves[i].size, &y)) return NULL;
      key->algorithms = 1u << curves[i].algorithm;
      key->jwk = PC_JOIN(PC_TEXT("{\"kty\":\"EC\",\"crv\":\""), curve, PC_TEXT("\",\"x\":\""), x, PC_TEXT("\",\"y\":\""), y, PC_TEXT("\"}"));
    }
  } else if (pc_is(kty, "OKP") && pc_is(curve, "Ed25519")) {
    if (!pc_coordinate(x, 0, &x) || !pc_has_bytes(x, 32, 32)) return NULL;
    key->algorithms = 1u << PC_ED25519;
    key->jwk = PC_JOIN(PC_TEXT("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\""), x, PC_TEXT("\"}"));
  }
  if (alg.size > 0) {
    int own = pc_algorithm(alg);
    key->algorithms &= own < 0 ? 0 : 1u << own;
  }
  return key->algorithms != 0 ? key : NULL;
}

// Reads a JWK Set. Returns whether it has a key that can be used.
static inline bool pc_read_keys(pc_text body, pc_keys *keys) {
  pc_json *listed = pc_member(pc_read_json(body), PC_TEXT("keys"));
  keys->body = body;
  keys->first = NULL;
  if (listed == NULL || listed->kind != PC_JSON_LIST || listed->size > PC_MAX_KEYS) return false;
  pc_key **next = &keys->first;
  for (pc_json *jwk = listed->first; jwk != NULL; jwk = jwk->next) {
    pc_key *key = pc_read_key(jwk);
    if (key == NULL) continue;
    *next = key;
    next = &key->next;
  }
  return keys->first != NULL;
}

// A key of the cache. The cache of an authenticator is its own, so the URL is enough.
static inline pc_text pc_cache_key(const char *what, const pc_jwt *jwt) {
  pc_text url = jwt->jwks_url;
  // A key has at most 256 bytes. The beginning of a longer URL says enough, since there is one for an authenticator.
  if (url.size > 200) url.size = 200;
  return PC_JOIN({what, strlen(what)}, PC_TEXT(" jwks "), url);
}

static inline uint32_t pc_or(uint32_t value, uint32_t standard) { return value > 0 ? value : standard; }

static inline bool pc_load_keys(const pc_jwt *jwt, pc_keys *keys) {
  pc_cached cached = pc_cache_get(pc_cache_key("keys", jwt));
  const char *space = cached.is_there ? memchr(cached.value.start, ' ', cached.value.size) : NULL;
  if (space == NULL) return false;
  keys->fetched = strtoll(cached.value.start, NULL, 10);
  space++;
  return pc_read_keys((pc_text){space, cached.value.start + cached.value.size - space}, keys);
}

// The target of a redirect, if it is on the same server (RFC 9110, section 15.4). An empty text if there is none.
static inline pc_text pc_redirect(pc_text url, const pc_response *response) {
  if (response->status != 301 && response->status != 302 && response->status != 303 && response->status != 307 && response->status != 308) {
    return (pc_text){0};
  }
  pc_text authority = pc_authority(url);
  pc_text origin = {url.start, authority.start + authority.size - url.start};
  for (size_t i = 0; i < response->headers.size; i++) {
    pc_text target = response->headers.start[i].value;
    if (!pc_is(response->headers.start[i].name, "location")) continue;
    if (target.size > 0 && *target.start == '/' && (target.size == 1 || target.start[1] != '/')) return PC_JOIN(origin, target);
    pc_text other = pc_authority(target);
    bool is_same = other.size == authority.size && other.start - target.start == authority.start - url.start &&
                   strncasecmp(target.start, origin.start, origin.size) == 0;
    return is_same ? target : (pc_text){0};
  }
  return (pc_text){0};
}

// Fetches the keys, and stores them. The text says why they can't be had, and is empty otherwise.
static inline pc_text pc_fetch_keys(const pc_jwt *jwt, pc_keys *keys) {
  pc_call call = {
      .url = jwt->jwks_url,
      .headers = PC_PAIRS({PC_TEXT("accept"), PC_TEXT("application/json")}, {PC_TEXT("cache-control"), PC_TEXT("no-cache")}),
      .timeout_ms = pc_or(jwt->timeout_ms, 2000),
      .max_body = 1024 * 1024,
  };
  pc_text at = jwt->jwks_url;
  for (int redirects = 0;; redirects++) {
    call.url = at;
    pc_fetched fetched = pc_fetch(call);
    bool is_unreachable = fetched.is_failure && fetched.failure.kind == PC_FETCH_UNREACHABLE;
    pc_text what = is_unreachable ? PC_TEXT(": the server can't be reached: ") : PC_TEXT(": ");
    if (fetched.is_failure) return PC_JOIN(at, what, fetched.failure.reason);
    pc_text next = pc_redirect(at, &fetched.response);
    if (next.size > 0 && redirects < 3) {
      at = next;
      continue;
    }
    if (fetched.response.status != 200) return PC_JOIN(at, PC_TEXT(": it answered "), pc_decimal(fetched.response.status), PC_TEXT(", not 200"));
    if (!pc_read_keys(fetched.response.body, keys)) {
      return PC_JOIN(at, PC_TEXT(": it is not a JWK Set with 1 to 1000 keys of which one can be used"));
    }
    keys->fetched = time(NULL);
    uint32_t lifetime = pc_or(jwt->lifetime_seconds, 600) + pc_or(jwt->stale_if_error_seconds, 24 * 3600);
    pc_cache_set(pc_cache_key("keys", jwt), PC_JOIN(pc_decimal(keys->fetched), PC_TEXT(" "), keys->body), lifetime);
    return (pc_text){0};
  }
}

// Waits until the fetch that another instance marked under this key has ended. Returns why it failed, if it did.
static inline pc_text pc_await(pc_text key, uint32_t limit_ms) {
  for (uint32_t waited = 0;; waited += 20) {
    pc_cached state = pc_cache_get(key);
    if (!state.is_there || !pc_is(state.value, "pending") || waited >= limit_ms) {
      bool has_failed = state.is_there && pc_starts(state.value, "failed: ");
      return has_failed ? (pc_text){state.value.start + 8, state.value.size - 8} : (pc_text){0};
    }
    nanosleep(&(struct timespec){.tv_nsec = 20 * 1000 * 1000}, NULL);
  }
}

// Fetches the keys again, unless somebody has done so lately.
static inline bool pc_refresh_keys(const pc_jwt *jwt, pc_keys *keys) {
  pc_text mark = pc_cache_key("refresh", jwt);
  uint32_t interval = pc_or(jwt->min_refresh_seconds, 30);
  if (!pc_cache_add(mark, PC_TEXT("pending"), interval)) return false;
  pc_text failed = pc_fetch_keys(jwt, keys);
  if (failed.size > 0) {
    pc_log(PC_WARN, PC_JOIN(PC_TEXT("the keys can't be fetched, so the old ones are used: "), failed));
    pc_cache_set(mark, PC_JOIN(PC_TEXT("failed: "), failed), interval);
    return false;
  }
  pc_cache_set(mark, PC_TEXT("succeeded"), interval);
  return true;
}

// The keys of the moment. The text says why they can't be had, and is empty otherwise.
static inline pc_text pc_current_keys(const pc_jwt *jwt, pc_keys *keys) {
  if (pc_load_keys(jwt, keys)) {
    pc_keys newer;
    bool is_old = time(NULL) - keys->fetched >= (time_t)pc_or(jwt->lifetime_seconds, 600);
    if (is_old && pc_refresh_keys(jwt, &newer)) *keys = newer;
    return (pc_text){0};
  }
  pc_text mark = pc_cache_key("first", jwt);
  uint32_t timeout = pc_or(jwt->timeout_ms, 2000);
  if (!pc_cache_add(mark, PC_TEXT("pending"), timeout / 1000 + 1)) {
    pc_text failed = pc_await(mark, timeout);
    if (failed.size > 0) return failed;
    if (pc_load_keys(jwt, keys)) return (pc_text){0};
    return PC_TEXT("another request is fetching the keys and has not received them");
  }
  // Another instance may have fetched them since.
  pc_text failed = {0};
  if (!pc_load_keys(jwt, keys)) failed = pc_fetch_keys(jwt, keys);
  if (failed.size > 0) {
    uint32_t interval = pc_or(jwt->min_refresh_seconds, 30);
    pc_cache_set(mark, PC_JOIN(PC_TEXT("failed: "), failed), interval < 5 ? interval : 5);
    return failed;
  }
  pc_cache_set(pc_cache_key("refresh", jwt), PC_TEXT("succeeded"), pc_or(jwt->min_refresh_seconds, 30));
  pc_cache_delete(mark);
  return (pc_text){0};
}

static inline pc_text pc_algorithm_name(int algorithm) {
  bool is_known = algorithm >= 0 && (size_t)algorithm < sizeof(pc_algorithms) / sizeof(*pc_algorithms);
  return is_known ? (pc_text){pc_algorithms[algorithm], strlen(pc_algorithms[algorithm])} : PC_TEXT("another one");
}

// The longest value of a token in a log line, in bytes.
#define PC_MAX_SHOWN 150

// A text of a token for a log line, shortened between two characters.
static inline pc_text pc_quoted(pc_text text) {
  if (text.start == NULL) return PC_TEXT("missing");
  size_t size = text.size < PC_MAX_SHOWN ? text.size : PC_MAX_SHOWN;
  while (size > 0 && size < text.size && ((unsigned char)text.start[size] & 0xC0) == 0x80) size--;
  return PC_JOIN(PC_TEXT("\""), ((pc_text){text.start, size}), PC_TEXT("\""));
}

// A value of a token for a log line.
static inline pc_text pc_shown(const pc_json *value) {
  if (pc_is_absent(value)) return PC_TEXT("missing");
  if (value->kind == PC_JSON_TEXT) return pc_quoted(value->text);
  if (value->kind != PC_JSON_LIST) return PC_TEXT("of another type");
  pc_text shown = PC_TEXT("[");
  for (const pc_json *item = value->first; item != NULL && shown.size < PC_MAX_SHOWN; item = item->next) {
    pc_text text = item->kind == PC_JSON_TEXT ? pc_quoted(item->text) : PC_TEXT("of another type");
    shown = PC_JOIN(shown, item == value->first ? PC_TEXT("") : PC_TEXT(", "), text);
  }
  return PC_JOIN(shown, PC_TEXT("]"));
}

// A token, parsed and not verified (RFC 7515, section 7.1).
typedef struct {
  int algorithm;
  bool has_kid;
  pc_text kid, typ, message, payload, signature;
} pc_jws;

enum { PC_SIGNED, PC_OTHER_ALGORITHM, PC_NO_SUCH_KEY, PC_NOT_BY_THEM };

// Whether one of the keys has signed it. An id is compared with known ids and used for nothing else.
static inline int pc_signed_by(const pc_keys *keys, const pc_jws *jws) {
  bool is_named = false;
  for (pc_key *key = keys->first; key != NULL; key = key->next) is_named |= jws->has_kid && key->has_kid && pc_same(key->kid, jws->kid);
  int tried = 0;
  for (pc_key *key = keys->first; key != NULL && tried < 100; key = key->next) {
    bool is_possible = is_named ? key->has_kid && pc_same(key->kid, jws->kid) : !jws->has_kid || !key->has_kid;
    if (!is_possible || (key->algorithms >> jws->algorithm & 1) == 0) continue;
    tried++;
    pc_verified verified = pc_verify(jws->algorithm, key->jwk, jws->message, jws->signature);
    if (verified.is_error) pc_log(PC_WARN, PC_JOIN(PC_TEXT("a key can't be used: "), verified.error));
    if (!verified.is_error && verified.is_valid) return PC_SIGNED;
  }
  if (tried == 0 && is_named) return PC_OTHER_ALGORITHM;
  return tried == 0 && jws->has_kid ? PC_NO_SUCH_KEY : PC_NOT_BY_THEM;
}

// Which algorithms the keys that the token names are for.
static inline pc_text pc_says_other_algorithm(const pc_keys *keys, const pc_jws *jws) {
  uint32_t expected = 0;
  for (pc_key *key = keys->first; key != NULL; key = key->next) {
    if (jws->has_kid && key->has_kid && pc_same(key->kid, jws->kid)) expected |= key->algorithms;
  }
  pc_text says = PC_JOIN(PC_TEXT("the token is signed with "), pc_algorithm_name(jws->algorithm), PC_TEXT(", but the key that it names is for "));
  bool is_first = true;
  for (int algorithm = 0; algorithm < 32; algorithm++) {
    if ((expected >> algorithm & 1) == 0) continue;
    says = PC_JOIN(says, is_first ? PC_TEXT("") : PC_TEXT(", "), pc_algorithm_name(algorithm));
    is_first = false;
  }
  return says;
}

// Which keys there are instead of the one that the token names.
static inline pc_text pc_says_no_such_key(const pc_keys *keys, const pc_jws *jws) {
  pc_text says = PC_JOIN(PC_TEXT("no key has the id "), pc_quoted(jws->kid));
  int known = 0;
  for (pc_key *key = keys->first; key != NULL && known < 20; key = key->next) {
    if (key->has_kid) says = PC_JOIN(says, known++ == 0 ? PC_TEXT("; there are ") : PC_TEXT(", "), pc_quoted(key->kid));
  }
  return says;
}

// Verifies the signature. If newer keys could change that, it fetches them first.
static inline bool pc_verify_jws(const pc_jwt *jwt, const pc_jws *jws, pc_decision *refusal) {
  pc_keys keys, newer;
  pc_text failed = pc_current_keys(jwt, &keys);
  if (failed.size > 0) {
    *refusal = pc_unavailable(failed);
    return false;
  }
  int outcome = pc_signed_by(&keys, jws);
  bool is_newer = false;
  if (outcome != PC_SIGNED) {
    is_newer = pc_refresh_keys(jwt, &newer);
    if (!is_newer) {
      // Another instance may be fetching them. For a token that is signed with a new key, it is worth waiting.
      uint32_t timeout = pc_or(jwt->timeout_ms, 2000);
      pc_await(pc_cache_key("refresh", jwt), timeout < 500 ? timeout : 500);
      is_newer = pc_load_keys(jwt, &newer);
    }
    if (is_newer && !pc_same(newer.body, keys.body)) outcome = pc_signed_by(&newer, jws);
  }
  switch (outcome) {
    case PC_SIGNED:
      return true;
    case PC_OTHER_ALGORITHM:
      *refusal = pc_refused(jwt, pc_says_other_algorithm(is_newer ? &newer : &keys, jws), PC_NOT_ACCEPTED);
      return false;
    case PC_NO_SUCH_KEY:
      *refusal = pc_refused(jwt, pc_says_no_such_key(is_newer ? &newer : &keys, jws), PC_NOT_SIGNED);
      return false;
  }
  *refusal = pc_refused(jwt, PC_TEXT("no key verifies the signature"), PC_NOT_SIGNED);
  return false;
}

// Parses a token. One of five parts is encrypted, and one whose first part is no JSON object has a format of its provider: both are
// left to other authenticators.
static inline bool pc_parse_token(const pc_jwt *jwt, pc_text token, pc_jws *jws, pc_decision *refusal) {
  *refusal = pc_bearer_error(jwt, PC_NOT_MINE, "invalid_token", (pc_text){0}, "The token is not a signed JWT");
  const char *first = memchr(token.start, '.', token.size), *end = token.start + token.size;
  const char *second = first == NULL ? NULL : memchr(first + 1, '.', end - first - 1);
  if (second == NULL || memchr(second + 1, '.', end - second - 1) != NULL) return false;
  pc_text header;
  if (!pc_decode((pc_text){token.start, first - token.start}, &header)) return false;
  size_t spaces = 0;
  while (spaces < header.size && memchr(" \t\r\n\f", header.start[spaces], 5) != NULL) spaces++;
  if (spaces == header.size || header.start[spaces] != '{') return false;
  pc_json *read = pc_read_json(header);
  *refusal = pc_refused(jwt, PC_TEXT("the token has a malformed header"), PC_NOT_ACCEPTED);
  pc_text algorithm;
  if (read == NULL || read->kind != PC_JSON_OBJECT) return false;
  static const char *const known[] = {"alg", "kid", "typ", "crit", "b64"};
  for (int i = 0; i < 5; i++) {
    pc_json *member = pc_member(read, (pc_text){known[i], strlen(known[i])});
    if (member != NULL && member->is_twice) return false;
  }
  if (!pc_text_of(read, "alg", &algorithm) || !pc_text_of(read, "kid", &jws->kid) || !pc_text_of(read, "typ", &jws->typ)) return false;
  if (algorithm.start == NULL) return false;
  // RFC 7515, section 4.1.11: extensions that must be understood. None is, nor an unencoded payload (RFC 7797).
  if (pc_member(read, PC_TEXT("crit")) != NULL || pc_member(read, PC_TEXT("b64")) != NULL) {
    *refusal = pc_refused(jwt, PC_TEXT("the token has a header that asks for an extension"), PC_NOT_ACCEPTED);
    return false;
  }
  jws->has_kid = jws->kid.start != NULL;
  jws->algorithm = pc_algorithm(algorithm);
  if (jws->algorithm < 0) {
    *refusal = pc_refused(jwt, PC_TEXT("the token is signed with an algorithm that is not supported"), PC_NOT_ACCEPTED);
    return false;
  }
  jws->message = (pc_text){token.start, second - token.start};
  *refusal = pc_refused(jwt, PC_TEXT("the token has a part that is not base64url"), PC_NOT_ACCEPTED);
  return pc_decode((pc_text){first + 1, second - first - 1}, &jws->payload) && pc_decode((pc_text){second + 1, end - second - 1}, &jws->signature);
}

// A NumericDate (RFC 7519, section 2) in whole seconds, -1 if there is none. Skipping one that is none would skip the check
// (CVE-2026-25537). After the year 9999 it is a mistake, such as milliseconds for seconds.
static inline bool pc_date(const pc_json *claims, const char *name, int64_t *seconds) {
  pc_json *claim = pc_member(claims, (pc_text){name, strlen(name)});
  *seconds = -1;
  if (claim == NULL) return true;
  if (claim->kind != PC_JSON_NUMBER || claim->number < 0 || claim->number > 253402300799.0) return false;
  *seconds = (int64_t)claim->number;
  return true;
}

// The claim at this path. A claim within a claim is written with dots: realm_access.roles. A claim whose own name has dots is found
// first. NULL if there is none.
static inline const pc_json *pc_find(const pc_claims *claims, pc_text path) {
  const pc_json *found = pc_member(claims->object, path);
  if (!pc_is_absent(found)) return found;
  found = claims->object;
  for (;;) {
    const char *dot = memchr(path.start, '.', path.size);
    size_t size = dot == NULL ? path.size : (size_t)(dot - path.start);
    found = pc_member(found, (pc_text){path.start, size});
    if (dot == NULL || found == NULL) return pc_is_absent(found) ? NULL : found;
    path.start += size + 1;
    path.size -= size + 1;
  }
}

static inline bool pc_check_claims(const pc_jwt *jwt, pc_claims *claims, pc_decision *refusal) {
  const pc_json *audience = pc_find(claims, PC_TEXT("aud"));
  bool is_list = audience != NULL && audience->kind == PC_JSON_LIST, is_named = false;
  const pc_json *item = is_list ? audience->first : audience;
  *refusal = pc_refused(jwt, PC_TEXT("the claim aud is neither a string nor a list of strings"), PC_NOT_ACCEPTED);
  if (audience == NULL) return false;
  for (; item != NULL; item = is_list ? item->next : NULL) {
    if (item->kind != PC_JSON_TEXT) return false;
    for (size_t i = 0; i < jwt->audiences.size; i++) is_named |= pc_same(item->text, jwt->audiences.start[i]);
  }
  if (!is_named) {
    pc_text reason = PC_JOIN(PC_TEXT("the claim aud of the token is "), pc_shown(audience), PC_TEXT(", and must name one of "));
    for (size_t i = 0; i < jwt->audiences.size && i < 20; i++) {
      reason = PC_JOIN(reason, i == 0 ? PC_TEXT("") : PC_TEXT(", "), pc_quoted(jwt->audiences.start[i]));
    }
    *refusal = pc_refused(jwt, reason, "The token is for another audience");
    return false;
  }
  int64_t expiry, issued, start, now = time(NULL), leeway = pc_or(jwt->leeway_seconds, 60);
  *refusal = pc_refused(jwt, PC_TEXT("the claim exp, iat or nbf is not a number of seconds since 1970"), PC_NOT_ACCEPTED);
  if (!pc_date(claims->object, "exp", &expiry) || !pc_date(claims->object, "iat", &issued) || !pc_date(claims->object, "nbf", &start)) return false;
  *refusal = pc_refused(jwt, PC_TEXT("the claim exp is missing"), PC_NOT_ACCEPTED);
  if (expiry < 0) return false;
  // RFC 7519, section 4.1.4: not accepted "on or after" that time.
  if (now >= expiry + leeway) {
    pc_text reason = PC_JOIN(PC_TEXT("the token has expired: its exp was "), pc_decimal(now - expiry), PC_TEXT(" s ago"));
    *refusal = pc_refused(jwt, reason, "The token has expired");
    return false;
  }
  if (start > now + leeway || issued > now + leeway) {
    bool is_start = start > now + leeway;
    pc_text wait = pc_decimal((is_start ? start : issued) - now);
    pc_text reason = PC_JOIN(PC_TEXT("the token is not valid yet: its "), is_start ? PC_TEXT("nbf") : PC_TEXT("iat"), PC_TEXT(" is in "), wait, PC_TEXT(" s"));
    *refusal = pc_refused(jwt, reason, "The token is not valid yet");
    return false;
  }
  int64_t remaining = expiry > now ? expiry - now : 0;
  claims->remaining = remaining > UINT32_MAX ? UINT32_MAX : (uint32_t)remaining;
  return true;
}

static inline pc_text pc_kind_of(pc_text typ) {
  return pc_starts(typ, "application/") ? (pc_text){typ.start + 12, typ.size - 12} : typ;
}

// Verifies a token from another place than the header Authorization, such as a cookie. Without a valid one, it writes the refusal.
static inline bool pc_claims_of(const pc_jwt *jwt, pc_text token, pc_claims *claims, pc_decision *refusal) {
  pc_jws jws = {0};
  if (token.size > PC_MAX_TOKEN) {
    *refusal = pc_malformed(jwt, "The token is too long");
    return false;
  }
  if (!pc_parse_token(jwt, token, &jws, refusal)) return false;
  pc_json *object = pc_read_json(jws.payload);
  *refusal = pc_refused(jwt, PC_TEXT("the token has a payload that is not a JSON object"), PC_NOT_ACCEPTED);
  if (object == NULL || object->kind != PC_JSON_OBJECT) return false;
  pc_json *issuer = pc_member(object, PC_TEXT("iss"));
  *refusal = pc_refused(jwt, PC_TEXT("the token has an iss that is not one string"), PC_NOT_ACCEPTED);
  if (issuer != NULL && (issuer->is_twice || (issuer->kind != PC_JSON_TEXT && issuer->kind != PC_JSON_NULL))) return false;
  pc_text reason = PC_JOIN(PC_TEXT("the issuer of the token is "), pc_shown(issuer), PC_TEXT(", and must be "), pc_quoted(jwt->issuer));
  *refusal = pc_refused(jwt, reason, "The issuer of the token is not known here");
  if (pc_is_absent(issuer) || !pc_same(issuer->text, jwt->issuer)) return false;
  pc_text kind = pc_kind_of(jws.typ);
  bool is_accepted = jws.typ.start == NULL || (kind.size == 3 && pc_starts(kind, "jwt")) || (kind.size == 6 && pc_starts(kind, "at+jwt")) ||
                     (kind.size == 4 && pc_starts(kind, "jose"));
  reason = PC_JOIN(PC_TEXT("the type of the token (typ) is "), pc_quoted(jws.typ), PC_TEXT(", and must be one of \"JWT\", \"at+jwt\", \"JOSE\""));
  *refusal = pc_refused(jwt, reason, PC_NOT_ACCEPTED);
  if (!is_accepted) return false;
  *refusal = pc_refused(jwt, PC_TEXT("the token is signed with a shared secret"), PC_NOT_ACCEPTED);
  if (jws.algorithm >= PC_HS256) return false;
  if (!pc_verify_jws(jwt, &jws, refusal)) return false;
  *refusal = pc_refused(jwt, PC_TEXT("the token has a payload that is not a JSON object with distinct names"), PC_NOT_ACCEPTED);
  if (object->has_twice) return false;
  claims->object = object;
  return pc_check_claims(jwt, claims, refusal);
}

// Verifies the token in "Authorization: Bearer". Without a valid one, it writes the refusal that fits.
static inline bool pc_token(pc_request request, const pc_jwt *jwt, pc_claims *claims, pc_decision *refusal) {
  pc_texts values = pc_header(request, "authorization");
  pc_text token = {0};
  int tokens = 0;
  for (size_t i = 0; i < values.size; i++) {
    const char *at = values.start[i].start, *end = at + values.start[i].size;
    while (at < end && (*at == ' ' || *at == '\t')) at++;
    while (end > at && (end[-1] == ' ' || end[-1] == '\t')) end--;
    if (!pc_starts((pc_text){at, end - at}, "bearer") || (end - at > 6 && at[6] != ' ')) continue;
    for (at += 6; at < end && (*at == ' ' || *at == '\t');) at++;
    token = (pc_text){at, end - at};
    tokens++;
  }
  if (tokens == 0) {
    *refusal = pc_bearer_error(jwt, PC_NOT_MINE, NULL, (pc_text){0}, NULL);
    return false;
  }
  if (values.size > 1) {
    *refusal = pc_malformed(jwt, "The request has more than one token");
    return false;
  }
  bool is_good = token.size > 0;
  for (size_t i = 0; i < token.size; i++) is_good &= pc_base64_digit(token.start[i]) >= 0 || (token.start[i] != 0 && strchr(".~+/=", token.start[i]) != NULL);
  if (!is_good) {
    *refusal = pc_malformed(jwt, "The token is empty or contains invalid characters");
    return false;
  }
  return pc_claims_of(jwt, token, claims, refusal);
}

// Claims

static inline bool pc_has_control(pc_text text) {
  for (size_t i = 0; i < text.size; i++) {
    unsigned char c = text.start[i];
    if (c < ' ' || c == 0x7F) return true;
    // U+0080 to U+009F
    if (c == 0xC2 && i + 1 < text.size && (unsigned char)text.start[i + 1] < 0xA0) return true;
  }
  return false;
}

// A text, a whole number, or the first of a list. An empty text without a start if it is none.
static inline pc_text pc_name_of(const pc_json *value) {
  if (value != NULL && value->kind == PC_JSON_LIST && value->first != NULL) value = value->first;
  if (value != NULL && value->kind == PC_JSON_TEXT) return value->text;
  if (value == NULL || value->kind != PC_JSON_NUMBER || pc_is(value->text, "-0")) return (pc_text){0};
  for (size_t i = 0; i < value->text.size; i++) {
    if (!pc_is_digit(value->text.start[i]) && (i > 0 || value->text.start[i] != '-')) return (pc_text){0};
  }
  bool fits = value->number >= -9223372036854775808.0 && value->number < 18446744073709551616.0;
  return fits ? value->text : (pc_text){0};
}

static inline pc_decision pc_bad_claim(pc_text path, const char *why) {
  return pc_unauthenticated(PC_JOIN(PC_TEXT("the claim "), path, {why, strlen(why)}), NULL);
}

// The claim as the user's name: text, a whole number, or the first of a list. Without one, it writes the refusal.
static inline bool pc_claim_name(const pc_claims *claims, pc_text path, pc_text *name, pc_decision *refusal) {
  const pc_json *value = pc_find(claims, path);
  *refusal = pc_bad_claim(path, value == NULL ? " is missing" : " is not a name: text of 1 to 256 bytes without control characters");
  *name = pc_name_of(value);
  return name->size >= 1 && name->size <= 256 && !pc_has_control(*name);
}

// The claim as groups: a text, the items of a list, or the names in an object. What isn't text, is empty or too long is left out. A
// control character is refused.
static inline bool pc_claim_groups(const pc_claims *claims, pc_text path, pc_texts *groups, pc_decision *refusal) {
  const pc_json *value = pc_find(claims, path);
  bool has_many = value != NULL && (value->kind == PC_JSON_LIST || value->kind == PC_JSON_OBJECT);
  size_t most = has_many ? value->size : 1;
  pc_text *found = pc_allocate((most + 1) * sizeof(pc_text));
  *groups = (pc_texts){found, 0};
  *refusal = pc_bad_claim(path, " has a control character");
  for (const pc_json *item = has_many ? value->first : value; item != NULL; item = has_many ? item->next : NULL) {
    pc_text group = has_many && value->kind == PC_JSON_OBJECT ? item->name : pc_name_of(item);
    if (group.size == 0 || group.size > 1024) continue;
    if (pc_has_control(group)) return false;
    found[groups->size++] = group;
  }
  return true;
}

// The claim as the value of an attribute: text, a number, a boolean, or the first of a list. It is empty if the claim is anything
// else, or longer than 4 KiB. A control character is refused.
static inline bool pc_claim_text(const pc_claims *claims, pc_text path, pc_text *text, pc_decision *refusal) {
  const pc_json *value = pc_find(claims, path);
  if (value != NULL && value->kind == PC_JSON_LIST && value->first != NULL) value = value->first;
  *text = pc_name_of(value);
  if (value != NULL && value->kind == PC_JSON_NUMBER) *text = value->text;
  if (value != NULL && value->kind == PC_JSON_TRUE) *text = PC_TEXT("true");
  if (value != NULL && value->kind == PC_JSON_FALSE) *text = PC_TEXT("false");
  *refusal = pc_bad_claim(path, " has a control character");
  if (pc_has_control(*text)) return false;
  if (text->size > 4096) *text = (pc_text){0};
  return true;
}

#endif

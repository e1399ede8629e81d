// JSON Web Tokens for authenticators in Go: the keys of an issuer, the signature, which the gateway verifies, and the claims. Copy
// this file beside portcullis.go. It decides as the built-in jwt does.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Jwt verifies bearer tokens of one issuer (RFC 7519, RFC 6750). The key decides which algorithms it verifies, never the token;
// exp, iss and aud must be there; crit, none, HMAC and keys that a token brings along are refused.
type Jwt struct {
	// Issuer is that of the claim iss, exactly.
	Issuer string
	// Audiences has those of which the claim aud must name one.
	Audiences []string
	Keys      Keys
	// Algorithms are all for public keys if there are none.
	Algorithms []string
	// Types are what a token must state (RFC 8725, section 3.11). Without any, it may state one of those for access tokens.
	Types []string
	// Leeway is how much the clocks may differ. Zero for one minute, less for none.
	Leeway time.Duration
	// Realm is that of the challenge. "portcullis" if it is empty.
	Realm string
	// MaxToken is the longest token, in bytes. Zero for 16 KiB.
	MaxToken int
}

// Keys are the public ones that an issuer publishes as a JWK Set (RFC 7517). All instances share them by the cache. Whatever
// tokens arrive, they are fetched when Lifetime has passed or when no key verifies a token, and then not again for
// MinRefreshInterval. While the issuer can't be reached, they are used for StaleIfError more.
type Keys struct {
	URL string
	// Timeout is for one fetch. Zero for two seconds.
	Timeout time.Duration
	// Lifetime is zero for ten minutes.
	Lifetime time.Duration
	// MinRefreshInterval is zero for 30 seconds.
	MinRefreshInterval time.Duration
	// StaleIfError is zero for a day.
	StaleIfError time.Duration
	// InsecureHTTP allows a URL of http from another machine: whoever can change the answer decides who is let in.
	InsecureHTTP bool
}

// NewJwt fills in what isn't set. The error says what is wrong in the settings.
func NewJwt(jwt Jwt) (*Jwt, error) {
	if jwt.Issuer == "" {
		return nil, errors.New("issuer: it is empty")
	}
	if len(jwt.Audiences) == 0 || slices.Contains(jwt.Audiences, "") {
		return nil, errors.New("audiences: they are missing, or one of them is empty")
	}
	for i, name := range jwt.Algorithms {
		jwt.Algorithms[i] = jose(name)
		if !slices.Contains(publicKey, jose(name)) {
			return nil, fmt.Errorf("algorithms: must be some of %s", strings.Join(publicKey, ", "))
		}
	}
	if len(jwt.Algorithms) == 0 {
		jwt.Algorithms = publicKey
	}
	at, err := url.Parse(jwt.Keys.URL)
	if err != nil || at.Host == "" || at.User != nil || strings.Contains(jwt.Keys.URL, "#") || (at.Scheme != "https" && at.Scheme != "http") {
		return nil, errors.New("jwks_url: must be an https URL without a user name and a fragment")
	}
	if at.Scheme != "https" && !jwt.Keys.InsecureHTTP && !isLoopback(at.Hostname()) {
		return nil, errors.New("jwks_url: must be https, unless the server is on this machine")
	}
	standard(&jwt.Leeway, time.Minute)
	standard(&jwt.Realm, "portcullis")
	standard(&jwt.MaxToken, 16<<10)
	standard(&jwt.Keys.Timeout, 2*time.Second)
	standard(&jwt.Keys.Lifetime, 10*time.Minute)
	standard(&jwt.Keys.MinRefreshInterval, 30*time.Second)
	standard(&jwt.Keys.StaleIfError, 24*time.Hour)
	return &jwt, nil
}

func standard[T comparable](value *T, unset T) {
	var zero T
	if *value == zero {
		*value = unset
	}
}

func isLoopback(host string) bool {
	parts := strings.Split(host, ".")
	is127 := len(parts) == 4 && parts[0] == "127" && !strings.ContainsFunc(host, func(c rune) bool { return c != '.' && (c < '0' || c > '9') })
	return strings.EqualFold(host, "localhost") || host == "::1" || is127
}

// Claims are those of a verified token. A claim within a claim is written with dots: realm_access.roles.
type Claims struct {
	object *object
	// Remaining is how much longer the token is valid.
	Remaining time.Duration
}

// Claims are those of the token in "Authorization: Bearer". The error is the refusal that fits.
func (j *Jwt) Claims(request Request) (*Claims, error) {
	values, tokens := request.Header("authorization"), [][]byte{}
	for _, value := range values {
		value = bytes.Trim(value, " \t")
		if len(value) >= 6 && bytes.EqualFold(value[:6], []byte("bearer")) && (len(value) == 6 || value[6] == ' ') {
			tokens = append(tokens, bytes.Trim(value[6:], " \t"))
		}
	}
	if len(tokens) == 0 {
		return nil, NotMine(j.challenge())
	}
	if len(values) > 1 {
		return nil, j.malformed("The request has more than one token")
	}
	isOther := func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-._~+/=", c))
	}
	if len(tokens[0]) == 0 || bytes.ContainsFunc(tokens[0], isOther) {
		return nil, j.malformed("The token is empty or contains invalid characters")
	}
	return j.ClaimsOf(tokens[0])
}

// ClaimsOf are those of a token from another place, such as a cookie.
func (j *Jwt) ClaimsOf(token []byte) (*Claims, error) {
	if len(token) > j.MaxToken {
		return nil, j.malformed("The token is too long")
	}
	claims, err := j.verify(token)
	var problem *tokenError
	if errors.Is(err, errNotJws) {
		return nil, NotMine(j.challenge("error", "invalid_token", "error_description", "The token is not a signed JWT"))
	} else if errors.As(err, &problem) {
		return nil, Unauthenticated(problem.reason, j.challenge("error", "invalid_token", "error_description", problem.told))
	}
	return claims, err
}

func (j *Jwt) challenge(more ...string) *Challenge {
	parameters := []Attribute{{"realm", j.Realm}}
	for i := 0; i+1 < len(more); i += 2 {
		parameters = append(parameters, Attribute{more[i], more[i+1]})
	}
	return &Challenge{Scheme: "Bearer", Parameters: parameters}
}

func (j *Jwt) malformed(told string) *Refusal {
	return Unauthenticated("malformed request: "+told, j.challenge("error", "invalid_request", "error_description", told))
}

// Why a token is refused: what the operator's log says, and what the client is told (RFC 6750, section 3).
type tokenError struct{ reason, told string }

func (e *tokenError) Error() string { return e.reason }

func refused(reason string) error { return &tokenError{reason, "The token is not accepted here"} }

const signatureTold = "The signature of the token does not verify"

// The token has another format, so another authenticator may know it.
var errNotJws = errors.New("the token is not a signed JWT")

func (j *Jwt) verify(token []byte) (*Claims, error) {
	jws, err := parseToken(token)
	if err != nil {
		return nil, err
	}
	claims, err := readObject(jws.payload)
	if err != nil {
		return nil, refused("the token has a payload that is not a JSON object")
	}
	issuer, isText := claims.members["iss"].(string)
	if claims.twice["iss"] || (claims.members["iss"] != nil && !isText) {
		return nil, refused("the token has an iss that is not one string")
	}
	if issuer != j.Issuer {
		reason := fmt.Sprintf("the issuer of the token is %s, and must be %q", shown(claims.members["iss"]), j.Issuer)
		return nil, &tokenError{reason, "The issuer of the token is not known here"}
	}
	accepted := j.Types
	if len(accepted) == 0 {
		accepted = []string{"JWT", "at+jwt", "JOSE"}
	}
	isKind := func(one string) bool { return jws.typ != nil && kindOf(one) == kindOf(*jws.typ) }
	if (jws.typ == nil && len(j.Types) > 0) || (jws.typ != nil && !slices.ContainsFunc(accepted, isKind)) {
		var found any
		if jws.typ != nil {
			found = *jws.typ
		}
		return nil, refused(fmt.Sprintf("the type of the token (typ) is %s, and must be one of %s", shown(found), allQuoted(accepted)))
	}
	if !slices.Contains(j.Algorithms, jws.algorithm) {
		return nil, refused(fmt.Sprintf("the token is signed with %s, and may only use %s", jws.algorithm, strings.Join(j.Algorithms, ", ")))
	}
	if err := j.Keys.verify(jws); err != nil {
		return nil, err
	}
	if len(claims.twice) > 0 {
		return nil, refused("the token has a payload that is not a JSON object with distinct names")
	}
	if err := j.checkAudience(claims); err != nil {
		return nil, err
	}
	remaining, err := j.checkTimes(claims)
	return &Claims{claims, remaining}, err
}

// A value of a token for a log line.
func shown(value any) string {
	if value == nil {
		return "missing"
	}
	text, err := json.Marshal(value)
	if err != nil {
		return "of another type"
	}
	return strings.ToValidUTF8(string(text[:min(len(text), 150)]), "")
}

// The texts for a log line, of which the host cuts off what is too long.
func allQuoted(texts []string) string {
	quoted := []string{}
	for _, text := range texts[:min(len(texts), 20)] {
		quoted = append(quoted, shown(text))
	}
	return strings.Join(quoted, ", ")
}

func kindOf(typ string) string { return strings.TrimPrefix(strings.ToLower(typ), "application/") }

func (j *Jwt) checkAudience(claims *object) error {
	found := claims.find("aud")
	named, isList := found.([]any)
	if text, isText := found.(string); isText {
		named, isList = []any{text}, true
	}
	isNamed := false
	for _, audience := range named {
		text, isText := audience.(string)
		isList = isList && isText
		isNamed = isNamed || (isText && slices.Contains(j.Audiences, text))
	}
	if !isList {
		return refused("the claim aud is neither a string nor a list of strings")
	}
	if !isNamed {
		reason := fmt.Sprintf("the claim aud of the token is %s, and must name one of %s", shown(found), allQuoted(j.Audiences))
		return &tokenError{reason, "The token is for another audience"}
	}
	return nil
}

func (j *Jwt) checkTimes(claims *object) (time.Duration, error) {
	now, leeway := time.Now().Unix(), int64(max(0, j.Leeway)/time.Second)
	expiry, has, err := date(claims, "exp")
	if err != nil {
		return 0, err
	}
	if !has {
		return 0, refused("the claim exp is missing")
	}
	// RFC 7519, section 4.1.4: not accepted "on or after" that time.
	if now >= expiry+leeway {
		return 0, &tokenError{fmt.Sprintf("the token has expired: its exp was %d s ago", now-expiry), "The token has expired"}
	}
	for _, name := range []string{"nbf", "iat"} {
		since, has, err := date(claims, name)
		if err != nil {
			return 0, err
		}
		if has && since > now+leeway {
			return 0, &tokenError{fmt.Sprintf("the token is not valid yet: its %s is in %d s", name, since-now), "The token is not valid yet"}
		}
	}
	return time.Duration(max(0, expiry-now)) * time.Second, nil
}

// A NumericDate (RFC 7519, section 2) in whole seconds. Skipping one that is none would skip the check (CVE-2026-25537). After the
// year 9999 it is a mistake, such as milliseconds for seconds.
func date(claims *object, name string) (int64, bool, error) {
	value, has := claims.members[name]
	if !has {
		return 0, false, nil
	}
	number, isNumber := value.(json.Number)
	seconds, err := number.Float64()
	if !isNumber || err != nil || seconds < 0 || seconds > 253_402_300_799 {
		return 0, false, refused(fmt.Sprintf("the claim %s is not a number of seconds since 1970", name))
	}
	return int64(seconds), true, nil
}

// Find returns the claim at this path: nil, bool, string, json.Number, []any or what is read with dots. A claim whose own name has
// dots is found first.
func (c *Claims) Find(path string) any { return c.object.find(path) }

// Name is the claim as the user's name: text, a whole number, or the first of a list.
func (c *Claims) Name(path string) (string, error) {
	value := c.Find(path)
	if value == nil {
		return "", Unauthenticated("the claim "+path+" is missing", nil)
	}
	name, isName := nameOf(value)
	if !isName || len(name) == 0 || len(name) > 256 || hasControl(name) {
		return "", Unauthenticated("the claim "+path+" is not a name: text of 1 to 256 bytes without control characters", nil)
	}
	return name, nil
}

// Groups is the claim as groups: a text, the items of a list, or the names in an object. What isn't text, is empty or too long is
// left out.
func (c *Claims) Groups(path string) ([]string, error) {
	items := []any{c.Find(path)}
	switch value := items[0].(type) {
	case []any:
		items = value
	case *object:
		items = nil
		for _, name := range value.names {
			items = append(items, name)
		}
	}
	groups := []string{}
	for _, item := range items {
		group, isName := nameOf(item)
		if isName && hasControl(group) && len(group) <= 1024 {
			return nil, Unauthenticated("the claim "+path+" has a control character", nil)
		}
		if isName && len(group) > 0 && len(group) <= 1024 {
			groups = append(groups, group)
		}
	}
	return groups, nil
}

// Text is the claim as the value of an attribute: text, a number, a boolean, or the first of a list. It is empty if the claim is
// anything else, or longer than 4 KiB.
func (c *Claims) Text(path string) (string, error) {
	value := c.Find(path)
	if list, isList := value.([]any); isList && len(list) > 0 {
		value = list[0]
	}
	text, isName := nameOf(value)
	switch value := value.(type) {
	case bool:
		text, isName = strconv.FormatBool(value), true
	case json.Number:
		text, isName = value.String(), true
	}
	if isName && hasControl(text) {
		return "", Unauthenticated("the claim "+path+" has a control character", nil)
	}
	if !isName || len(text) > 4096 {
		return "", nil
	}
	return text, nil
}

// IsTrue says whether the claim is true, and not the text "true".
func (c *Claims) IsTrue(path string) bool { return c.Find(path) == true }

// Scopes are in scope, joined by spaces (RFC 8693, section 4.2), or in scp; either may be a list.
func (c *Claims) Scopes() []string {
	value, has := c.object.members["scope"]
	if !has {
		value = c.object.members["scp"]
	}
	if text, isText := value.(string); isText {
		return strings.Split(text, " ")
	}
	scopes := []string{}
	list, _ := value.([]any)
	for _, item := range list {
		if text, isText := item.(string); isText {
			scopes = append(scopes, text)
		}
	}
	return scopes
}

func nameOf(value any) (string, bool) {
	if list, isList := value.([]any); isList && len(list) > 0 {
		value = list[0]
	}
	switch value := value.(type) {
	case string:
		return value, true
	case json.Number:
		_, signed := strconv.ParseInt(value.String(), 10, 64)
		_, unsigned := strconv.ParseUint(value.String(), 10, 64)
		return value.String(), value != "-0" && (signed == nil || unsigned == nil)
	}
	return "", false
}

func hasControl(text string) bool {
	return strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c >= 0x7f && c < 0xa0 })
}

// Tokens and JSON

// A token, parsed and not verified (RFC 7515, section 7.1).
type jws struct {
	algorithm                   string
	kid, typ                    *string
	message, payload, signature []byte
}

// One of five parts is encrypted, and one whose first part is no JSON object has a format of its provider: both are left to other
// authenticators.
func parseToken(token []byte) (*jws, error) {
	parts := bytes.Split(token, []byte("."))
	if len(parts) != 3 {
		return nil, errNotJws
	}
	text, err := decode(string(parts[0]))
	if err != nil || !bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n\f"), []byte("{")) {
		return nil, errNotJws
	}
	header, err := readObject(text)
	if err != nil {
		return nil, refused("the token has a malformed header")
	}
	for _, name := range []string{"alg", "kid", "typ", "crit", "b64"} {
		if header.twice[name] {
			return nil, refused("the token has a malformed header")
		}
	}
	algorithm, err1 := header.text("alg")
	kid, err2 := header.text("kid")
	typ, err3 := header.text("typ")
	if err1 != nil || err2 != nil || err3 != nil || algorithm == nil {
		return nil, refused("the token has a malformed header")
	}
	// RFC 7515, section 4.1.11: extensions that must be understood. None is, nor an unencoded payload (RFC 7797).
	for _, extension := range []string{"crit", "b64"} {
		if _, has := header.members[extension]; has {
			return nil, refused(fmt.Sprintf("the token has a header that asks for an extension (%s)", extension))
		}
	}
	if _, isKnown := algorithms[jose(*algorithm)]; !isKnown {
		return nil, refused(fmt.Sprintf("the token is signed with %.150q, which is not supported", *algorithm))
	}
	payload, err1 := decode(string(parts[1]))
	signature, err2 := decode(string(parts[2]))
	if err1 != nil || err2 != nil {
		return nil, refused("the token has a part that is not base64url")
	}
	message := token[:len(parts[0])+1+len(parts[1])]
	return &jws{jose(*algorithm), kid, typ, message, payload, signature}, nil
}

func decode(text string) ([]byte, error) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, errors.New("a line break in base64url")
	}
	return base64.RawURLEncoding.Strict().DecodeString(text)
}

// A JSON object, its names in order, and those that occur more than once.
type object struct {
	members map[string]any
	names   []string
	twice   map[string]bool
}

// A text. nil if there is none.
func (o *object) text(name string) (*string, error) {
	switch value := o.members[name].(type) {
	case nil:
		return nil, nil
	case string:
		return &value, nil
	}
	return nil, errors.New(name + " is no text")
}

func (o *object) find(path string) any {
	if value := o.members[path]; value != nil {
		return value
	}
	var found any = o
	for _, name := range strings.Split(path, ".") {
		inside, isObject := found.(*object)
		if !isObject {
			return nil
		}
		found = inside.members[name]
	}
	return found
}

// The deepest that objects and lists are nested.
const maxDepth = 127

// Reads a JSON object as strictly as the built-in jwt does.
func readObject(text []byte) (*object, error) {
	if !utf8.Valid(text) || isTooDeep(text) || !json.Valid(text) || hasHalfCharacter(text) {
		return nil, errors.New("not JSON")
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	value, err := readValue(decoder, 0)
	read, isObject := value.(*object)
	if err != nil || !isObject {
		return nil, errors.New("not an object")
	}
	return read, nil
}

// Whether brackets are nested too deeply. The parser of some versions of Go calls itself for each, and the stack is small.
func isTooDeep(text []byte) bool {
	depth, isText := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case isText && c == '\\':
			i++
		case c == '"':
			isText = !isText
		case !isText && (c == '[' || c == '{'):
			depth++
		case !isText && (c == ']' || c == '}'):
			depth--
		}
		if depth > maxDepth {
			return true
		}
	}
	return false
}

func readValue(decoder *json.Decoder, depth int) (any, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	if number, isNumber := token.(json.Number); isNumber {
		_, err := number.Float64()
		return number, err
	}
	start, isDelimiter := token.(json.Delim)
	if !isDelimiter {
		return token, nil
	}
	if depth++; depth > maxDepth {
		return nil, errors.New("nested too deeply")
	}
	list, read := []any{}, &object{members: map[string]any{}, twice: map[string]bool{}}
	for decoder.More() {
		var name string
		if start == '{' {
			token, err := decoder.Token()
			if err != nil {
				return nil, err
			}
			name, _ = token.(string)
		}
		value, err := readValue(decoder, depth)
		if err != nil {
			return nil, err
		}
		if start == '[' {
			list = append(list, value)
			continue
		}
		if _, has := read.members[name]; has {
			read.twice[name] = true
		} else {
			read.names = append(read.names, name)
		}
		read.members[name] = value
	}
	if _, err := decoder.Token(); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if start == '[' {
		return list, nil
	}
	return read, nil
}

// Whether an escape stands for half a character, which no text for the gateway can have. The text is JSON.
func hasHalfCharacter(text []byte) bool {
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		i++
		if text[i] != 'u' {
			continue
		}
		unit, _ := strconv.ParseUint(string(text[i+1:i+5]), 16, 16)
		i += 4
		if unit>>10 == 0xdc00>>10 {
			return true
		}
		if unit>>10 != 0xd800>>10 {
			continue
		}
		if i+6 >= len(text) || text[i+1] != '\\' || text[i+2] != 'u' {
			return true
		}
		low, _ := strconv.ParseUint(string(text[i+3:i+7]), 16, 16)
		if low>>10 != 0xdc00>>10 {
			return true
		}
		i += 6
	}
	return false
}

// Keys

var algorithms = map[string]Algorithm{
	"RS256": RS256, "RS384": RS384, "RS512": RS512, "PS256": PS256, "PS384": PS384, "PS512": PS512, "ES256": ES256, "ES384": ES384,
	"ES512": ES512, "EdDSA": Ed25519, "HS256": HS256, "HS384": HS384, "HS512": HS512,
}

var (
	rsaKey    = []string{"PS256", "PS384", "PS512", "RS256", "RS384", "RS512"}
	publicKey = append([]string{"ES256", "ES384", "ES512", "EdDSA"}, rsaKey...)
)

type curve struct {
	algorithm string
	size      int
}

var curves = map[string]curve{"P-256": {"ES256", 32}, "P-384": {"ES384", 48}, "P-521": {"ES512", 66}}

// RFC 9864 names EdDSA by its curve.
func jose(name string) string {
	if name == "Ed25519" {
		return "EdDSA"
	}
	return name
}

// The members of a JWK that are kept.
type jwk map[string]string

// Keys, and the time when they were fetched, in seconds since 1970.
type snapshot struct {
	Fetched int64
	Keys    []jwk
}

// Refuses a token that no key signed. If newer keys could change that, it fetches them first.
func (k *Keys) verify(jws *jws) error {
	current, err := k.current()
	if err != nil {
		return err
	}
	if err = current.verify(jws); err == nil {
		return nil
	}
	if newer := k.newer(current); newer != nil {
		return newer.verify(jws)
	}
	return err
}

func (k *Keys) key(what string) string {
	sum := sha256.New()
	for _, part := range []string{what, "jwks", k.URL} {
		_ = binary.Write(sum, binary.LittleEndian, uint64(len(part)))
		sum.Write([]byte(part))
	}
	return hex.EncodeToString(sum.Sum(nil))
}

func (k *Keys) current() (*snapshot, error) {
	known := k.load()
	if known == nil {
		return k.fetchFirst()
	}
	if time.Since(time.Unix(known.Fetched, 0)) < k.Lifetime {
		return known, nil
	}
	if fetched := k.refresh(); fetched != nil {
		return fetched, nil
	}
	return known, nil
}

func (k *Keys) newer(tried *snapshot) *snapshot {
	newer := k.refresh()
	if newer == nil {
		// Another instance may be fetching them. For a token that is signed with a new key, it is worth waiting.
		await(k.key("refresh"), min(time.Second/2, k.Timeout))
		newer = k.load()
	}
	isSame := func(one, other jwk) bool { return fmt.Sprint(one) == fmt.Sprint(other) }
	if newer == nil || slices.EqualFunc(newer.Keys, tried.Keys, isSame) {
		return nil
	}
	return newer
}

func (k *Keys) refresh() *snapshot {
	if !CacheAdd(k.key("refresh"), []byte("pending"), k.MinRefreshInterval) {
		return nil
	}
	fetched, err := k.fetch()
	if err != nil {
		Log(Warn, "the keys can't be fetched, so the old ones are used: "+err.Error())
		CacheSet(k.key("refresh"), []byte("failed: "+err.Error()), k.MinRefreshInterval)
		return nil
	}
	CacheSet(k.key("refresh"), []byte("succeeded"), k.MinRefreshInterval)
	return fetched
}

func (k *Keys) fetchFirst() (*snapshot, error) {
	if !CacheAdd(k.key("first"), []byte("pending"), k.Timeout) {
		failed := await(k.key("first"), k.Timeout)
		if known := k.load(); known != nil && failed == "" {
			return known, nil
		}
		if failed == "" {
			failed = "another request is fetching the keys and has not received them"
		}
		return nil, Unavailable(failed)
	}
	// Another instance may have fetched them since.
	known := k.load()
	var err error
	if known == nil {
		known, err = k.fetch()
	}
	if err != nil {
		CacheSet(k.key("first"), []byte("failed: "+err.Error()), min(5*time.Second, k.MinRefreshInterval))
		return nil, Unavailable(err.Error())
	}
	CacheSet(k.key("refresh"), []byte("succeeded"), k.MinRefreshInterval)
	CacheDelete(k.key("first"))
	return known, nil
}

// Waits until the fetch that another instance marked under this key has ended. Returns why it failed, if it did.
func await(key string, limit time.Duration) string {
	for end := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		state, _ := CacheGet(key)
		if string(state) != "pending" || time.Now().After(end) {
			failed, _ := strings.CutPrefix(string(state), "failed: ")
			if failed == string(state) {
				return ""
			}
			return failed
		}
	}
}

func (k *Keys) fetch() (*snapshot, error) {
	headers := []Header{{"accept", []byte("application/json")}, {"cache-control", []byte("no-cache")}}
	end, at := time.Now().Add(k.Timeout), k.URL
	for redirects := 0; ; redirects++ {
		left := time.Until(end)
		if left < time.Millisecond {
			return nil, fmt.Errorf("%s: no complete answer in time", at)
		}
		response, err := Fetch(Call{URL: at, Headers: headers, Timeout: left, MaxBody: 256 << 10})
		if err != nil {
			return nil, err
		}
		if next := redirect(at, response); next != "" && redirects < 3 {
			at = next
			continue
		}
		if response.Status != 200 {
			return nil, fmt.Errorf("%s: it answered %d, not 200", k.URL, response.Status)
		}
		usable, err := usableKeys(response.Body)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k.URL, err)
		}
		fetched := &snapshot{time.Now().Unix(), usable}
		if stored, err := json.Marshal(fetched); err == nil {
			CacheSet(k.key("keys"), stored, k.Lifetime+k.StaleIfError)
		}
		return fetched, nil
	}
}

// The target of a redirect, if it is on the same server (RFC 9110, section 15.4).
func redirect(from string, response *Response) string {
	base, err := url.Parse(from)
	if err != nil || !slices.Contains([]int{301, 302, 303, 307, 308}, response.Status) {
		return ""
	}
	for _, header := range response.Headers {
		if header.Name == "location" {
			target, err := base.Parse(string(header.Value))
			if err != nil || target.Scheme != base.Scheme || !strings.EqualFold(target.Host, base.Host) || target.User != nil {
				return ""
			}
			target.Fragment = ""
			return target.String()
		}
	}
	return ""
}

func (k *Keys) load() *snapshot {
	var read snapshot
	stored, has := CacheGet(k.key("keys"))
	if !has || json.Unmarshal(stored, &read) != nil {
		return nil
	}
	return &read
}

// The keys of a JWK Set that verify signatures, without their other members.
func usableKeys(body []byte) ([]jwk, error) {
	var listed []any
	if read, err := readObject(body); err == nil {
		listed, _ = read.members["keys"].([]any)
	}
	if len(listed) == 0 {
		return nil, errors.New("it is not a JWK Set, an object with a list of keys, or has no keys")
	}
	if len(listed) > 1000 {
		return nil, fmt.Errorf("it has %d keys; at most 1000 are allowed", len(listed))
	}
	usable, problems := []jwk{}, []string{}
	for _, each := range listed {
		key, err := usableKey(each)
		if err != nil {
			problems = append(problems, "a key "+err.Error())
		} else {
			usable = append(usable, key)
		}
	}
	summary := fmt.Sprintf("%d of %d keys can't be used: %s", len(problems), len(listed), strings.Join(problems[:min(5, len(problems))], "; "))
	if len(usable) == 0 {
		return nil, errors.New(summary)
	}
	if len(problems) > 0 {
		Log(Info, summary)
	}
	return usable, nil
}

// Makes the numbers of a key as long as they must be (RFC 7518, section 6.2.1.2), as some providers don't.
func usableKey(value any) (jwk, error) {
	key, isObject := value.(*object)
	if !isObject {
		return nil, errors.New("is no JWK")
	}
	made := jwk{}
	for _, name := range []string{"kty", "kid", "alg", "use", "crv", "n", "e", "x", "y"} {
		text, err := key.text(name)
		if err != nil {
			return nil, errors.New("is no JWK")
		}
		if text != nil {
			made[name] = *text
		}
	}
	if use, has := made["use"]; has && use != "sig" {
		return nil, errors.New("is not for signatures (use)")
	}
	delete(made, "use")
	if operations := key.members["key_ops"]; operations != nil {
		list, _ := operations.([]any)
		if !slices.Contains(list, any("verify")) {
			return nil, errors.New("is not for verifying (key_ops)")
		}
	}
	if len(made["kid"]) > 256 {
		return nil, errors.New("has an id that is too long (kid)")
	}
	for _, name := range []string{"n", "e", "x", "y"} {
		if number, has := made[name]; has {
			made[name] = strings.TrimRight(number, "=")
		}
	}
	if curve, isKnown := curves[made["crv"]]; isKnown {
		for _, name := range []string{"x", "y"} {
			made[name] = withSize(made[name], curve.size)
		}
	}
	if len(made.algorithms()) == 0 {
		return nil, errors.New("is of a type, a curve, a size or an algorithm that is not supported (kty, crv, alg)")
	}
	return made, nil
}

func withSize(number string, size int) string {
	decoded, err := decode(number)
	if err != nil || len(decoded) == size {
		return number
	}
	decoded = bytes.TrimLeft(decoded, "\x00")
	filled := append(make([]byte, max(0, size-len(decoded))), decoded...)
	return base64.RawURLEncoding.EncodeToString(filled)
}

// The algorithms that a key verifies: its type and curve decide first, then alg (CVE-2026-39999, CVE-2026-22817). A shared secret
// in a published set is not secret, and verifies nothing.
func (k jwk) algorithms() []string {
	has := func(name string, least, most int) bool {
		return (least*4+2)/3 <= len(k[name]) && len(k[name]) <= (most*4+2)/3
	}
	var byType []string
	switch {
	case k["kty"] == "RSA" && has("n", 256, 1025) && has("e", 1, 8):
		byType = rsaKey
	case k["kty"] == "EC":
		if curve, isKnown := curves[k["crv"]]; isKnown && has("x", curve.size, curve.size) && has("y", curve.size, curve.size) {
			byType = []string{curve.algorithm}
		}
	case k["kty"] == "OKP" && k["crv"] == "Ed25519" && has("x", 32, 32):
		byType = []string{"EdDSA"}
	}
	if alg := k["alg"]; alg != "" {
		if !slices.Contains(byType, jose(alg)) {
			return nil
		}
		return []string{jose(alg)}
	}
	return byType
}

// Refuses a token that none of the keys signed. An id is compared with known ids and used for nothing else.
func (s *snapshot) verify(jws *jws) error {
	var named, unnamed []jwk
	for _, key := range s.Keys {
		kid, has := key["kid"]
		if jws.kid != nil && has && kid == *jws.kid {
			named = append(named, key)
		}
		if jws.kid == nil || !has {
			unnamed = append(unnamed, key)
		}
	}
	possible := named
	if len(named) == 0 {
		possible = unnamed
	}
	tried := 0
	for _, key := range possible {
		if !slices.Contains(key.algorithms(), jws.algorithm) || tried == 100 {
			continue
		}
		tried++
		text, err := json.Marshal(key)
		if err != nil {
			continue
		}
		isValid, err := Verify(algorithms[jws.algorithm], text, jws.message, jws.signature)
		if err != nil {
			Log(Warn, "a key can't be used: "+err.Error())
		}
		if isValid {
			return nil
		}
	}
	switch {
	case len(named) > 0 && tried == 0:
		var expected []string
		for _, key := range named {
			expected = append(expected, key.algorithms()...)
		}
		slices.Sort(expected)
		known := strings.Join(slices.Compact(expected), ", ")
		return refused(fmt.Sprintf("the token is signed with %s, but the key that it names is for %s", jws.algorithm, known))
	case jws.kid != nil && tried == 0:
		reason := "no key has the id " + shown(*jws.kid)
		var known []string
		for _, key := range s.Keys {
			if kid, has := key["kid"]; has {
				known = append(known, kid)
			}
		}
		if len(known) > 0 {
			reason += "; there are " + allQuoted(known)
		}
		return &tokenError{reason, signatureTold}
	}
	return &tokenError{"no key verifies the signature", signatureTold}
}

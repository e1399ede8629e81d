// What authenticators in Go share: settings and their schema, what is known of a request, credentials, refusals, requests to other
// servers, the cache, and signatures that the gateway verifies. Copy this file beside yours: it belongs to package main, because
// the compiler exports functions of that package, and it stands for generated bindings, which need a changed compiler.
package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"time"
	"unsafe"
)

// Plugin says who sent a request.
type Plugin interface {
	// Authenticate returns a grant, or a *Refusal. Another error is logged, and the gateway answers 503.
	Authenticate(request Request) (*Grant, error)
}

var (
	schemaText string
	newPlugin  func(settings []byte) (Plugin, error)
	plugin     Plugin
)

// Export makes a plugin of a function that gets the settings. Call it in init. The schema of the settings is made of the fields of S:
// of their types (string, Secret, bool, int64, []string, Duration), and of the tags json (the name), doc, default (in JSON;
// without one, the setting is required) and grant ("http" for a URL that must be granted, or "headers", "cookies", "query").
func Export[S any](create func(settings S) (Plugin, error)) {
	schemaText = schemaOf(reflect.TypeFor[S]())
	newPlugin = func(text []byte) (Plugin, error) {
		settings, err := readSettings[S](text)
		if err != nil {
			return nil, err
		}
		return create(settings)
	}
}

// Secret is a setting that isn't printed.
type Secret struct{ value string }

// Matches compares in a time that doesn't say where the first difference is.
func (s Secret) Matches(given []byte) bool {
	one, other := sha256.Sum256([]byte(s.value)), sha256.Sum256(given)
	return subtle.ConstantTimeCompare(one[:], other[:]) == 1
}

// Expose returns the secret, for a request to another server.
func (s Secret) Expose() string { return s.value }

func (s Secret) String() string   { return "(secret)" }
func (s Secret) GoString() string { return "(secret)" }

func (s *Secret) UnmarshalJSON(text []byte) error { return json.Unmarshal(text, &s.value) }

// Duration is a setting such as "150ms", "2s", "5m", "12h" or "1d".
type Duration struct{ time.Duration }

func (d *Duration) UnmarshalJSON(text []byte) error {
	var written string
	if err := json.Unmarshal(text, &written); err != nil {
		return err
	}
	factor := time.Duration(1)
	if days, isDays := strings.CutSuffix(written, "d"); isDays {
		written, factor = days+"h", 24
	}
	parsed, err := time.ParseDuration(written)
	d.Duration = parsed * factor
	return err
}

func schemaOf(settings reflect.Type) string {
	properties, required := map[string]any{}, []string{}
	for i := range settings.NumField() {
		field := settings.Field(i)
		name := field.Tag.Get("json")
		schema := typeSchema(field.Type)
		if doc, has := field.Tag.Lookup("doc"); has {
			schema["description"] = doc
		}
		if grant, has := field.Tag.Lookup("grant"); has {
			schema["x-portcullis-grant"] = grant
		}
		if standard, has := field.Tag.Lookup("default"); has {
			schema["default"] = json.RawMessage(standard)
		} else {
			required = append(required, name)
		}
		properties[name] = schema
	}
	object := map[string]any{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
	text, err := json.Marshal(object)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func typeSchema(of reflect.Type) map[string]any {
	switch of {
	case reflect.TypeFor[Secret]():
		return map[string]any{"type": "string", "minLength": 1, "writeOnly": true}
	case reflect.TypeFor[Duration]():
		return map[string]any{"type": "string", "pattern": "^[0-9]{1,6}(ms|s|m|h|d)$"}
	case reflect.TypeFor[string]():
		return map[string]any{"type": "string"}
	case reflect.TypeFor[bool]():
		return map[string]any{"type": "boolean"}
	case reflect.TypeFor[int64]():
		return map[string]any{"type": "integer"}
	case reflect.TypeFor[[]string]():
		return map[string]any{"type": "array", "items": map[string]any{"type": "string"}}
	}
	panic("a setting can't be a " + of.String())
}

// The gateway has checked them against the schema. The error of the parser isn't told, because it could quote a secret.
func readSettings[S any](text []byte) (S, error) {
	var settings S
	defaults := map[string]json.RawMessage{}
	for i := range reflect.TypeFor[S]().NumField() {
		tag := reflect.TypeFor[S]().Field(i).Tag
		if standard, has := tag.Lookup("default"); has {
			defaults[tag.Get("json")] = json.RawMessage(standard)
		}
	}
	if whole, err := json.Marshal(defaults); err != nil || json.Unmarshal(whole, &settings) != nil {
		return settings, errors.New("settings: a default has another type than its field")
	}
	if json.Unmarshal(text, &settings) != nil {
		return settings, errors.New("settings: can't be read")
	}
	return settings, nil
}

// Grant lets a request in.
type Grant struct {
	// User is the name, which must not be empty.
	User       string
	Groups     []string
	Admin      bool
	Attributes []Attribute
	// ValidFor is how long the decision may be reused. Zero if it may not be.
	ValidFor        time.Duration
	ResponseHeaders []Header
}

// Attribute is something else that is known of a user.
type Attribute struct{ Name, Value string }

// Header is a field of a request or a response.
type Header struct {
	Name  string
	Value []byte
}

// Challenge is one of WWW-Authenticate (RFC 9110, section 11.6.1).
type Challenge struct {
	Scheme     string
	Parameters []Attribute
}

// Refusal says why there is no user. The reason is for the operator's log.
type Refusal struct {
	variant   uint32
	reason    string
	challenge *Challenge
	status    int
	headers   []Header
	body      []byte
}

func (r *Refusal) Error() string { return r.reason }

// NotMine is for a request without credentials of this plugin's kind. The next authenticator is asked.
func NotMine(challenge *Challenge) *Refusal { return &Refusal{variant: 0, challenge: challenge} }

// Unauthenticated is for credentials that aren't valid.
func Unauthenticated(reason string, challenge *Challenge) *Refusal {
	return &Refusal{variant: 1, reason: reason, challenge: challenge}
}

// Forbidden is for a user who is known, and not allowed.
func Forbidden(reason string, challenge *Challenge) *Refusal {
	return &Refusal{variant: 2, reason: reason, challenge: challenge}
}

// Respond answers the client itself.
func Respond(status int, headers []Header, body []byte) *Refusal {
	return &Refusal{variant: 3, reason: fmt.Sprintf("it answers %d", status), status: status, headers: headers, body: body}
}

// Unavailable is for when the plugin can't decide now.
func Unavailable(reason string) *Refusal { return &Refusal{variant: 4, reason: reason} }

// Request is what the plugin may know of a request. Each method asks the gateway, which remembers what was read.
type Request struct{ handle int32 }

func (r Request) Method() string { return r.text(importMethod) }
func (r Request) Scheme() string { return r.text(importScheme) }
func (r Request) Path() string   { return r.text(importPath) }

// Authority returns the host and port that the client asked for.
func (r Request) Authority() (string, bool) { return r.option(importAuthority) }

// Query returns the granted parameters.
func (r Request) Query() (string, bool) { return r.option(importQuery) }

// ClientAddress returns the IP address of the client.
func (r Request) ClientAddress() (string, bool) { return r.option(importClientAddress) }

// Header returns all values of a header, in order. None if it is absent or not granted.
func (r Request) Header(name string) [][]byte { return r.values(importHeader, name) }

// Cookie returns all values of a cookie. If there are several, an attacker may have set one: refuse the request.
func (r Request) Cookie(name string) [][]byte { return r.values(importCookie, name) }

func (r Request) text(read func(int32, unsafe.Pointer)) string {
	defer release(used)
	var result [2]uint32
	read(r.handle, unsafe.Pointer(&result))
	return string(bytesAt(result[0], result[1]))
}

func (r Request) option(read func(int32, unsafe.Pointer)) (string, bool) {
	defer release(used)
	var result [3]uint32
	read(r.handle, unsafe.Pointer(&result))
	return string(bytesAt(result[1], result[2])), result[0]&0xff == 1
}

func (r Request) values(read func(int32, unsafe.Pointer, uint32, unsafe.Pointer), name string) [][]byte {
	defer release(used)
	var list [2]uint32
	read(r.handle, start(name), uint32(len(name)), unsafe.Pointer(&list))
	values := make([][]byte, 0, list[1])
	for i := range list[1] {
		value := (*[2]uint32)(at(list[0] + 8*i))
		values = append(values, bytesAt(value[0], value[1]))
	}
	return values
}

// Bearer returns the credentials of the header Authorization, if they are of the scheme Bearer (RFC 6750). Otherwise the error is
// the refusal with this challenge.
func Bearer(request Request, challenge *Challenge) ([]byte, error) {
	return ofScheme(request, "bearer", challenge)
}

// Basic returns user and password of the scheme Basic (RFC 7617). Otherwise the error is the refusal with this challenge.
func Basic(request Request, challenge *Challenge) (user, password string, err error) {
	encoded, err := ofScheme(request, "basic", challenge)
	if err != nil {
		return "", "", err
	}
	decoded, err := base64.StdEncoding.DecodeString(string(encoded))
	user, password, found := strings.Cut(string(decoded), ":")
	if err != nil || !found || strings.ContainsFunc(user+password, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", "", Unauthenticated("the credentials are malformed", challenge)
	}
	return user, password, nil
}

func ofScheme(request Request, scheme string, challenge *Challenge) ([]byte, error) {
	values := request.Header("authorization")
	if len(values) > 1 {
		return nil, Unauthenticated("there is more than one Authorization header", challenge)
	}
	if len(values) == 0 {
		return nil, NotMine(challenge)
	}
	name, credentials, _ := bytes.Cut(bytes.Trim(values[0], " \t"), []byte(" "))
	if !strings.EqualFold(string(name), scheme) {
		return nil, NotMine(challenge)
	}
	credentials = bytes.Trim(credentials, " \t")
	if len(credentials) == 0 || bytes.ContainsAny(credentials, " \t,") {
		return nil, Unauthenticated("the credentials are malformed", challenge)
	}
	return credentials, nil
}

// Call is a request to another server, which the operator must have granted.
type Call struct {
	// Method is GET if it is empty.
	Method  string
	URL     string
	Headers []Header
	Body    []byte
	// Timeout is for the whole exchange. Zero for 30 seconds, which is the most.
	Timeout time.Duration
	// MaxBody is the largest body of a response, in bytes. Zero for 128 KiB; there is room for 256 KiB.
	MaxBody uint32
}

// Response is a complete one. The names of its headers are in lower case.
type Response struct {
	Status  int
	Headers []Header
	Body    []byte
}

const defaultMaxBody = 128 << 10

// Fetch sends a request and waits for the response, whatever its status. Redirects aren't followed.
func Fetch(call Call) (*Response, error) {
	defer release(used)
	method := call.Method
	if method == "" {
		method = "GET"
	}
	headers, kept := fields(call.Headers)
	hasTimeout, maxBody := uint32(0), call.MaxBody
	if call.Timeout > 0 {
		hasTimeout = 1
	}
	if maxBody == 0 {
		maxBody = defaultMaxBody
	}
	var result [6]uint32
	importFetch(
		start(method), uint32(len(method)), start(call.URL), uint32(len(call.URL)),
		unsafe.Pointer(unsafe.SliceData(headers)), uint32(len(headers)),
		unsafe.Pointer(unsafe.SliceData(call.Body)), uint32(len(call.Body)),
		hasTimeout, uint32(call.Timeout.Milliseconds()), 1, maxBody, unsafe.Pointer(&result),
	)
	runtime.KeepAlive(kept)
	if result[0]&0xff == 1 {
		return nil, fmt.Errorf("%s: %s", call.URL, failure(result[1]&0xff, result[2], result[3]))
	}
	response := &Response{Status: int(result[1] & 0xffff), Body: bytesAt(result[4], result[5])}
	for i := range result[3] {
		field := (*[4]uint32)(at(result[2] + 16*i))
		name, value := string(bytesAt(field[0], field[1])), bytesAt(field[2], field[3])
		response.Headers = append(response.Headers, Header{Name: name, Value: value})
	}
	return response, nil
}

func failure(variant, one, two uint32) string {
	switch variant {
	case 0:
		return "the operator has not granted this server (grants.http)"
	case 1:
		return "the request can't be sent: " + string(bytesAt(one, two))
	case 2:
		return "a call may send 64 requests, and an authenticator may have 64 in flight"
	case 3:
		return "it did not answer in time"
	case 4:
		return fmt.Sprintf("its answer has more than %d bytes", one)
	case 5:
		return "the server can't be reached: " + string(bytesAt(one, two))
	}
	return "the answer can't be used: " + string(bytesAt(one, two))
}

// Algorithm is one of JOSE (RFC 7518, section 3.1).
type Algorithm uint32

// In the order of the contract.
const (
	RS256 Algorithm = iota
	RS384
	RS512
	PS256
	PS384
	PS512
	ES256
	ES384
	ES512
	Ed25519
	HS256
	HS384
	HS512
)

// Verify lets the gateway verify a signature with a key, a JWK as JSON (RFC 7517). The error says why the key can't be used.
func Verify(algorithm Algorithm, jwk, message, signature []byte) (bool, error) {
	defer release(used)
	var result [3]uint32
	importVerify(
		uint32(algorithm), unsafe.Pointer(unsafe.SliceData(jwk)), uint32(len(jwk)),
		unsafe.Pointer(unsafe.SliceData(message)), uint32(len(message)),
		unsafe.Pointer(unsafe.SliceData(signature)), uint32(len(signature)), unsafe.Pointer(&result),
	)
	return verified(result)
}

// VerifyPassword lets the gateway compare a password with a hash of bcrypt, Argon2 or scrypt.
func VerifyPassword(password []byte, hash string) (bool, error) {
	defer release(used)
	var result [3]uint32
	importVerifyPassword(
		unsafe.Pointer(unsafe.SliceData(password)), uint32(len(password)), start(hash), uint32(len(hash)), unsafe.Pointer(&result),
	)
	return verified(result)
}

func verified(result [3]uint32) (bool, error) {
	if result[0]&0xff == 1 {
		return false, errors.New(string(bytesAt(result[1], result[2])))
	}
	return result[1]&0xff == 1, nil
}

// CacheGet returns what an earlier call has stored. The key has at most 256 bytes; store a hash of a credential, never itself.
func CacheGet(key string) ([]byte, bool) {
	defer release(used)
	var result [3]uint32
	importCacheGet(start(key), uint32(len(key)), unsafe.Pointer(&result))
	return bytesAt(result[1], result[2]), result[0]&0xff == 1
}

// CacheSet stores a value for at most this time.
func CacheSet(key string, value []byte, lifetime time.Duration) {
	seconds := uint32(max(1, lifetime/time.Second))
	importCacheSet(start(key), uint32(len(key)), unsafe.Pointer(unsafe.SliceData(value)), uint32(len(value)), seconds)
}

// CacheAdd stores a value unless there is one, and says whether it did. If many instances need the same data, that one fetches it.
func CacheAdd(key string, value []byte, lifetime time.Duration) bool {
	seconds := uint32(max(1, lifetime/time.Second))
	return importCacheAdd(start(key), uint32(len(key)), unsafe.Pointer(unsafe.SliceData(value)), uint32(len(value)), seconds) != 0
}

// CacheDelete removes a value.
func CacheDelete(key string) { importCacheDelete(start(key), uint32(len(key))) }

// Level is how severe a line of the log is.
type Level uint32

const (
	Trace Level = iota
	Debug
	Info
	Warn
	Error
)

// Log writes a line to the gateway's log. Never log a credential.
func Log(level Level, message string) {
	importLog(uint32(level), nil, 0, start(message), uint32(len(message)))
}

// The canonical ABI of the component model, which says how values lie in memory:
// https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md

// What the gateway calls returns here. It reads it before it calls again. What it refers to stays in kept until then.
var (
	result [12]uint32
	kept   []any
)

func begin() {
	result, kept = [12]uint32{}, nil
}

func keep(text string) (uint32, uint32) {
	kept = append(kept, text)
	return address(start(text)), uint32(len(text))
}

func list[T any](items []T) (uint32, uint32) {
	kept = append(kept, items)
	return address(unsafe.Pointer(unsafe.SliceData(items))), uint32(len(items))
}

//go:wasmexport portcullis:auth/plugin@0.2.0#settings-schema
func exportSettingsSchema() unsafe.Pointer {
	begin()
	result[0], result[1] = keep(schemaText)
	return unsafe.Pointer(&result)
}

//go:wasmexport portcullis:auth/plugin@0.2.0#configure
func exportConfigure(text unsafe.Pointer, size uint32) unsafe.Pointer {
	settings := bytesAt(address(text), size)
	release(first)
	var err error
	plugin, err = newPlugin(settings)
	begin()
	if err != nil {
		result[0] = 1
		result[1], result[2] = keep(err.Error())
	}
	return unsafe.Pointer(&result)
}

//go:wasmexport portcullis:auth/authenticator@0.2.0#authenticate
func exportAuthenticate(handle int32) unsafe.Pointer {
	grant, err := plugin.Authenticate(Request{handle})
	importDrop(handle)
	release(first)
	begin()
	var refusal *Refusal
	if err != nil && !errors.As(err, &refusal) {
		Log(Error, err.Error())
		refusal = Unavailable(err.Error())
	} else if err == nil && grant == nil {
		refusal = Unavailable("the plugin returned neither a grant nor an error")
	}
	if refusal != nil {
		writeRefusal(refusal)
	} else {
		writeGrant(grant)
	}
	return unsafe.Pointer(&result)
}

func writeGrant(grant *Grant) {
	result[1], result[2] = keep(grant.User)
	groups := make([][2]uint32, len(grant.Groups))
	for i, group := range grant.Groups {
		groups[i][0], groups[i][1] = keep(group)
	}
	result[3], result[4] = list(groups)
	if grant.Admin {
		result[5] = 1
	}
	result[6], result[7] = list(pairs(grant.Attributes))
	if seconds := grant.ValidFor / time.Second; seconds > 0 {
		result[8], result[9] = 1, uint32(seconds)
	}
	headers, values := fields(grant.ResponseHeaders)
	kept = append(kept, values)
	result[10], result[11] = list(headers)
}

func writeRefusal(refusal *Refusal) {
	result[0], result[1] = 1, refusal.variant
	switch refusal.variant {
	case 0:
		writeChallenge(result[2:], refusal.challenge)
	case 1, 2:
		result[2], result[3] = keep(refusal.reason)
		writeChallenge(result[4:], refusal.challenge)
	case 3:
		headers, values := fields(refusal.headers)
		kept = append(kept, values)
		result[2] = uint32(refusal.status)
		result[3], result[4] = list(headers)
		result[5], result[6] = list(refusal.body)
	case 4:
		result[2], result[3] = keep(refusal.reason)
	}
}

func writeChallenge(to []uint32, challenge *Challenge) {
	if challenge == nil {
		return
	}
	to[0] = 1
	to[1], to[2] = keep(challenge.Scheme)
	to[3], to[4] = list(pairs(challenge.Parameters))
}

func pairs(attributes []Attribute) [][4]uint32 {
	list := make([][4]uint32, len(attributes))
	for i, attribute := range attributes {
		list[i][0], list[i][1] = keep(attribute.Name)
		list[i][2], list[i][3] = keep(attribute.Value)
	}
	return list
}

// Headers as the gateway reads them, and what they refer to, which must be kept as long.
func fields(headers []Header) ([][4]uint32, []any) {
	list, values := make([][4]uint32, len(headers)), []any{}
	for i, header := range headers {
		values = append(values, header.Name, header.Value)
		value := address(unsafe.Pointer(unsafe.SliceData(header.Value)))
		list[i] = [4]uint32{address(start(header.Name)), uint32(len(header.Name)), value, uint32(len(header.Value))}
	}
	return list, values
}

//go:wasmimport portcullis:auth/types@0.2.0 [method]request.method
func importMethod(request int32, result unsafe.Pointer)

//go:wasmimport portcullis:auth/types@0.2.0 [method]request.scheme
func importScheme(request int32, result unsafe.Pointer)

//go:wasmimport portcullis:auth/types@0.2.0 [method]request.path
func importPath(request int32, result unsafe.Pointer)

//go:wasmimport portcullis:auth/types@0.2.0 [method]request.authority
func importAuthority(request int32, result unsafe.Pointer)

//go:wasmimport portcullis:auth/types@0.2.0 [method]request.query
func importQuery(request int32, result unsafe.Pointer)

//go:wasmimport portcullis:auth/types@0.2.0 [method]request.client-address
func importClientAddress(request int32, result unsafe.Pointer)

//go:wasmimport portcullis:auth/types@0.2.0 [method]request.header
func importHeader(request int32, name unsafe.Pointer, size uint32, list unsafe.Pointer)

//go:wasmimport portcullis:auth/types@0.2.0 [method]request.cookie
func importCookie(request int32, name unsafe.Pointer, size uint32, list unsafe.Pointer)

//go:wasmimport portcullis:auth/types@0.2.0 [resource-drop]request
func importDrop(request int32)

//go:wasmimport portcullis:auth/outbound@0.2.0 fetch
func importFetch(
	method unsafe.Pointer, methodSize uint32, url unsafe.Pointer, urlSize uint32,
	headers unsafe.Pointer, headersSize uint32, body unsafe.Pointer, bodySize uint32,
	hasTimeout, timeout, hasMaxBody, maxBody uint32, result unsafe.Pointer,
)

//go:wasmimport portcullis:auth/crypto@0.2.0 verify
func importVerify(
	algorithm uint32, key unsafe.Pointer, keySize uint32, message unsafe.Pointer, messageSize uint32,
	signature unsafe.Pointer, signatureSize uint32, result unsafe.Pointer,
)

//go:wasmimport portcullis:auth/crypto@0.2.0 verify-password
func importVerifyPassword(password unsafe.Pointer, size uint32, hash unsafe.Pointer, hashSize uint32, result unsafe.Pointer)

//go:wasmimport portcullis:auth/cache@0.2.0 get
func importCacheGet(key unsafe.Pointer, size uint32, result unsafe.Pointer)

//go:wasmimport portcullis:auth/cache@0.2.0 set
func importCacheSet(key unsafe.Pointer, size uint32, value unsafe.Pointer, valueSize, seconds uint32)

//go:wasmimport portcullis:auth/cache@0.2.0 add
func importCacheAdd(key unsafe.Pointer, size uint32, value unsafe.Pointer, valueSize, seconds uint32) uint32

//go:wasmimport portcullis:auth/cache@0.2.0 delete
func importCacheDelete(key unsafe.Pointer, size uint32)

//go:wasmimport wasi:logging/logging@0.1.0-draft log
func importLog(level uint32, context unsafe.Pointer, contextSize uint32, message unsafe.Pointer, messageSize uint32)

// Where the gateway puts what it passes: headers, responses and their lists, and what the adapter of WASI needs. It is here and
// not on Go's heap, because the gateway may ask for it before Go's runtime has started, and because a collection of garbage
// would call the gateway, which is forbidden meanwhile. What the host returns is copied to the heap at once.
var (
	arena       [128 * 1024]uint64
	used, first uint32
)

func init() { first = used }

// Gives back what was taken since then.
func release(to uint32) { used = to }

//go:wasmexport cabi_realloc
func exportRealloc(old unsafe.Pointer, oldSize, align, size uint32) unsafe.Pointer {
	used = (used + align - 1) &^ (align - 1)
	if old != nil || size > uint32(unsafe.Sizeof(arena))-used {
		panic("what the gateway passes at once is too large")
	}
	pointer := unsafe.Add(unsafe.Pointer(&arena), used)
	used += size
	return pointer
}

// A pointer has 64 bits in Go and 32 bits in WebAssembly.
func address(pointer unsafe.Pointer) uint32 { return uint32(uintptr(pointer)) }

func at(address uint32) unsafe.Pointer { return unsafe.Pointer(uintptr(address)) }

func start(text string) unsafe.Pointer { return unsafe.Pointer(unsafe.StringData(text)) }

// A copy of what the gateway has put there.
func bytesAt(address, size uint32) []byte {
	if size == 0 {
		return nil
	}
	return append([]byte{}, unsafe.Slice((*byte)(at(address)), size)...)
}

// A library has no main function, but the compiler wants one.
func main() {}

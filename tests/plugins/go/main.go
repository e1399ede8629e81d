// Does what a Bearer token says, with what the helper module has for it.
package main

import (
	"errors"
	"fmt"
	"time"
)

type settings struct {
	URL     string   `json:"url" doc:"Where \"fetch\" goes." grant:"http"`
	Timeout Duration `json:"timeout" default:"\"1s\""`
	Groups  []string `json:"groups" default:"[]"`
	Secret  Secret   `json:"secret" default:"\"s\""`
	Count   int64    `json:"count" default:"3"`
	Loud    bool     `json:"loud" default:"false"`
}

type prober struct{ settings }

var challenge = &Challenge{Scheme: "Bearer", Parameters: []Attribute{{"realm", "prober"}}}

// HMAC-SHA256 of "message" under 32 times "k".
var (
	jwk       = []byte(`{"kty":"oct","k":"a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s"}`)
	signature = []byte{99, 163, 117, 184, 166, 43, 112, 37, 176, 176, 15, 176, 123, 113, 107, 68, 166, 8, 105, 43, 95, 246, 9, 227, 27, 220, 126, 34, 25, 84, 134, 70}
)

func init() {
	Export(func(settings settings) (Plugin, error) {
		if settings.Count < 0 {
			return nil, errors.New("settings.count: must not be negative")
		}
		return prober{settings}, nil
	})
}

func (p prober) Authenticate(request Request) (*Grant, error) {
	token, err := Bearer(request, challenge)
	if err != nil {
		return nil, err
	}
	switch string(token) {
	case "fetch":
		headers := []Header{{"x-a", []byte("1")}, {"x-b", []byte("2")}}
		response, err := Fetch(Call{Method: "POST", URL: p.URL, Headers: headers, Body: []byte("ping"), Timeout: p.Timeout.Duration})
		if err != nil {
			return nil, Unavailable(err.Error())
		}
		user := fmt.Sprintf("%d %s", response.Status, response.Body)
		return &Grant{User: user, Attributes: []Attribute{{"first", response.Headers[0].Name}}}, nil
	case "verify":
		good, err := Verify(HS256, jwk, []byte("message"), signature)
		bad, other := Verify(HS256, jwk, []byte("massage"), signature)
		_, broken := Verify(RS256, jwk, []byte("message"), signature)
		return &Grant{User: fmt.Sprint(good, bad, err == nil, other == nil, broken != nil)}, nil
	case "cache":
		before, found := CacheGet("k")
		CacheSet("k", []byte("v"), time.Minute)
		after, _ := CacheGet("k")
		return &Grant{User: fmt.Sprintf("%s%v %s", before, found, after)}, nil
	case "all":
		Log(Info, "asked for all")
		query, _ := request.Query()
		names := fmt.Sprintf("%s %s %s?%s %s", request.Method(), request.Scheme(), request.Path(), query, p.Secret)
		return &Grant{
			User: names, Groups: append([]string{"g"}, p.Groups...), Admin: true, ValidFor: time.Minute,
			Attributes:      []Attribute{{"secret", p.Secret.Expose()}, {"cookies", fmt.Sprintf("%s", request.Cookie("c"))}},
			ResponseHeaders: []Header{{"x-prober", []byte("yes")}},
		}, nil
	case "forbid":
		return nil, Forbidden("not this one", challenge)
	case "respond":
		return nil, Respond(303, []Header{{"location", []byte("/login")}}, []byte("go"))
	case "fail":
		return nil, errors.New("no refusal")
	case "panic":
		panic("requested by the test")
	}
	return nil, Unauthenticated("an unknown token", challenge)
}

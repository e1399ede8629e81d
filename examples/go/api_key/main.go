// An API key in a header.
package main

type settings struct {
	Key Secret `json:"key" doc:"What clients send in X-Api-Key."`
}

type apiKey struct{ key Secret }

func init() {
	Export(func(settings settings) (Plugin, error) { return apiKey{settings.Key}, nil })
}

func (plugin apiKey) Authenticate(request Request) (*Grant, error) {
	values := request.Header("x-api-key")
	if len(values) == 0 {
		return nil, NotMine(nil)
	}
	if len(values) > 1 || !plugin.key.Matches(values[0]) {
		return nil, Unauthenticated("wrong API key", nil)
	}
	return &Grant{User: "api"}, nil
}

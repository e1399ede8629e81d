// An API key in a header.
package main

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
)

const schema = `{
  "type": "object",
  "properties": {
    "key": { "type": "string", "minLength": 1, "writeOnly": true, "description": "What clients send in X-Api-Key." }
  },
  "required": ["key"],
  "additionalProperties": false
}`

var settings struct{ Key string }

func configure(text string) error {
	// The error of the parser could quote the key.
	if err := json.Unmarshal([]byte(text), &settings); err != nil || settings.Key == "" {
		return errors.New("settings.key: must be text that isn't empty")
	}
	return nil
}

func authenticate(request request) (string, *refusal) {
	values := request.header("x-api-key")
	if len(values) == 0 {
		return "", notMine()
	}
	given, expected := sha256.Sum256(values[0]), sha256.Sum256([]byte(settings.Key))
	if len(values) > 1 || subtle.ConstantTimeCompare(given[:], expected[:]) == 0 {
		return "", unauthenticated("wrong API key")
	}
	return "api", nil
}

// A library has no main function, but the compiler wants one.
func main() {}

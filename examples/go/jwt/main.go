// JSON Web Tokens of one issuer, whose keys are fetched by URL. A claim of the token is the user.
package main

type settings struct {
	Issuer             string   `json:"issuer" doc:"The issuer, exactly as in the claim iss of its tokens."`
	Audiences          []string `json:"audiences" doc:"The claim aud must name one of these."`
	JwksURL            string   `json:"jwks_url" doc:"The URL of the issuer's keys, a JWK Set." grant:"http"`
	UserClaim          string   `json:"user_claim" doc:"The claim that is the user's name." default:"\"sub\""`
	GroupsClaim        string   `json:"groups_claim" doc:"The claim that lists the user's groups." default:"\"\""`
	Timeout            Duration `json:"timeout" doc:"The time limit of fetching the keys." default:"\"2s\""`
	MinRefreshInterval Duration `json:"min_refresh_interval" doc:"The shortest time between two fetches." default:"\"30s\""`
	Reuse              Duration `json:"reuse" doc:"How long a decision may be reused, but never after the token's end." default:"\"5m\""`
}

type tokens struct {
	settings settings
	jwt      *Jwt
}

func init() {
	Export(func(settings settings) (Plugin, error) {
		keys := Keys{URL: settings.JwksURL, Timeout: settings.Timeout.Duration, MinRefreshInterval: settings.MinRefreshInterval.Duration}
		jwt, err := NewJwt(Jwt{Issuer: settings.Issuer, Audiences: settings.Audiences, Keys: keys})
		return tokens{settings, jwt}, err
	})
}

func (plugin tokens) Authenticate(request Request) (*Grant, error) {
	claims, err := plugin.jwt.Claims(request)
	if err != nil {
		return nil, err
	}
	grant := &Grant{ValidFor: min(claims.Remaining, plugin.settings.Reuse.Duration)}
	if grant.User, err = claims.Name(plugin.settings.UserClaim); err != nil {
		return nil, err
	}
	if plugin.settings.GroupsClaim != "" {
		if grant.Groups, err = claims.Groups(plugin.settings.GroupsClaim); err != nil {
			return nil, err
		}
	}
	email, err := claims.Text("email")
	if email != "" {
		grant.Attributes = []Attribute{{"email", email}}
	} else {
		Log(Debug, "the token has no email")
	}
	return grant, err
}

// JSON Web Tokens of one issuer, whose keys are fetched by URL. A claim of the token is the user.
// @ts-check

import { Jwks, Jwt, duration, exported, grant, list, log, text } from "./portcullis.js";

const SETTINGS = {
  issuer: text("The issuer, exactly as in the claim `iss` of its tokens."),
  audiences: list(text(), "The claim `aud` must name one of these."),
  jwks_url: text("The URL of the issuer's keys, a JWK Set.", { grant: "http" }),
  user_claim: text("The claim that is the user's name.", { default: "sub" }),
  groups_claim: text("The claim that lists the user's groups.", { optional: true }),
  timeout: duration("The time limit of fetching the keys.", { default: "2s", requests: 1 }),
  min_refresh_interval: duration("The shortest time between two fetches.", { default: "30s" }),
  reuse: duration("How long a decision may be reused, but never after the token's end.", { default: "5m" }),
};

class Tokens {
  /** @param {import("./portcullis.js").SettingsOf<typeof SETTINGS>} settings */
  constructor(settings) {
    this.settings = settings;
    const { issuer, audiences, jwks_url, timeout, min_refresh_interval } = settings;
    const keys = new Jwks(jwks_url, { timeout, minRefreshInterval: min_refresh_interval });
    this.jwt = new Jwt({ issuer, audiences, keys });
  }

  /** @param {import("./portcullis.js").Request} request */
  async authenticate(request) {
    const { user_claim, groups_claim, reuse } = this.settings;
    const claims = await this.jwt.claims(request);
    const email = claims.text("email");
    if (email === undefined) log("debug", "the token has no email");
    return grant(claims.name(user_claim), {
      groups: groups_claim === undefined ? [] : claims.groups(groups_claim),
      attributes: email === undefined ? {} : { email },
      validFor: Math.min(claims.remaining, reuse),
    });
  }
}

export const { plugin, authenticator } = exported(Tokens, SETTINGS);

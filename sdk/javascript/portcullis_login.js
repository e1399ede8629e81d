// What plugins in JavaScript share that log people in with a browser, at a provider that speaks OAuth 2.0.
//
// Copy this file and portcullis_login.d.ts beside your `app.js` and portcullis.js, and build with the world `login-plugin`. It
// decides as the module `oauth` of the Rust SDK does.

import { HttpError, exported, fetch, notMine, unauthenticated, unavailable } from "./portcullis.js";

const MAX_KEEP = 2048; // the most bytes that a session keeps for its plugin

export class LoginPlugin {
  authenticate() {
    throw notMine();
  }

  renew() {
    throw notMine();
  }

  end() {
    return undefined;
  }

  notice() {
    throw unauthenticated("it accepts no notices");
  }
}

export function exportedLogin(Plugin, settings) {
  let configured;
  class Kept extends Plugin {
    constructor(read) {
      super(read);
      configured = this;
    }
  }
  const call = async (name, ...given) => {
    try {
      return await configured[name](...given);
    } catch (error) {
      // componentize-js loses where an `Error` was thrown. What isn't a refusal ends the call.
      if (error instanceof Error) console.error(`${error}\n${error.stack}`);
      throw error;
    }
  };
  return {
    ...exported(Kept, settings),
    login: {
      begin: (flow) => call("begin", flow),
      finish: async (flow, memo, parameters) => bounded(await call("finish", flow, memo, new Map(parameters))),
      renew: async (keep) => bounded(await call("renew", keep)),
      end: (keep, returnTo) => call("end", keep, returnTo),
      notice: (parameters) => call("notice", new Map(parameters)),
    },
  };
}

export const departure = (location, memo = new Uint8Array()) => ({ location, memo });

export function arrival(user, { renewAfter, keep, handles = [] }) {
  const validFor = Math.max(1, Math.min(Math.trunc(renewAfter), 0xffffffff));
  const kept = typeof keep === "string" ? new TextEncoder().encode(keep) : keep;
  return { grant: { ...user, validFor }, keep: kept, handles };
}

// What a provider gives can be larger than a cookie, which is no failure of the plugin.
function bounded(arrived) {
  const size = arrived.keep?.length ?? 0;
  if (size > MAX_KEEP) throw unavailable(`the session would keep ${size} bytes, and has room for ${MAX_KEEP}`);
  return arrived;
}

export class OAuth {
  constructor({ authorizeUrl, tokenUrl, clientId, clientSecret, scope, issuer, timeout = 2, secretInForm = false }) {
    Object.assign(this, { authorizeUrl, tokenUrl, clientId, clientSecret, scope, issuer, timeout, secretInForm });
  }

  async begin(flow, parameters = {}) {
    const verifier = base64url(crypto.getRandomValues(new Uint8Array(32)));
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
    const asked = {
      response_type: "code",
      client_id: this.clientId,
      redirect_uri: flow.redirectUri,
      state: flow.state,
      code_challenge: base64url(new Uint8Array(digest)),
      code_challenge_method: "S256",
      ...(this.scope === undefined ? {} : { scope: this.scope }),
      ...(flow.silent ? { prompt: "none" } : {}),
      ...parameters,
    };
    const joint = this.authorizeUrl.includes("?") ? "&" : "?";
    return departure(`${this.authorizeUrl}${joint}${new URLSearchParams(asked)}`, new TextEncoder().encode(verifier));
  }

  async finish(flow, memo, parameters) {
    // Who says it, before what is said.
    if (this.issuer !== undefined && parameters.get("iss") !== this.issuer) {
      throw unauthenticated("the answer is not of the expected issuer (iss)");
    }
    if (parameters.has("error")) throw refusal(parameters.get("error"), parameters.get("error_description"));
    const code = parameters.get("code");
    if (!code) throw unauthenticated("the answer has neither a code nor an error");
    const verifier = String.fromCharCode(...memo.subarray(0, 64));
    if (!/^[A-Za-z0-9_-]{43}$/.test(verifier)) {
      throw unauthenticated("the attempt was begun by another version of this plugin");
    }
    return this.#exchange({
      grant_type: "authorization_code",
      code,
      redirect_uri: flow.redirectUri,
      code_verifier: verifier,
    });
  }

  refresh(refreshToken) {
    return this.#exchange({ grant_type: "refresh_token", refresh_token: refreshToken });
  }

  async #exchange(form) {
    const headers = [["accept", "application/json"], ["content-type", "application/x-www-form-urlencoded"]];
    const secret = this.clientSecret?.expose();
    const sent = new URLSearchParams(form);
    if (secret === undefined || this.secretInForm) sent.set("client_id", this.clientId);
    if (secret !== undefined && this.secretInForm) sent.set("client_secret", secret);
    if (secret !== undefined && !this.secretInForm) {
      // Both are form-encoded first (RFC 6749, section 2.3.1).
      const [id, encoded] = [this.clientId, secret].map((text) => new URLSearchParams({ _: text }).toString().slice(2));
      headers.push(["authorization", `Basic ${btoa(`${id}:${encoded}`)}`]);
    }
    let answer;
    try {
      answer = fetch(this.tokenUrl, {
        method: "POST",
        headers,
        body: new TextEncoder().encode(sent.toString()),
        timeout: this.timeout,
      });
    } catch (error) {
      if (error instanceof HttpError) throw unavailable(`${this.tokenUrl}: ${error.message}`);
      throw error;
    }
    const said = object(answer.body);
    // Some providers say errors with the status 200.
    if (typeof said.error === "string") {
      throw refusal(said.error, typeof said.error_description === "string" ? said.error_description : undefined);
    }
    if (answer.status !== 200) throw unavailable(`${this.tokenUrl} answered with status ${answer.status}`);
    if (typeof said.access_token !== "string") {
      throw unavailable(`the answer of ${this.tokenUrl} has no access_token as JSON`);
    }
    return said;
  }
}

// What a provider's error means (RFC 6749, sections 4.1.2.1 and 5.2).
function refusal(error, description) {
  const asks = ["login_required", "interaction_required", "consent_required", "account_selection_required"];
  if (asks.includes(error)) return notMine();
  const said = description === undefined ? "" : `: ${JSON.stringify(description.slice(0, 200))}`;
  const why = `the provider answered ${JSON.stringify(error.slice(0, 200))}${said}`;
  // The last one is GitHub's name for `invalid_grant`.
  const denied = ["access_denied", "invalid_grant", "bad_verification_code"];
  return denied.includes(error) ? unauthenticated(why) : unavailable(why);
}

function object(body) {
  try {
    const read = JSON.parse(new TextDecoder().decode(body));
    return read !== null && typeof read === "object" && !Array.isArray(read) ? read : {};
  } catch {
    return {};
  }
}

const base64url = (bytes) =>
  btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

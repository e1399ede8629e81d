// Login at GitHub, which speaks OAuth 2.0 and not OpenID Connect: its API says whose a token is.
// @ts-check

import { HttpError, SettingsError, fetch, forbidden, grant, secret, text, unauthenticated, unavailable } from "./portcullis.js";
import { LoginPlugin, OAuth, arrival, exportedLogin } from "./portcullis_login.js";

const SETTINGS = {
  client_id: text("The id of the OAuth app."),
  client_secret: secret("Its secret."),
  organization: text("The organization whose members may log in."),
};

/** How many seconds GitHub may take to answer. A login asks three times, within the deadline of 5 seconds. */
const TIMEOUT = 1.5;

class GitHub extends LoginPlugin {
  /** @param {import("./portcullis.js").SettingsOf<typeof SETTINGS>} settings */
  constructor(settings) {
    super();
    // It becomes a part of a URL.
    if (!/^[A-Za-z0-9-]+$/.test(settings.organization)) {
      throw new SettingsError("organization: expected letters, digits and hyphens, as in its address at GitHub");
    }
    this.organization = settings.organization;
    const site = "https://github.com/login/oauth";
    this.oauth = new OAuth({
      authorizeUrl: `${site}/authorize`,
      tokenUrl: `${site}/access_token`,
      clientId: settings.client_id,
      clientSecret: settings.client_secret,
      scope: "read:org",
      timeout: TIMEOUT,
    });
  }

  /** @param {import("./portcullis_login.js").Flow} flow */
  begin(flow) {
    return this.oauth.begin(flow);
  }

  /**
   * @param {import("./portcullis_login.js").Flow} flow
   * @param {Uint8Array} memo
   * @param {Map<string, string>} parameters
   */
  async finish(flow, memo, parameters) {
    const tokens = await this.oauth.finish(flow, memo, parameters);
    return this.arrival(tokens.access_token);
  }

  /** @param {Uint8Array} keep */
  renew(keep) {
    return this.arrival(new TextDecoder().decode(keep));
  }

  /** @param {string} token */
  arrival(token) {
    const { id, login } = ask("/user", token);
    // The number stays the same; the login can become somebody else's.
    if (!Number.isSafeInteger(id) || typeof login !== "string") throw unavailable("GitHub doesn't say who it is");
    const { state } = ask(`/user/memberships/orgs/${this.organization}`, token);
    if (state !== "active") throw forbidden(`${login} is no member of ${this.organization}`);
    return arrival(grant(String(id), { attributes: { login } }), { renewAfter: 300, keep: token });
  }
}

/**
 * What GitHub says of the owner of a token; nothing if it has no such thing, or doesn't say it to this app.
 * @param {string} path
 * @param {string} token
 * @returns {Record<string, unknown>}
 */
function ask(path, token) {
  let answer, read;
  try {
    answer = fetch(`https://api.github.com${path}`, {
      headers: [["accept", "application/vnd.github+json"], ["authorization", `Bearer ${token}`], ["user-agent", "portcullis"]],
      timeout: TIMEOUT,
    });
    read = answer.status === 200 ? JSON.parse(new TextDecoder().decode(answer.body)) : {};
  } catch (error) {
    if (error instanceof HttpError || error instanceof SyntaxError) throw unavailable(`GitHub: ${path}: ${error.message}`);
    throw error;
  }
  if (answer.status === 401) throw unauthenticated("GitHub doesn't know the token any more");
  if (![200, 403, 404].includes(answer.status)) throw unavailable(`GitHub: ${path}: status ${answer.status}`);
  return read !== null && typeof read === "object" ? read : {};
}

export const { plugin, authenticator, login } = exportedLogin(GitHub, SETTINGS);

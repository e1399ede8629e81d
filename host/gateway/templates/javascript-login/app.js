// Logs people in at a provider that speaks OAuth 2.0 and has an API that says whose a token is.
// @ts-check

import { HttpError, fetch, grant, secret, text, unauthenticated, unavailable } from "./portcullis.js";
import { LoginPlugin, OAuth, arrival, exportedLogin } from "./portcullis_login.js";

const SETTINGS = {
  authorize_url: text("Where browsers are sent to log in.", { grant: "login" }),
  token_url: text("Where the code that a browser brings back is exchanged for a token.", { grant: "http" }),
  user_url: text("Who owns a token: an API that answers with JSON.", { grant: "http" }),
  user_member: text("The member of this JSON that is the user's name. Choose one that never passes to somebody else."),
  client_id: text("Who the gateway is at the provider."),
  client_secret: secret("Its secret there."),
};

/** How many seconds the provider may take to answer. A login asks twice, within the deadline of 5 seconds. */
const TIMEOUT = 2;

class MyPlugin extends LoginPlugin {
  /** @param {import("./portcullis.js").SettingsOf<typeof SETTINGS>} settings */
  constructor(settings) {
    super();
    this.settings = settings;
    this.oauth = new OAuth({
      authorizeUrl: settings.authorize_url,
      tokenUrl: settings.token_url,
      clientId: settings.client_id,
      clientSecret: settings.client_secret,
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

  /**
   * The owner of a token, which the session keeps.
   * @param {string} token
   */
  arrival(token) {
    const found = this.owner(token);
    const name = found !== null && typeof found === "object" ? found[this.settings.user_member] : undefined;
    if (typeof name !== "string") throw unavailable("the provider's API names no user (settings: user_member)");
    return arrival(grant(name), { renewAfter: 300, keep: token });
  }

  /** @param {string} token */
  owner(token) {
    try {
      const answer = fetch(this.settings.user_url, {
        headers: [["accept", "application/json"], ["authorization", `Bearer ${token}`]],
        timeout: TIMEOUT,
      });
      if (answer.status === 401) throw unauthenticated("the provider doesn't know the token any more");
      if (answer.status !== 200) throw unavailable(`the provider's API answered with status ${answer.status}`);
      return JSON.parse(new TextDecoder().decode(answer.body));
    } catch (error) {
      if (error instanceof HttpError) throw unavailable(`the provider's API: ${error.message}`);
      if (error instanceof SyntaxError) throw unavailable("the provider's API didn't answer with JSON");
      throw error;
    }
  }
}

export const { plugin, authenticator, login } = exportedLogin(MyPlugin, SETTINGS);

// An API key in a header.
// @ts-check

import { exported, grant, notMine, secret, unauthenticated } from "./portcullis.js";

const SETTINGS = { key: secret("What clients send in `X-Api-Key`.") };

class ApiKey {
  /** @param {import("./portcullis.js").SettingsOf<typeof SETTINGS>} settings */
  constructor(settings) {
    this.key = settings.key;
  }

  /** @param {import("./portcullis.js").Request} request */
  authenticate(request) {
    const values = request.header("x-api-key");
    if (values.length === 0) throw notMine();
    if (values.length > 1 || !this.key.matches(values[0])) throw unauthenticated("wrong API key");
    return grant("api");
  }
}

export const { plugin, authenticator } = exported(ApiKey, SETTINGS);

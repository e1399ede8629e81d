// Everybody may read, and a group may write.
// @ts-check

import { forbidden, text } from "./portcullis.js";
import { AuthorizerPlugin, exportedAuthorizer, isIn, isSafe, permit } from "./portcullis_authorizer.js";

const SETTINGS = { group: text("Who may do more than read.") };

class MyPlugin extends AuthorizerPlugin {
  /** @param {import("./portcullis.js").SettingsOf<typeof SETTINGS>} settings */
  constructor(settings) {
    super();
    this.group = settings.group;
  }

  /**
   * @param {import("./portcullis.js").Request} request
   * @param {import("./portcullis_authorizer.js").Principal} principal
   */
  authorize(request, principal) {
    if (isIn(principal.user, this.group)) return permit({ attributes: { role: "editor" } });
    if (isSafe(request)) return permit();
    throw forbidden(`${principal.user.name} isn't in ${this.group}`);
  }
}

export const { plugin, authorizer } = exportedAuthorizer(MyPlugin, SETTINGS);

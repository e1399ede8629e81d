// What authorizers in JavaScript share: they say whether a user may make a request. portcullis_authorizer.d.ts has their types, and
// says what each part does.
//
// Copy both files beside your `app.js` and `portcullis.js`, and build with the world `authorizer-plugin`.

import { exported, forbidden } from "./portcullis.js";

export class AuthorizerPlugin {
  authorizeAnonymous() {
    throw forbidden("nobody is logged in");
  }
}

export function exportedAuthorizer(Plugin, settings) {
  let configured;
  class Kept extends Plugin {
    constructor(read) {
      super(read);
      configured = this;
    }
  }
  const { plugin } = exported(Kept, settings);
  return {
    plugin,
    authorizer: {
      async authorize(request, principal) {
        try {
          return await (principal ? configured.authorize(request, principal) : configured.authorizeAnonymous(request));
        } catch (error) {
          // componentize-js loses where an `Error` was thrown. What isn't a denial ends the call.
          if (error instanceof Error) console.error(`${error}\n${error.stack}`);
          throw error;
        }
      },
    },
  };
}

export const permit = ({ validFor, attributes = {} } = {}) => ({
  validFor: validFor === undefined ? undefined : Math.max(0, Math.min(Math.trunc(validFor), 0xffffffff)),
  attributes: Object.entries(attributes),
});

export const hidden = (reason) => ({ tag: "hidden", val: reason });

export const isSafe = (request) => ["GET", "HEAD", "OPTIONS", "TRACE"].includes(request.method());

export const isIn = (user, group) => user.groups.includes(group);

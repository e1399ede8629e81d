// An authenticator in JavaScript: whoever sends a badge that the settings list is that badge's holder, as long as the
// directory of the settings, a server, still knows them. Without a directory, the badge is enough.

import { log } from "wasi:logging/logging@0.1.0-draft";

const SCHEMA = {
  type: "object",
  properties: {
    badges: { type: "object", additionalProperties: { type: "string" } },
    directory: { type: "string" },
  },
  required: ["badges"],
  additionalProperties: false,
};
const challenge = { scheme: "Badge", parameters: [["realm", "javascript"]] };
let settings;

export const plugin = {
  settingsSchema() {
    return JSON.stringify(SCHEMA);
  },

  configure(text) {
    settings = JSON.parse(text);
  },
};

export const authenticator = {
  async authenticate(request) {
    const badge = request.header("x-badge").map((value) => new TextDecoder().decode(value)).join("");
    if (badge === "") throw { tag: "not-mine", val: challenge };
    if (!Object.hasOwn(settings.badges, badge)) throw { tag: "unauthenticated", val: ["no such badge", challenge] };
    const name = settings.badges[badge];
    if (settings.directory !== undefined) await ask(name);
    return {
      user: { name, groups: ["badge-holders"], admin: false, attributes: [] },
      validFor: 60,
      responseHeaders: [],
    };
  },
};

// Throws, unless the directory knows the holder.
async function ask(name) {
  const status = await statusOf(`${settings.directory}/${encodeURIComponent(name)}`);
  if (status === 404) throw { tag: "forbidden", val: ["the directory doesn't know the holder", undefined] };
  if (status !== 200) throw { tag: "unavailable", val: `the directory answered ${status}` };
}

async function statusOf(url) {
  try {
    return (await fetch(url)).status;
  } catch (error) {
    log("warn", "directory", `${url}: ${error}`);
    throw { tag: "unavailable", val: "the directory can't be reached" };
  }
}

// An authenticator in JavaScript that does what the header `X-Do` says. What it finds becomes the attribute `found`.

export const authenticator = {
  settingsSchema() {
    return JSON.stringify({ properties: { fail: { type: "string" }, configure: { type: "string" } } });
  },

  configure(settings) {
    const { fail, configure } = JSON.parse(settings);
    if (fail !== undefined) throw fail;
    if (configure !== undefined) configured = DEEDS[configure]();
  },

  async authenticate(request) {
    const words = request.header("x-do").map((value) => new TextDecoder().decode(value)).join("").split(" ");
    const [deed, ...args] = words;
    if (deed === "" || deed === "not-mine") throw { tag: "not-mine", val: undefined };
    const found = JSON.stringify((await DEEDS[deed](...args)) ?? null);
    return { user: { name: "prober", groups: [], admin: false, attributes: [["found", found]] }, responseHeaders: [] };
  },
};

// What the deed that the setting `configure` names has found.
let configured;

const DEEDS = {
  configured: () => [configured, DEEDS.random()],
  random: () => [Math.random(), [...crypto.getRandomValues(new Uint8Array(8))]],
  time: () => Date.now() / 1000,
  fail(...why) {
    throw new Error(why.join(" "));
  },
  say(...what) {
    console.log(...what);
    console.error(...what);
  },
  // How many requests at once ended with each status or error.
  async fetch(count, url) {
    const one = async () => {
      const response = await fetch(url, { method: "POST", body: "x".repeat(1000), headers: { "x-a": "b" } });
      await response.text();
      return response.status;
    };
    const ended = await Promise.all(Array.from({ length: Number(count) }, () => one().catch(String)));
    const counts = {};
    for (const each of ended) counts[each] = (counts[each] ?? 0) + 1;
    return counts;
  },
};

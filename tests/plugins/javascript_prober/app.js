// An authenticator in JavaScript that does what the header `X-Do` says. What it finds becomes the attribute `found`.

import * as portcullis from "./portcullis.js";

class Prober {
  constructor({ fail, configure }) {
    if (fail !== undefined) throw new portcullis.SettingsError(fail);
    if (configure !== undefined) configured = DEEDS[configure]();
  }

  async authenticate(request) {
    const words = request.header("x-do").map((value) => new TextDecoder().decode(value)).join("").split(" ");
    const [deed, ...args] = words;
    if (deed === "" || deed === "not-mine") throw portcullis.notMine();
    if (deed === "basic" || deed === "bearer") args.push(request);
    const found = JSON.stringify((await DEEDS[deed](...args)) ?? null);
    return portcullis.grant("prober", { attributes: { found } });
  }
}

const OWN = { fail: portcullis.text("", { optional: true }), configure: portcullis.text("", { optional: true }) };
export const { plugin, authenticator } = portcullis.exported(Prober, OWN);

// What the deed that the setting `configure` names has found.
let configured;

const SETTINGS = {
  text: portcullis.text("A text."),
  secret: portcullis.secret("A secret."),
  whole: portcullis.integer("A whole number.", { default: 3 }),
  number: portcullis.number("A number.", { default: 0.5 }),
  flag: portcullis.boolean("A flag.", { default: false }),
  wait: portcullis.duration("A duration.", { default: "90s", requests: 2 }),
  many: portcullis.list(portcullis.text(), "Texts.", { default: ["a"] }),
  map: portcullis.table(portcullis.integer(), "Numbers by name.", { default: {} }),
  maybe: portcullis.text("A URL, or none.", { optional: true, grant: "http" }),
};

// Every way that JavaScript has out of the sandbox. An engine that ends the call instead reaches nothing, either.
const waysOut = (path, port) => ({
  "import a file": () => import(path),
  "import a file by URL": () => import(`file://${path}`),
  "import from a server": () => import(`http://127.0.0.1:${port}/x.js`),
  "import data": () => import("data:text/javascript,export default 1"),
  "import of Node.js": () => import("node:fs"),
  "import of the file system": () => import("wasi:filesystem/preopens@0.2.12"),
  "import of sockets": () => import("wasi:sockets/tcp@0.2.12"),
  "import of the environment": () => import("wasi:cli/environment@0.2.12"),
  require: () => require("fs"),
  process: () => process.env,
  Deno: () => Deno.env,
  Bun: () => Bun.env,
  os: () => os.getenv("PROBER_SECRET"),
  load: () => load(path),
  read: () => read(path),
  readFile: () => readFile(path),
  Worker: () => new Worker(path),
  WebSocket: () => new WebSocket(`ws://127.0.0.1:${port}/`),
  XMLHttpRequest: () => new XMLHttpRequest(),
  EventSource: () => new EventSource(`http://127.0.0.1:${port}/`),
  "fetch a file": () => fetch(`file://${path}`),
  "fetch from a server that isn't granted": () => fetch(`http://127.0.0.1:${port}/`),
  "ask a server that isn't granted": () => portcullis.fetch(`http://127.0.0.1:${port}/`),
  "ask for a file": () => portcullis.fetch(`file://${path}`),
  "a function that requires": () => new Function("return require")()("fs"),
  "a global that knows": () => {
    const known = Object.getOwnPropertyNames(globalThis).filter((name) => /^fs$|readfile|openfile|socket|spawn|exec|env|system/i.test(name));
    if (known.length > 0) return known;
    throw new Error("none");
  },
});

const DEEDS = {
  basic(request) {
    const { user, password } = portcullis.basic(request, portcullis.challenge("Basic", { realm: "prober" }));
    return [user, password];
  },
  bearer(request) {
    const token = portcullis.bearer(request);
    return [token.slice(0, 40), token.length];
  },
  log: (level, message) => portcullis.log(level, message),
  schema: () => JSON.parse(portcullis.settingsSchema(SETTINGS)),
  settings(json) {
    try {
      const read = portcullis.readSettings(SETTINGS, json);
      return { ...read, maybe: read.maybe ?? null, secret: String(read.secret), exposed: read.secret.expose() };
    } catch (error) {
      if (error instanceof portcullis.SettingsError) return error.message;
      throw error;
    }
  },
  ways: () => Object.keys(waysOut()),
  // What came of the way out with this number.
  async way(number, path, port) {
    try {
      return `reached: ${await Object.values(waysOut(path, port))[number]()}`;
    } catch (error) {
      return String(error);
    }
  },
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

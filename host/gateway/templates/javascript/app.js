// Accepts requests that carry an API key.

const SCHEMA = {
  type: "object",
  properties: {
    key: { type: "string", minLength: 1, description: "The key that clients send in X-Api-Key" },
  },
  required: ["key"],
  additionalProperties: false,
};
let key;

export const authenticator = {
  settingsSchema() {
    return JSON.stringify(SCHEMA);
  },

  configure(settings) {
    key = new TextEncoder().encode(JSON.parse(settings).key);
  },

  authenticate(request) {
    const [sent, ...more] = request.header("x-api-key");
    if (sent === undefined) throw { tag: "not-mine", val: undefined };
    if (more.length > 0 || !equal(sent, key)) throw { tag: "unauthenticated", val: ["wrong API key", undefined] };
    return {
      user: { name: "api", groups: [], admin: false, attributes: [] },
      validFor: undefined,
      responseHeaders: [],
    };
  },
};

// Compares in a time that doesn't say where the first difference is.
function equal(one, other) {
  if (one.length !== other.length) return false;
  return one.reduce((difference, byte, index) => difference | (byte ^ other[index]), 0) === 0;
}

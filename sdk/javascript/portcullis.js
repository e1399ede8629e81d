// What authenticators in JavaScript share: settings, refusals, credentials, requests to other servers, and JSON Web Tokens.
//
// Copy this file and portcullis.d.ts, which describes each part, beside your module. It decides as the Rust SDK and the
// built-in `jwt` do.

import * as cache from "portcullis:auth/cache@0.2.0";
import { verify as verifySignature } from "portcullis:auth/crypto@0.2.0";
import { fetch as exchange } from "portcullis:auth/outbound@0.2.0";
import { log as writeLog } from "wasi:logging/logging@0.1.0-draft";

const utf8 = (text) => new TextEncoder().encode(text);
const latin1 = (bytes) => String.fromCharCode(...bytes);

// Settings

export class SettingsError extends Error {}

const UNITS = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86400 };
const DURATION = "^[0-9]{1,9}(ms|s|m|h|d)$";

function setting(schema, read, description = "", { default: standard, optional = false, grant, requests } = {}) {
  const annotated = description === "" ? { ...schema } : { ...schema, description };
  if (standard !== undefined) annotated.default = standard;
  if (grant !== undefined) annotated["x-portcullis-grant"] = grant;
  if (requests !== undefined) annotated["x-portcullis-requests"] = requests;
  return { schema: annotated, read, standard, optional };
}

// Reads a value for which `holds`, or says what it must be.
function reader(holds, what, convert = (given) => given) {
  return (given, key) => {
    if (!holds(given)) throw new SettingsError(`${key}: must be ${what}`);
    return convert(given);
  };
}

const isText = (given) => typeof given === "string";
const isNumber = (given) => typeof given === "number" && Number.isFinite(given);
const isTable = (given) => typeof given === "object" && given !== null && !Array.isArray(given);
const isDuration = (given) => (isNumber(given) && given >= 0) || (isText(given) && new RegExp(DURATION).test(given));

export const text = (...more) => setting({ type: "string" }, reader(isText, "text"), ...more);
export const number = (...more) => setting({ type: "number" }, reader(isNumber, "a number"), ...more);
export const integer = (...more) =>
  setting({ type: "integer" }, reader(Number.isSafeInteger, "a whole number"), ...more);
export const boolean = (...more) =>
  setting({ type: "boolean" }, reader((given) => typeof given === "boolean", "true or false"), ...more);

export function secret(...more) {
  const read = reader((given) => isText(given) && given !== "", "text that isn't empty", (given) => new Secret(given));
  return setting({ type: "string", minLength: 1, writeOnly: true }, read, ...more);
}

export function duration(...more) {
  const schema = { anyOf: [{ type: "number", minimum: 0 }, { type: "string", pattern: DURATION }] };
  const what = 'a number of seconds, or text such as "500ms", "30s", "5m", "1h" or "1d"';
  const seconds = (given) => (isNumber(given) ? given : parseInt(given, 10) * UNITS[given.replace(/^[0-9]+/, "")]);
  return setting(schema, reader(isDuration, what, seconds), ...more);
}

export function list(item, ...more) {
  const check = reader(Array.isArray, "a list");
  const read = (given, key) => check(given, key).map((each, index) => item.read(each, `${key}[${index}]`));
  return setting({ type: "array", items: item.schema }, read, ...more);
}

export function table(item, ...more) {
  const check = reader(isTable, "a table");
  const read = (given, key) =>
    Object.fromEntries(Object.entries(check(given, key)).map(([name, each]) => [name, item.read(each, `${key}.${name}`)]));
  return setting({ type: "object", additionalProperties: item.schema }, read, ...more);
}

export function settingsSchema(settings) {
  const entries = Object.entries(settings);
  return JSON.stringify({
    type: "object",
    properties: Object.fromEntries(entries.map(([name, { schema }]) => [name, schema])),
    required: entries.filter(([, { standard, optional }]) => standard === undefined && !optional).map(([name]) => name),
    additionalProperties: false,
  });
}

export function readSettings(settings, json) {
  const given = reader(isTable, "a table")(JSON.parse(json), "settings");
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(settings, name)) throw new SettingsError(`settings.${name}: unknown key`);
  }
  const values = Object.entries(settings).map(([name, { read, standard, optional }]) => {
    const value = Object.hasOwn(given, name) ? given[name] : standard;
    if (value === undefined && !optional) throw new SettingsError(`settings.${name}: is missing`);
    return [name, value === undefined ? undefined : read(value, `settings.${name}`)];
  });
  return Object.fromEntries(values);
}

export class Secret {
  #value;

  constructor(value) {
    this.#value = value;
  }

  matches(given) {
    return constantTimeEqual(given, utf8(this.#value));
  }

  expose() {
    return this.#value;
  }

  toString() {
    return "[secret]";
  }

  toJSON() {
    return "[secret]";
  }
}

// The authenticator

export function exported(Plugin, settings) {
  let configured;
  return {
    plugin: {
      settingsSchema: () => settingsSchema(settings),
      configure(json) {
        try {
          configured = new Plugin(readSettings(settings, json));
        } catch (error) {
          // componentize-js loses the message of an `Error` that `configure` throws.
          throw error instanceof SettingsError ? error.message : String(error?.stack ? `${error}\n${error.stack}` : error);
        }
      },
    },
    authenticator: {
      async authenticate(request) {
        try {
          return await configured.authenticate(request);
        } catch (error) {
          // componentize-js loses where an `Error` was thrown, too. What isn't a refusal ends the call.
          if (error instanceof Error) console.error(`${error}\n${error.stack}`);
          throw error;
        }
      },
    },
  };
}

// What an authenticator answers

export function grant(name, { groups = [], admin = false, attributes = {}, validFor, responseHeaders = [] } = {}) {
  return {
    user: { name, groups, admin, attributes: Object.entries(attributes) },
    validFor: validFor === undefined ? undefined : Math.max(0, Math.min(Math.trunc(validFor), 0xffffffff)),
    responseHeaders,
  };
}

export const challenge = (scheme, parameters = {}) => ({ scheme, parameters: Object.entries(parameters) });
export const notMine = (challenge) => ({ tag: "not-mine", val: challenge });
export const unauthenticated = (reason, challenge) => ({ tag: "unauthenticated", val: [reason, challenge] });
export const forbidden = (reason, challenge) => ({ tag: "forbidden", val: [reason, challenge] });
export const unavailable = (reason) => ({ tag: "unavailable", val: reason });
export const respond = (status, headers = [], body = new Uint8Array()) => ({
  tag: "respond",
  val: { status, headers, body },
});
export const log = (level, message) => writeLog(level, "", message);

// Credentials

const MAX_TOKEN = 8 * 1024;

export function bearer(request, challenge, schemes = ["bearer"]) {
  const token = ofScheme(request, schemes, challenge);
  if (token.length > MAX_TOKEN || !/^[!-~]+$/.test(token)) {
    throw unauthenticated("the token is empty, too long or contains invalid characters", challenge);
  }
  return token;
}

export function basic(request, challenge) {
  const decoded = base64(ofScheme(request, ["basic"], challenge));
  if (decoded === undefined) throw unauthenticated("Basic credentials are not base64", challenge);
  let text;
  try {
    text = decodeUtf8(decoded);
  } catch {
    text = latin1(decoded);
  }
  if (hasControl(text)) throw unauthenticated("Basic credentials have control characters", challenge);
  const colon = text.indexOf(":");
  if (colon < 0) throw unauthenticated("Basic credentials have no colon", challenge);
  return { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

// The credentials after the scheme. A proxy on the way may have checked another header than this authenticator would, so
// several are refused.
function ofScheme(request, schemes, challenge) {
  const values = request.header("authorization");
  if (values.length === 0) throw notMine(challenge);
  if (values.length > 1) throw unauthenticated("more than one Authorization header", challenge);
  const value = trim(latin1(values[0]));
  const [scheme] = value.split(" ", 1);
  if (!schemes.some((known) => known.toLowerCase() === scheme.toLowerCase())) throw notMine(challenge);
  return trim(value.slice(scheme.length));
}

const trim = (text) => text.replace(/^[ \t\r\n\f]+/, "").replace(/[ \t\r\n\f]+$/, "");
const hasControl = (text) => /[\x00-\x1f\x7f-\x9f]/.test(text);
const decodeUtf8 = (bytes) => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
const toBytes = (binary) => Uint8Array.from(binary, (character) => character.charCodeAt(0));

// Decodes base64 with or without padding. What isn't exactly what encoding yields is refused, so that no two texts stand for
// the same bytes.
function base64(encoded) {
  const bare = encoded.replace(/={1,2}$/, "");
  if (!/^[A-Za-z0-9+/]*$/.test(bare) || bare.length % 4 === 1) return undefined;
  const padded = bare + "=".repeat(-bare.length & 3);
  const binary = atob(padded);
  return [bare, padded].includes(encoded) && btoa(binary) === padded ? toBytes(binary) : undefined;
}

function base64url(encoded) {
  return /^[A-Za-z0-9_-]*$/.test(encoded) ? base64(encoded.replaceAll("-", "+").replaceAll("_", "/")) : undefined;
}

const toBase64url = (bytes) => btoa(latin1(bytes)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");

export function constantTimeEqual(given, expected) {
  let different = given.length ^ expected.length;
  for (let i = 0; i < given.length; i++) different |= given[i] ^ expected[i % Math.max(1, expected.length)];
  return different === 0;
}

export async function cacheKey(...parts) {
  const sized = parts.flatMap((part) => {
    const bytes = isText(part) ? utf8(part) : part;
    return [...new Uint8Array(new BigUint64Array([BigInt(bytes.length)]).buffer), ...bytes];
  });
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", Uint8Array.from(sized)));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// Requests to other servers

export class HttpError extends Error {}

export function fetch(url, options = {}) {
  const { method = "GET", headers = [], body = new Uint8Array(), timeout = 5, maxBody = 1024 * 1024 } = options;
  let { redirects = 0 } = options;
  const fields = headers.map(([name, value]) => [name, isText(value) ? utf8(value) : value]);
  if (options.fresh) fields.push(["cache-control", utf8("no-cache")]);
  const deadline = Date.now() + timeout * 1000;
  for (;;) {
    const left = Math.trunc(deadline - Date.now());
    if (left <= 0) throw new HttpError("no complete answer in time");
    let response;
    try {
      response = exchange({ method, url, headers: fields, body, timeoutMs: Math.min(left, 30000), maxBody });
    } catch (error) {
      throw new HttpError(failure(error?.payload));
    }
    const target = redirects > 0 ? redirect(method, url, response) : undefined;
    if (target === undefined) return response;
    url = target;
    redirects -= 1;
  }
}

function failure({ tag, val } = {}) {
  switch (tag) {
    case "denied":
      return "the operator has not granted access to this server (grants.http)";
    case "invalid":
      return `the request can't be sent: ${val}`;
    case "limited":
      return "not sent: a call may send 64 requests, and an authenticator may have 64 in flight";
    case "timeout":
      return "no complete answer in time";
    case "too-large":
      return `the answer is larger than ${val} bytes`;
    case "unreachable":
      return `the server can't be reached: ${val}`;
    case "unusable":
      return `the answer can't be used: ${val}`;
    default:
      return "the request failed";
  }
}

// The target of a redirect, if it is on the same server (RFC 9110, section 15.4).
function redirect(method, url, { status, headers }) {
  const again = method === "GET" ? [301, 302, 303, 307, 308] : [307, 308];
  const location = headers.find(([name]) => name === "location");
  if (!again.includes(status) || location === undefined) return undefined;
  const target = latin1(location[1]).replace(/#.*$/s, "");
  const { scheme, authority } = split(url) ?? {};
  if (target.startsWith("/") && !target.startsWith("//")) {
    const absolute = `${scheme}://${authority}${target}`;
    return split(absolute) && absolute;
  }
  return origin(target) !== undefined && origin(target) === origin(url) ? target : undefined;
}

// Scheme and authority of an `http` or `https` URL without a user name.
function split(url) {
  const found = /^(https?):\/\/([!-.0->@-~]+)([/?][!-~]*)?$/i.exec(url);
  return found && !/[@\\]/.test(found[2]) ? { scheme: found[1].toLowerCase(), authority: found[2] } : undefined;
}

// Scheme, host and port (RFC 6454, section 4).
function origin(url) {
  const parts = split(url);
  if (parts === undefined) return undefined;
  const [, host, port] = /^(.*?)(?::([0-9]*))?$/s.exec(parts.authority.toLowerCase());
  return `${parts.scheme}://${host}:${port || { http: "80", https: "443" }[parts.scheme]}`;
}

// JSON Web Tokens

// Why a token is refused: what the operator's log says, and what the client is told (RFC 6750, section 3).
class TokenError extends Error {
  constructor(reason, told = "The token is not accepted here") {
    super(reason);
    this.told = told;
  }
}

// The token has another format, so another authenticator may know it.
class NotJws extends Error {}

const SIGNATURE = "The signature of the token does not verify";
const RSA = ["PS256", "PS384", "PS512", "RS256", "RS384", "RS512"];
const CURVES = { "P-256": ["ES256", 32], "P-384": ["ES384", 48], "P-521": ["ES512", 66] };
const PUBLIC_KEY = ["EdDSA", "ES256", "ES384", "ES512", ...RSA];
const ALGORITHMS = [...PUBLIC_KEY, "HS256", "HS384", "HS512"];
// The last second of the year 9999. A later time is a mistake, such as milliseconds for seconds.
const LATEST = 253402300799;

const own = (object, name) => (isTable(object) && Object.hasOwn(object, name) ? object[name] : undefined);

// Reads a JSON object as strictly as the built-in `jwt` does, and finds the names that occur in it more than once.
function readObject(bytes) {
  const text = decodeUtf8(bytes);
  const object = JSON.parse(text);
  if (!isTable(object)) throw new SyntaxError("not an object");
  const names = new Set();
  const twice = new Set();
  let depth = 0;
  let last = "";
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\]:]|-?[0-9][0-9.eE+-]*/gs)) {
    if (token === "{" || token === "[") depth += 1;
    else if (token === "}" || token === "]") depth -= 1;
    else if (token === ":" && depth === 1) {
      const name = JSON.parse(last);
      (names.has(name) ? twice : names).add(name);
    } else if (token[0] === '"') {
      // An escape can stand for half a character, which no text for the gateway can have.
      if (token.includes("\\u") && !JSON.parse(token).isWellFormed()) throw new SyntaxError("half a character");
    } else if (token !== ":" && !Number.isFinite(Number(token))) throw new SyntaxError("a number is too large");
    if (depth > 127) throw new SyntaxError("nested too deeply");
    last = token;
  }
  return { object, twice };
}

// Parses a token, without verifying it (RFC 7515, section 7.1). One of five parts is encrypted, and one whose first part is
// no JSON object has a format of its provider: both are left to other authenticators.
function parse(token) {
  const parts = token.split(".");
  const json = parts.length === 3 ? base64url(parts[0]) : undefined;
  if (json === undefined || !trim(latin1(json)).startsWith("{")) throw new NotJws();
  const header = readHeader(json);
  const [payload, signature] = parts.slice(1).map(base64url);
  if (payload === undefined || signature === undefined) throw new TokenError("the token has a part that is not base64url");
  return { ...header, message: utf8(`${parts[0]}.${parts[1]}`), payload, signature };
}

function readHeader(json) {
  const malformed = new TokenError("the token has a malformed header");
  let header;
  try {
    header = readObject(json);
  } catch {
    throw malformed;
  }
  const { object, twice } = header;
  const [alg, kid, typ] = ["alg", "kid", "typ"].map((name) => own(object, name) ?? undefined);
  if (["alg", "kid", "typ", "crit", "b64"].some((name) => twice.has(name)) || !isText(alg)) throw malformed;
  if ([kid, typ].some((value) => value !== undefined && !isText(value))) throw malformed;
  // RFC 7515, section 4.1.11: extensions that must be understood. None is, nor an unencoded payload (RFC 7797).
  for (const extension of ["crit", "b64"]) {
    if (Object.hasOwn(object, extension)) {
      throw new TokenError(`the token has a header that asks for an extension (${extension})`);
    }
  }
  const algorithm = jose(alg);
  if (!ALGORITHMS.includes(algorithm)) throw new TokenError(`the token is signed with ${quoted(alg)}, which is not supported`);
  return { algorithm, kid, typ };
}

// RFC 9864 names EdDSA by its curve.
const jose = (name) => (name === "Ed25519" ? "EdDSA" : name);
const toHost = (algorithm) => (algorithm === "EdDSA" ? "ed25519" : algorithm.toLowerCase());

// A text of a client for a log line: escaped and shortened.
function quoted(text) {
  const characters = Array.from(text);
  return JSON.stringify(characters.slice(0, 150).join("")) + (characters.length > 150 ? "…" : "");
}

// Texts for a log line, at most five of them.
function allQuoted(texts) {
  const more = texts.length > 5 ? [`${texts.length - 5} more`] : [];
  return [...texts.slice(0, 5).map(quoted), ...more].join(", ");
}

// A value of a token for a log line.
function shown(value) {
  return value === undefined ? "missing" : Array.from(JSON.stringify(value)).slice(0, 150).join("");
}

export class Claims {
  #claims;

  constructor(claims, remaining) {
    this.#claims = claims;
    this.remaining = remaining;
  }

  find(path) {
    const whole = own(this.#claims, path) ?? undefined;
    return whole !== undefined ? whole : (path.split(".").reduce(own, this.#claims) ?? undefined);
  }

  name(path) {
    const value = this.find(path);
    if (value === undefined) throw unauthenticated(`the claim ${path} is missing`);
    const name = nameOf(value);
    if (name === undefined || !fits(name, 256) || hasControl(name)) {
      throw unauthenticated(`the claim ${path} is not a name: text of 1 to 256 bytes without control characters`);
    }
    return name;
  }

  groups(path) {
    const value = this.find(path);
    const items = Array.isArray(value) ? value : isTable(value) ? Object.keys(value) : [value];
    const groups = items.map(nameOf).filter((group) => group !== undefined && fits(group, 1024));
    if (groups.some(hasControl)) throw unauthenticated(`the claim ${path} has a control character`);
    return groups;
  }

  text(path) {
    const value = this.find(path);
    const first = Array.isArray(value) && !Array.isArray(value[0]) ? value[0] : value;
    const text = typeof first === "boolean" || typeof first === "number" ? String(first) : nameOf(first);
    if (text !== undefined && hasControl(text)) throw unauthenticated(`the claim ${path} has a control character`);
    return text !== undefined && fits(text, 4096) ? text : undefined;
  }

  isTrue(path) {
    return this.find(path) === true;
  }

  scopes() {
    const value = own(this.#claims, "scope") ?? own(this.#claims, "scp");
    if (Array.isArray(value)) return value.filter(isText);
    return isText(value) ? value.split(" ") : [];
  }
}

const fits = (text, most) => text !== "" && utf8(text).length <= most;

// A larger number than this may have lost digits, so that it would be another user's.
function nameOf(value) {
  const first = Array.isArray(value) && !Array.isArray(value[0]) ? value[0] : value;
  if (Number.isSafeInteger(first)) return String(first);
  return isText(first) ? first : undefined;
}

export class Jwt {
  #settings;

  constructor({ issuer, audiences, keys, algorithms = PUBLIC_KEY, typ, leeway = 60, ...more }) {
    const { realm = "portcullis", maxTokenBytes = 16 * 1024 } = more;
    if (!isText(issuer) || issuer === "") throw new SettingsError("issuer: it is empty");
    if (audiences.length === 0 || audiences.includes("")) {
      throw new SettingsError("audiences: they are missing, or one of them is empty");
    }
    const accepted = algorithms.map(jose);
    if (accepted.length === 0 || !accepted.every((algorithm) => PUBLIC_KEY.includes(algorithm))) {
      throw new SettingsError(`algorithms: must be some of ${PUBLIC_KEY.join(", ")}`);
    }
    this.#settings = { issuer, audiences, keys, accepted, typ, leeway, maxTokenBytes, realm };
  }

  async claims(request) {
    return this.claimsOf(this.#token(request));
  }

  async claimsOf(token) {
    if (token.length > this.#settings.maxTokenBytes) throw this.#malformed("The token is too long");
    try {
      return await this.#verify(token);
    } catch (error) {
      if (error instanceof NotJws) throw notMine(this.#challenge("invalid_token", "The token is not a signed JWT"));
      if (error instanceof TokenError) {
        throw unauthenticated(error.message, this.#challenge("invalid_token", error.told));
      }
      throw error;
    }
  }

  async #verify(token) {
    const { issuer, keys, accepted } = this.#settings;
    const jws = parse(token);
    const { object, twice } = this.#read(jws.payload);
    const named = own(object, "iss") ?? undefined;
    if (twice.has("iss") || (named !== undefined && !isText(named))) {
      throw new TokenError("the token has an iss that is not one string");
    }
    if (named !== issuer) {
      const told = "The issuer of the token is not known here";
      throw new TokenError(`the issuer of the token is ${shown(named)}, and must be ${quoted(issuer)}`, told);
    }
    this.#checkType(jws);
    if (!accepted.includes(jws.algorithm)) {
      throw new TokenError(`the token is signed with ${jws.algorithm}, and may only use ${accepted.join(", ")}`);
    }
    await keys.verify(jws);
    if (twice.size > 0) {
      throw new TokenError("the token has a payload that is not a JSON object with distinct names");
    }
    this.#checkAudience(object);
    return new Claims(object, this.#checkTimes(object));
  }

  #token(request) {
    const values = request.header("authorization").map((value) => trim(latin1(value)));
    const tokens = values.filter((value) => /^bearer(?: |$)/i.test(value)).map((value) => trim(value.slice(6)));
    if (tokens.length === 0) throw notMine(this.#challenge());
    if (values.length > 1) throw this.#malformed("The request has more than one token");
    const [token] = tokens;
    if (!/^[A-Za-z0-9._~+/=-]+$/.test(token)) throw this.#malformed("The token is empty or contains invalid characters");
    return token;
  }

  #malformed(told) {
    return unauthenticated(`malformed request: ${told}`, this.#challenge("invalid_request", told));
  }

  #challenge(error, description) {
    const more = error === undefined ? {} : { error, error_description: description };
    return challenge("Bearer", { realm: this.#settings.realm, ...more });
  }

  #read(payload) {
    try {
      return readObject(payload);
    } catch {
      throw new TokenError("the token has a payload that is not a JSON object");
    }
  }

  #checkType({ typ }) {
    const known = this.#settings.typ ?? ["JWT", "at+jwt", "JOSE"];
    if (typ === undefined ? this.#settings.typ !== undefined : !known.map(kind).includes(kind(typ))) {
      throw new TokenError(`the type of the token (typ) is ${shown(typ)}, and must be one of ${allQuoted(known)}`);
    }
  }

  #checkAudience(claims) {
    const found = own(claims, "aud");
    const named = isText(found) ? [found] : found;
    if (!Array.isArray(named) || !named.every(isText)) {
      throw new TokenError("the claim aud is neither a string nor a list of strings");
    }
    if (!this.#settings.audiences.some((audience) => named.includes(audience))) {
      const expected = allQuoted(this.#settings.audiences);
      const reason = `the claim aud of the token is ${shown(found)}, and must name one of ${expected}`;
      throw new TokenError(reason, "The token is for another audience");
    }
  }

  #checkTimes(claims) {
    const { leeway } = this.#settings;
    const now = Math.trunc(Date.now() / 1000);
    const [expiry, issued, start] = ["exp", "iat", "nbf"].map((name) => date(claims, name));
    if (expiry === undefined) throw new TokenError("the claim exp is missing");
    // RFC 7519, section 4.1.4: not accepted "on or after" that time.
    if (now >= expiry + leeway) {
      throw new TokenError(`the token has expired: its exp was ${now - expiry} s ago`, "The token has expired");
    }
    for (const [name, since] of [["nbf", start], ["iat", issued]]) {
      if (since !== undefined && since > now + leeway) {
        const reason = `the token is not valid yet: its ${name} is in ${since - now} s`;
        throw new TokenError(reason, "The token is not valid yet");
      }
    }
    return Math.max(0, expiry - now);
  }
}

const kind = (typ) => typ.toLowerCase().replace(/^application\//, "");

// A NumericDate (RFC 7519, section 2) in whole seconds. Skipping one that is none would skip the check (CVE-2026-25537).
function date(claims, name) {
  if (!Object.hasOwn(claims, name)) return undefined;
  const value = claims[name];
  if (typeof value !== "number" || Object.is(value, NaN) || value < 0 || value > LATEST) {
    throw new TokenError(`the claim ${name} is not a number of seconds since 1970`);
  }
  return Math.trunc(value);
}

// The keys of an issuer

export class Jwks {
  #url;
  #policy;
  #names;

  constructor(url, options = {}) {
    const { timeout = 2, cacheTtl = 600, minRefreshInterval = 30, staleIfError = 24 * 3600 } = options;
    const { maxBytes = 1024 * 1024, insecureHttp = false } = options;
    const parts = split(url);
    if (parts === undefined || url.includes("#")) {
      throw new SettingsError("jwks_url: must be an https URL without a user name and a fragment");
    }
    if (parts.scheme !== "https" && !insecureHttp && !isLoopback(parts.authority)) {
      throw new SettingsError("jwks_url: must be https, unless the server is on this machine");
    }
    this.#url = url;
    this.#policy = { timeout, cacheTtl, minRefreshInterval, staleIfError, maxBytes };
  }

  async verify(jws) {
    const name = (what) => cacheKey(what, "jwks", this.#url);
    this.#names = { keys: await name("keys"), first: await name("first"), refresh: await name("refresh") };
    const current = await this.#current();
    try {
      signedBy(current, jws);
    } catch (error) {
      const newer = error instanceof TokenError ? await this.#newer(current) : undefined;
      if (newer === undefined) throw error;
      signedBy(newer, jws);
    }
  }

  async #current() {
    const known = this.#load();
    if (known === undefined) return this.#fetchFirst();
    return Date.now() / 1000 - known.fetched < this.#policy.cacheTtl ? known : (this.#refresh() ?? known);
  }

  async #newer(tried) {
    const fetched = this.#refresh();
    if (fetched === undefined) {
      // Another instance may be fetching them. For a token that is signed with a new key, it is worth waiting.
      await ended(this.#names.refresh, Math.min(0.5, this.#policy.timeout));
    }
    const newer = fetched ?? this.#load();
    return newer !== undefined && JSON.stringify(newer.keys) !== JSON.stringify(tried.keys) ? newer : undefined;
  }

  #refresh() {
    const { refresh } = this.#names;
    const interval = ttl(this.#policy.minRefreshInterval);
    if (!cache.add(refresh, utf8("pending"), interval)) return undefined;
    try {
      const fetched = this.#fetch();
      cache.set(refresh, utf8("succeeded"), interval);
      return fetched;
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      log("warn", `the keys can't be fetched, so the old ones are used: ${error.message}`);
      cache.set(refresh, utf8(`failed: ${error.message}`), interval);
      return undefined;
    }
  }

  async #fetchFirst() {
    const { first, refresh } = this.#names;
    const { timeout, minRefreshInterval } = this.#policy;
    if (!cache.add(first, utf8("pending"), ttl(timeout))) {
      const failed = await ended(first, timeout);
      const known = failed === undefined ? this.#load() : undefined;
      if (known !== undefined) return known;
      throw unavailable(failed ?? "another request is fetching the keys and has not received them");
    }
    let fetched;
    try {
      fetched = this.#load() ?? this.#fetch();
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      cache.set(first, utf8(`failed: ${error.message}`), ttl(Math.min(5, minRefreshInterval)));
      throw unavailable(error.message);
    }
    cache.set(refresh, utf8("succeeded"), ttl(minRefreshInterval));
    cache.delete(first);
    return fetched;
  }

  #fetch() {
    const { timeout, maxBytes, cacheTtl, staleIfError } = this.#policy;
    const headers = [["accept", "application/json"]];
    let keys;
    try {
      const response = fetch(this.#url, { headers, timeout, maxBody: maxBytes, redirects: 3, fresh: true });
      if (response.status !== 200) throw new HttpError(`it answered ${response.status}, not 200`);
      keys = usableKeys(response.body);
    } catch (error) {
      throw error instanceof HttpError ? new HttpError(`${this.#url}: ${error.message}`) : error;
    }
    const snapshot = { fetched: Date.now() / 1000, keys };
    cache.set(this.#names.keys, utf8(JSON.stringify(snapshot)), ttl(cacheTtl + staleIfError));
    return snapshot;
  }

  #load() {
    const stored = cache.get(this.#names.keys);
    return stored === undefined ? undefined : JSON.parse(decodeUtf8(stored));
  }
}

const ttl = (seconds) => Math.max(1, Math.trunc(seconds));

// Waits until the fetch that another instance marked under this key has ended. Returns why it failed, if it did.
async function ended(key, limit) {
  const end = Date.now() + limit * 1000;
  for (;;) {
    const stored = cache.get(key);
    const state = stored === undefined ? "" : decodeUtf8(stored);
    if (state !== "pending" || Date.now() >= end) return state.startsWith("failed: ") ? state.slice(8) : undefined;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

// How a log line names a key.
const label = (jwk) => (isText(own(jwk, "kid")) ? `key ${quoted(jwk.kid)}` : "a key");

// The keys of a JWK Set (RFC 7517) that verify signatures, without their other members.
function usableKeys(body) {
  let listed;
  try {
    listed = own(readObject(body).object, "keys");
  } catch {
    listed = undefined;
  }
  if (!Array.isArray(listed) || listed.length === 0) {
    throw new HttpError("it is not a JWK Set, an object with a list of keys, or has no keys");
  }
  if (listed.length > 1000) throw new HttpError(`it has ${listed.length} keys; at most 1000 are allowed`);
  const usable = [];
  const problems = [];
  for (const jwk of listed) {
    const repaired = isTable(jwk) ? repair(jwk) : "is no JWK";
    if (isText(repaired)) problems.push(`${label(jwk)} ${repaired}`);
    else usable.push(repaired);
  }
  const summary = `${problems.length} of ${listed.length} keys can't be used: ${problems.slice(0, 5).join("; ")}`;
  if (usable.length === 0) throw new HttpError(summary);
  if (problems.length > 0) log("info", summary);
  return usable;
}

// The members of a key that count, its numbers as long as they must be (RFC 7518, section 6.2.1.2), as some providers don't
// send them; or a text that says why the key can't be used.
function repair(jwk) {
  const member = (name) => own(jwk, name) ?? undefined;
  const texts = ["kty", "kid", "alg", "use", "crv", "n", "e", "x", "y"];
  if (!texts.every((name) => member(name) === undefined || isText(member(name)))) return "is no JWK";
  if (![undefined, "sig"].includes(member("use"))) return "is not for signatures (use)";
  const operations = member("key_ops");
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes("verify"))) {
    return "is not for verifying (key_ops)";
  }
  if (member("kid") !== undefined && utf8(member("kid")).length > 256) return "has an id that is too long (kid)";
  const members = ["kty", "kid", "alg", "crv"].map((name) => [name, member(name)]);
  const [, size] = Object.hasOwn(CURVES, member("crv") ?? "") ? CURVES[member("crv")] : [];
  for (const name of ["n", "e", "x", "y"]) {
    const number = member(name)?.replace(/=+$/, "");
    members.push([name, size !== undefined && "xy".includes(name) ? withSize(number ?? "", size) : number]);
  }
  const repaired = Object.fromEntries(members.filter(([, value]) => value !== undefined));
  if (algorithmsOf(repaired).length === 0) {
    return "is of a type, a curve, a size or an algorithm that is not supported (kty, crv, alg)";
  }
  return repaired;
}

function withSize(number, size) {
  const decoded = base64url(number);
  if (decoded === undefined || decoded.length === size) return number;
  const digits = decoded.slice(decoded.findIndex((byte) => byte !== 0));
  return digits.length > size ? number : toBase64url(Uint8Array.from([...new Uint8Array(size - digits.length), ...digits]));
}

// The algorithms that a key verifies: its type and curve decide first, then `alg` (CVE-2026-39999, CVE-2026-22817). A shared
// secret in a published set is not secret, and verifies nothing.
function algorithmsOf({ kty, crv, alg, ...numbers }) {
  const has = (name, least, most) => {
    const length = numbers[name]?.length ?? 0;
    return Math.ceil((least * 4) / 3) <= length && length <= Math.ceil((most * 4) / 3);
  };
  let byType = [];
  if (kty === "RSA" && has("n", 256, 1025) && has("e", 1, 8)) byType = RSA;
  if (kty === "EC" && Object.hasOwn(CURVES, crv ?? "")) {
    const [algorithm, size] = CURVES[crv];
    if (has("x", size, size) && has("y", size, size)) byType = [algorithm];
  }
  if (kty === "OKP" && crv === "Ed25519" && has("x", 32, 32)) byType = ["EdDSA"];
  return alg === undefined ? byType : byType.filter((algorithm) => algorithm === jose(alg));
}

// Refuses a token that none of the keys signed. An id is compared with known ids and used for nothing else.
function signedBy({ keys }, { algorithm, kid, message, signature }) {
  const named = kid === undefined ? [] : keys.filter((key) => key.kid === kid);
  const possible = named.length > 0 ? named : keys.filter((key) => kid === undefined || key.kid === undefined);
  const fitting = possible.filter((key) => algorithmsOf(key).includes(algorithm));
  if (named.length > 0 && fitting.length === 0) {
    const expected = named.flatMap(algorithmsOf).join(", ");
    throw new TokenError(`the token is signed with ${algorithm}, but the key that it names is for ${expected}`);
  }
  for (const key of fitting.slice(0, 100)) {
    try {
      if (verifySignature(toHost(algorithm), utf8(JSON.stringify(key)), message, signature)) return;
    } catch (error) {
      log("warn", `${label(key)} can't be used: ${error?.payload ?? error}`);
    }
  }
  if (kid !== undefined && fitting.length === 0) {
    const known = keys.map((key) => key.kid).filter(isText);
    const more = known.length > 0 ? `; there are ${allQuoted(known)}` : "";
    throw new TokenError(`no key has the id ${quoted(kid)}${more}`, SIGNATURE);
  }
  const untried = fitting.length > 100 ? `; ${fitting.length - 100} more keys of its type were not tried` : "";
  throw new TokenError(`no key verifies the signature${untried}`, SIGNATURE);
}

function isLoopback(authority) {
  const host = authority.toLowerCase().replace(/:[0-9]*$/, "");
  return host === "localhost" || host === "[::1]" || /^127(\.[0-9]{1,3}){3}$/.test(host);
}

// The types of portcullis.js, and what each part does.

// What the gateway gives and takes

/** One HTTP request. Each method asks the gateway, which returns only what the operator granted: read only what you need. */
export interface Request {
  /** The method as sent: `GET`, `POST`. */
  method(): string;
  /** The scheme that the client used: `http` or `https`. */
  scheme(): string;
  /** The host and port that the client asked for. */
  authority(): string | undefined;
  /** The path as sent, without the query. */
  path(): string;
  /** The granted query parameters, as sent, joined by `&`. */
  query(): string | undefined;
  /** All values of a header, in the order of arrival. Empty if it is absent or not granted. */
  header(name: string): Uint8Array[];
  /** All values of a cookie. If there are several, an attacker may have set one of them: refuse the request. */
  cookie(name: string): Uint8Array[];
  /** The client's IP address. */
  clientAddress(): string | undefined;
  /** The client's certificate in DER, which the gateway has verified. */
  clientCertificate(): Uint8Array | undefined;
}

/** A header: its name and its value. */
export type Header = [name: string, value: Uint8Array];

/** The user who sent a request. */
export interface User {
  name: string;
  groups: string[];
  admin: boolean;
  attributes: [name: string, value: string][];
}

/** The acceptance of a request. */
export interface Grant {
  user: User;
  /** How many seconds the gateway may reuse this decision. */
  validFor: number | undefined;
  responseHeaders: Header[];
}

/** One challenge of `WWW-Authenticate`. The gateway quotes the values. */
export interface Challenge {
  scheme: string;
  parameters: [name: string, value: string][];
}

/** A response. */
export interface Response {
  status: number;
  /** The names are in lower case and may repeat. */
  headers: Header[];
  body: Uint8Array;
}

/** Why a request has no user. It is thrown. */
export type Refusal =
  | { tag: "not-mine"; val: Challenge | undefined }
  | { tag: "unauthenticated" | "forbidden"; val: [reason: string, challenge: Challenge | undefined] }
  | { tag: "respond"; val: Response }
  | { tag: "unavailable"; val: string };

// Settings

/** Says to the operator which setting is wrong, and what would be right. Never quote a secret. */
export class SettingsError extends Error {}

/** One setting of type `T`. */
export interface Setting<T> {
  readonly schema: object;
  readonly read: (given: unknown, key: string) => T;
  readonly standard: unknown;
  readonly optional: boolean;
}

/** The settings that a declaration describes: `SettingsOf<typeof SETTINGS>`. */
export type SettingsOf<S> = { [K in keyof S]: S[K] extends Setting<infer T> ? T : never };

export interface Options {
  /** The value if the operator sets none, written as in the settings. Without it the setting is required. */
  default?: unknown;
  /** Whether the setting may be missing; it is `undefined` then. */
  optional?: boolean;
  /** What the setting needs besides itself: `http` and `login` for a URL, the others for a name. The gateway warns if it isn't granted. */
  grant?: "http" | "headers" | "cookies" | "query" | "negotiate" | "login" | "signing";
  /** This is the time limit of one request, and one call makes so many in a row. The gateway warns if the deadline is shorter. */
  requests?: number;
}

type Make<T> = {
  (description: string | undefined, options: Options & { optional: true }): Setting<T | undefined>;
  (description?: string, options?: Options): Setting<T>;
};
type MakeOf = {
  <T>(item: Setting<T>, description: string | undefined, options: Options & { optional: true }): Setting<T[] | undefined>;
  <T>(item: Setting<T>, description?: string, options?: Options): Setting<T[]>;
};
type MakeTable = {
  <T>(
    item: Setting<T>,
    description: string | undefined,
    options: Options & { optional: true },
  ): Setting<Record<string, T> | undefined>;
  <T>(item: Setting<T>, description?: string, options?: Options): Setting<Record<string, T>>;
};

export const text: Make<string>;
export const number: Make<number>;
/** A whole number. */
export const integer: Make<number>;
export const boolean: Make<boolean>;
/** A secret, which isn't empty. */
export const secret: Make<Secret>;
/** Seconds. In the settings, a number of seconds (`300`) or text with a unit (`"500ms"`, `"30s"`, `"5m"`, `"1h"`, `"1d"`). */
export const duration: Make<number>;
export const list: MakeOf;
/** A table whose keys the operator chooses. */
export const table: MakeTable;

/** The JSON Schema of these settings. */
export function settingsSchema(settings: Record<string, Setting<unknown>>): string;
/** The settings in this JSON. A `SettingsError` names the key that is wrong. */
export function readSettings<S extends Record<string, Setting<unknown>>>(settings: S, json: string): SettingsOf<S>;

/** A secret of the settings, which isn't shown as text or in JSON. */
export class Secret {
  constructor(value: string);
  /** Whether this is the secret. The time depends on the length of `given` alone. */
  matches(given: Uint8Array): boolean;
  /** The secret in plain text, to be sent where it belongs. */
  expose(): string;
}

// The authenticator

/** An authenticator. `authenticate` says who sent a request, or throws a {@link Refusal}. */
export interface Plugin {
  authenticate(request: Request): Grant | Promise<Grant>;
}

/** What the module exports: `export const { plugin, authenticator } = exported(MyPlugin, SETTINGS)`. */
export function exported<S extends Record<string, Setting<unknown>>>(
  Plugin: new (settings: SettingsOf<S>) => Plugin,
  settings: S,
): {
  plugin: { settingsSchema(): string; configure(json: string): void };
  authenticator: { authenticate(request: Request): Promise<Grant> };
};

// What an authenticator answers

/** Lets the user in. */
export function grant(
  name: string,
  options?: {
    groups?: string[];
    admin?: boolean;
    attributes?: Record<string, string>;
    /** How many seconds the gateway may reuse this decision; fractions are cut off. */
    validFor?: number;
    responseHeaders?: Header[];
  },
): Grant;
/** A challenge, such as `challenge("Bearer", { realm: "api" })`. */
export function challenge(scheme: string, parameters?: Record<string, string>): Challenge;
/** To be thrown: the request has no credentials of this kind, and the next authenticator is asked. */
export function notMine(challenge?: Challenge): Refusal;
/** To be thrown: the credentials are of this kind, and not valid: 401. The reason is for the operator's log. */
export function unauthenticated(reason: string, challenge?: Challenge): Refusal;
/** To be thrown: the user is known, and not allowed in: 403. */
export function forbidden(reason: string, challenge?: Challenge): Refusal;
/** To be thrown: this authenticator can't decide now, for example because its provider is down: 503. */
export function unavailable(reason: string): Refusal;
/** To be thrown: the client gets this response, for example a redirect to a login page. */
export function respond(status: number, headers?: Header[], body?: Uint8Array): Refusal;
/** Writes a line to the gateway's log. Never a credential. */
export function log(level: "trace" | "debug" | "info" | "warn" | "error" | "critical", message: string): void;

// Credentials

/**
 * The token of `Authorization: Bearer` (RFC 6750, section 2.1), or of other schemes: visible ASCII, at most 8 KiB. Throws
 * `notMine` if there is none, and `unauthenticated` if it can't be used or if there are several headers.
 */
export function bearer(request: Request, challenge?: Challenge, schemes?: string[]): string;
/**
 * The user name and the password of `Authorization: Basic` (RFC 7617), in UTF-8 or else in Latin-1. Throws `notMine` if there
 * are none, and `unauthenticated` if they can't be read or if there are several headers.
 */
export function basic(request: Request, challenge?: Challenge): { user: string; password: string };
/** Compares secrets. The time depends on the length of `given` alone. */
export function constantTimeEqual(given: Uint8Array, expected: Uint8Array): boolean;
/**
 * A key for `portcullis:auth/cache` that is a hash and reveals none of its parts. The gateway keeps keys and values in its
 * memory, so hash a credential instead of storing it.
 */
export function cacheKey(...parts: (string | Uint8Array)[]): Promise<string>;

// Requests to other servers

/** Why there is no response. The text repeats no header and no body. */
export class HttpError extends Error {}

/**
 * Sends a request to a server that the operator granted (`grants.http`) and waits for the whole response, whatever its
 * status. Throws an {@link HttpError}.
 */
export function fetch(
  url: string,
  options?: {
    method?: string;
    headers?: [name: string, value: string | Uint8Array][];
    body?: Uint8Array;
    /** Seconds for everything, redirects included. Default: 5. */
    timeout?: number;
    /** The size of the response's body in bytes. Default: 1 MiB. */
    maxBody?: number;
    /** How many redirects are followed, to the same scheme, host and port only. Default: 0. */
    redirects?: number;
    /** Asks for a newer response than the one that the gateway may have stored. */
    fresh?: boolean;
  },
): Response;

// JSON Web Tokens

/** The claims of a verified token. A claim within a claim is written with dots: `realm_access.roles`. */
export class Claims {
  private constructor();
  /** How many more seconds the token is valid. */
  readonly remaining: number;
  /** The claim at this path, or `undefined`. A claim whose own name has dots is found first. */
  find(path: string): unknown;
  /** The claim as the user's name: text, a whole number, or the first of a list. Throws `unauthenticated`. */
  name(path: string): string;
  /**
   * The claim as groups: a text, the items of a list, or the names in an object. What isn't text, is empty or too long is left
   * out. Throws `unauthenticated` for a control character.
   */
  groups(path: string): string[];
  /**
   * The claim as the value of an attribute: text, a number, a boolean, or the first of a list. `undefined` if it is anything
   * else, empty, or longer than 4 KiB. Throws `unauthenticated` for a control character.
   */
  text(path: string): string | undefined;
  /** Whether the claim is `true`, and not the text `"true"`. */
  isTrue(path: string): boolean;
  /** The scopes: in `scope`, joined by spaces (RFC 8693, section 4.2), or in `scp`; either may be a list. */
  scopes(): string[];
}

/**
 * Verifies bearer tokens of one issuer (RFC 7519, RFC 6750). The key decides which algorithms it verifies, never the token;
 * `exp`, `iss` and `aud` must be there; `crit`, `none`, HMAC and keys that a token brings along are refused.
 */
export class Jwt {
  /** Throws a {@link SettingsError}. */
  constructor(options: {
    issuer: string;
    audiences: string[];
    keys: Jwks;
    /** Default: all of public keys. */
    algorithms?: string[];
    /** A token must state one of these types (RFC 8725, section 3.11). */
    typ?: string[];
    /** How many seconds the clocks may differ. Default: 60. */
    leeway?: number;
    /** The realm in the challenge. Default: `portcullis`. */
    realm?: string;
    /** Longer tokens are refused unread. Default: 16 KiB. */
    maxTokenBytes?: number;
  });
  /**
   * The claims of the token in `Authorization: Bearer`. Throws the refusal that fits: `notMine`, `unauthenticated` or
   * `unavailable`.
   */
  claims(request: Request): Promise<Claims>;
  /** The claims of a token from another place, such as a cookie. Throws the same refusals. */
  claimsOf(token: string): Promise<Claims>;
}

/**
 * The public keys that an issuer publishes as a JWK Set (RFC 7517). All instances share them by the gateway's cache.
 *
 * Whatever tokens arrive, they are fetched when `cacheTtl` has passed or when no key verifies a token, and then not again for
 * `minRefreshInterval`. Of several instances at once, one fetches. While the issuer can't be reached, they are used for
 * `staleIfError` more.
 */
export class Jwks {
  /**
   * Throws a {@link SettingsError} if the URL isn't https: whoever can change the answer decides who is let in. `http` is
   * accepted from this machine, or with `insecureHttp`.
   */
  constructor(
    url: string,
    options?: {
      /** Seconds of one fetch. Default: 2. */
      timeout?: number;
      /** Seconds. Default: 600. */
      cacheTtl?: number;
      /** Seconds. Default: 30. */
      minRefreshInterval?: number;
      /** Seconds. Default: a day. */
      staleIfError?: number;
      /** Default: 1 MiB. */
      maxBytes?: number;
      insecureHttp?: boolean;
    },
  );
}

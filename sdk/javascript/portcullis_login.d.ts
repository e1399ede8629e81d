// The types of portcullis_login.js, and what each part does.

import type { Grant, Plugin, Request, Secret, Setting, SettingsOf } from "./portcullis.js";

/** One attempt to log in, of one browser. */
export interface Flow {
  /** To be sent to the provider as `state`. The gateway has checked it when it calls `finish`. */
  state: string;
  /** Where the provider sends the browser back to, as it is registered there. */
  redirectUri: string;
  /** Whether the provider must ask the user nothing (OpenID Connect: `prompt=none`). */
  silent: boolean;
}

/** Where the browser goes, and what `finish` gets back. */
export interface Departure {
  location: string;
  memo: Uint8Array;
}

/** Somebody has logged in, or a session still holds. */
export interface Arrival {
  grant: Grant;
  keep: Uint8Array | undefined;
  handles: string[];
}

/** A plugin that logs people in. A refusal is thrown. */
export abstract class LoginPlugin implements Plugin {
  /** Says who sent a request with credentials. By default it knows none. */
  authenticate(request: Request): Grant | Promise<Grant>;
  /** Begins an attempt: where does the browser go? */
  abstract begin(flow: Flow): Departure | Promise<Departure>;
  /** Ends an attempt, with the memo of `begin` and the parameters of the callback. The gateway has checked the state. */
  abstract finish(flow: Flow, memo: Uint8Array, parameters: Map<string, string>): Arrival | Promise<Arrival>;
  /** Says whether a session still holds, with what it keeps. By default only the browser can tell. */
  renew(keep: Uint8Array): Arrival | Promise<Arrival>;
  /** The URL at which the provider signs the user out. By default there is none. */
  end(keep: Uint8Array | undefined, returnTo: string): string | undefined | Promise<string | undefined>;
  /** Receives a notice of the provider, and returns the handles whose sessions are over. By default none is accepted. */
  notice(parameters: Map<string, string>): string[] | Promise<string[]>;
}

/** What the module exports: `export const { plugin, authenticator, login } = exportedLogin(MyLogin, SETTINGS)`. */
export function exportedLogin<S extends Record<string, Setting<unknown>>>(
  Plugin: new (settings: SettingsOf<S>) => LoginPlugin,
  settings: S,
): {
  plugin: { settingsSchema(): string; configure(json: string): void };
  authenticator: { authenticate(request: Request): Promise<Grant> };
  login: {
    begin(flow: Flow): Promise<Departure>;
    finish(flow: Flow, memo: Uint8Array, parameters: [name: string, value: string][]): Promise<Arrival>;
    renew(keep: Uint8Array): Promise<Arrival>;
    end(keep: Uint8Array | undefined, returnTo: string): Promise<string | undefined>;
    notice(parameters: [name: string, value: string][]): Promise<string[]>;
  };
};

/** Sends the browser to this URL, within the operator's `grants.login`. `finish` gets the memo: at most 512 bytes. */
export function departure(location: string, memo?: Uint8Array): Departure;

/**
 * This user has logged in: `arrival(grant("alice"), { renewAfter: 300 })`. After so many seconds, at least one, the gateway calls
 * `renew` with what the session keeps: at most 2 KiB, which it seals in the session's cookie. By the handles, at most 4, the
 * provider may end the session.
 */
export function arrival(
  user: Grant,
  options: { renewAfter: number; keep?: string | Uint8Array; handles?: string[] },
): Arrival;

/** What a token endpoint answers. */
export interface Tokens {
  access_token: string;
  [member: string]: unknown;
}

/** The authorization code flow with PKCE (RFC 6749, section 4.1; RFC 7636) at one provider. */
export class OAuth {
  constructor(provider: {
    authorizeUrl: string;
    tokenUrl: string;
    clientId: string;
    clientSecret?: Secret;
    scope?: string;
    /** What the provider calls itself in its answers (RFC 9207). Then its answers must have it. */
    issuer?: string;
    /** How many seconds the provider may take to answer. Default: 2. */
    timeout?: number;
    /** Sends id and secret in the form, and not as HTTP Basic. */
    secretInForm?: boolean;
  });
  /** Where the browser goes, with further parameters, and the verifier as the memo. A silent flow has `prompt=none`. */
  begin(flow: Flow, parameters?: Record<string, string>): Promise<Departure>;
  /** Exchanges the code of a callback, which is sent once. Throws a refusal if the provider refuses or can't be asked. */
  finish(flow: Flow, memo: Uint8Array, parameters: Map<string, string>): Promise<Tokens>;
  /** New tokens for a refresh token. Many providers accept each one once and answer with the next one. */
  refresh(refreshToken: string): Promise<Tokens>;
}

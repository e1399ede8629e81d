// The types of portcullis_authorizer.js, and what each part does.

import type { Request, Setting, SettingsOf, User } from "./portcullis.js";

/** The user of a request, and the operator's name for the authenticator that identified the user. */
export interface Principal {
  user: User;
  authenticator: string;
}

/** The permission to make a request. */
export interface Permit {
  /** How many seconds the gateway may reuse this for the same user and the same answers to what was asked. */
  validFor: number | undefined;
  /** Facts for the application: at most 16. */
  attributes: [name: string, value: string][];
}

/** A plugin that says whether a user may make a request. A denial is thrown: `forbidden`, `respond` and `unavailable` of portcullis.js,
 * or `hidden`. */
export abstract class AuthorizerPlugin {
  /** Permits a request of this user, or throws a denial. */
  abstract authorize(request: Request, principal: Principal): Permit | Promise<Permit>;
  /** The same for a request without a user, on a route that accepts those. By default it is denied. */
  authorizeAnonymous(request: Request): Permit | Promise<Permit>;
}

/** What the module exports: `export const { plugin, authorizer } = exportedAuthorizer(MyPolicy, SETTINGS)`. */
export function exportedAuthorizer<S extends Record<string, Setting<unknown>>>(
  Plugin: new (settings: SettingsOf<S>) => AuthorizerPlugin,
  settings: S,
): {
  plugin: { settingsSchema(): string; configure(json: string): void };
  authorizer: { authorize(request: Request, principal: Principal | undefined): Promise<Permit> };
};

/** Permits the request. `validFor` is how many seconds the gateway may reuse this; fractions are cut off. */
export function permit(options?: { validFor?: number; attributes?: Record<string, string> }): Permit;

/** To be thrown: as if what the request is for weren't there, 404. The reason is for the operator's log. */
export function hidden(reason: string): { tag: "hidden"; val: string };

/** Whether the method is one by which a client only reads (RFC 9110, section 9.2.1). */
export function isSafe(request: Request): boolean;

/** Whether the user is in a group of this name. */
export function isIn(user: User, group: string): boolean;

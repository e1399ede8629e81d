// An OpenID provider on 127.0.0.1 for the tests: panva's oidc-provider, with a client for each signature algorithm.
// Prints one JSON line with its issuer when it listens. `/_test/…` is the tests' own hand on it, listed at the end.
import http from 'node:http';
import { SignJWT, exportJWK, generateKeyPair, importJWK } from 'jose';
import Provider, { errors } from 'oidc-provider';

const AUDIENCE = 'https://gateway.test/api';
const OPAQUE_AUDIENCE = `${AUDIENCE}/opaque`;
const ALGORITHMS = ['RS256', 'ES256', 'EdDSA'];
const GROUPS = { alice: ['staff', 'ml'], bob: ['staff'] };
const TTL_SECONDS = 300;

const server = http.createServer((request, response) => route(request, response));
await new Promise((listening) => server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', listening));
const issuer = `http://127.0.0.1:${server.address().port}`;
const hits = {};
const gone = new Set();
let logins = [];
let pushed = false;
let gateway = '';
let held;
let exchange;
let keys = await Promise.all(ALGORITHMS.map((alg) => newKey(alg, `${alg}-1`)));
let provider = newProvider();
console.log(JSON.stringify({ issuer, audience: AUDIENCE, opaque_audience: OPAQUE_AUDIENCE }));

async function newKey(alg, kid) {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  return { ...await exportJWK(privateKey), kid, alg, use: 'sig' };
}

function newProvider() {
  const made = new Provider(issuer, {
    jwks: { keys },
    clients: [...ALGORITHMS.map((alg) => ({
      client_id: alg,
      client_secret: `secret-of-${alg}`,
      grant_types: ['authorization_code', 'client_credentials'],
      response_types: ['code'],
      redirect_uris: [`${issuer}/_test/callback`],
    })), ...logins],
    scopes: ['openid', 'gateway', 'offline_access'],
    claims: { openid: ['sub'], gateway: ['groups'], profile: ['preferred_username'] },
    // What the id_token has, userinfo needn't be asked for.
    conformIdTokenClaims: false,
    issueRefreshToken: (_, client) => client.clientId === 'fresh',
    // One that is used again ends all that were given for the login.
    rotateRefreshToken: true,
    // It sends nothing to this machine, so the gateway has a name for it. Nobody else is sent anything.
    fetch: (url, { dispatcher, ...options }) => fetch(String(url).replace(new URL(url).origin, gateway), options),
    ttl: { AccessToken: TTL_SECONDS, ClientCredentials: TTL_SECONDS },
    findAccount: (_, sub) => gone.has(sub) ? undefined : {
      accountId: sub,
      claims: () => ({ sub, groups: GROUPS[sub] ?? [], preferred_username: sub }),
    },
    extraTokenClaims: (_, token) => token.accountId
      ? { groups: GROUPS[token.accountId] ?? [], email: `${token.accountId}@example.test` }
      : { groups: ['services'] },
    features: {
      devInteractions: { enabled: true },
      backchannelLogout: { enabled: true },
      pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: pushed },
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => AUDIENCE,
        useGrantedResource: () => true,
        getResourceServerInfo: (_, resource, client) => {
          if (![AUDIENCE, OPAQUE_AUDIENCE].includes(resource)) throw new errors.InvalidTarget();
          return {
            audience: resource,
            scope: 'gateway',
            accessTokenFormat: resource === AUDIENCE ? 'jwt' : 'opaque',
            accessTokenTTL: TTL_SECONDS,
            jwt: { sign: { alg: ALGORITHMS.includes(client.clientId) ? client.clientId : 'RS256' } },
          };
        },
      },
    },
  });
  for (const outcome of ['grant.success', 'grant.error']) {
    made.on(outcome, ({ oidc, body }) => {
      count(`/token ${oidc.params?.grant_type}`);
      exchange = { ...oidc.params, ...body };
    });
  }
  return made.callback();
}

function count(what) {
  hits[what] = (hits[what] ?? 0) + 1;
}

const control = {
  // Where a login ends: shows the authorization code to the test that plays the browser.
  'GET /_test/callback': (_, url) => Object.fromEntries(url.searchParams),
  // The clients through which people log in at gateways, whether all must push their requests (RFC 9126), and where
  // the gateway is that gets its notices, whatever its name.
  'POST /_test/logins': async ({ clients, require_pushed = false, gateway: url = '' }) => {
    [logins, pushed, gateway] = [clients, require_pushed, url];
    provider = newProvider();
    return {};
  },
  // Deletes an account.
  'POST /_test/delete': async ({ user }) => ({ deleted: Boolean(gone.add(user)) }),
  // Changes somebody's groups.
  'POST /_test/groups': async ({ user, groups }) => Object.assign(GROUPS, { [user]: groups }),
  // Lets requests for a path wait until they are released.
  'POST /_test/hold': async ({ path }) => {
    held = { path, ...Promise.withResolvers() };
    return {};
  },
  'POST /_test/release': async () => {
    held.resolve();
    held = undefined;
    return {};
  },
  // How often each path was asked, and the token endpoint for each kind of grant: `/token refresh_token`.
  'GET /_test/hits': () => hits,
  // What the token endpoint was asked last, and what it has answered.
  'GET /_test/exchange': () => exchange,
  // Puts a new key first and drops the named ones: {"alg", "kid", "drop": [kid]}.
  'POST /_test/rotate': async ({ alg, kid, drop = [] }) => {
    keys = [await newKey(alg, kid), ...keys.filter((key) => !drop.includes(key.kid))];
    provider = newProvider();
    return keys.map((key) => key.kid);
  },
  // Signs any claims under one of the provider's keys: {"kid", "header", "claims"}.
  'POST /_test/sign': async ({ kid, header = {}, claims }) => {
    const key = keys.find((candidate) => candidate.kid === kid);
    const token = new SignJWT(claims).setProtectedHeader({ alg: key.alg, kid, typ: 'at+jwt', ...header });
    const crit = Object.fromEntries((header.crit ?? []).map((name) => [name, true]));
    return { token: await token.sign(await importJWK(key, key.alg), { crit }) };
  },
};

async function route(request, response) {
  const url = new URL(request.url, issuer);
  const action = control[`${request.method} ${url.pathname}`];
  if (!action) {
    count(url.pathname);
    if (held?.path === url.pathname) await held.promise;
    return provider(request, response);
  }
  const body = (await request.toArray()).join('') || '{}';
  response.setHeader('content-type', 'application/json');
  return response.end(JSON.stringify(await action(JSON.parse(body), url)));
}

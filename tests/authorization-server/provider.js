// A real authorization server (oidc-provider) with an API behind it, on a free port of this machine.
//
//   node provider.js '{"redirects": ["http://127.0.0.1:9/callback"], "accessSeconds": 3600}'
//
// The first line of standard output is "ready " and JSON: issuer, and private keys of clients that have some. SIGTERM ends
// it. What tests do to it goes through /control.
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import http from 'node:http';

import * as jose from 'jose';
import Provider, { errors } from 'oidc-provider';

import { consentPage, loginPage } from './pages.js';

const options = { redirects: [], accessSeconds: 3600, ...JSON.parse(process.argv[2] ?? '{}') };
// What it warns of is that it is a test server: in memory, over http.
console.info = () => {};
console.warn = () => {};

const keys = {};
for (const [alg, type, how] of [
  ['RS256', 'rsa', { modulusLength: 2048 }],
  ['PS256', 'rsa', { modulusLength: 2048 }],
  ['ES256', 'ec', { namedCurve: 'P-256' }],
]) {
  const pair = generateKeyPairSync(type, how);
  keys[alg] = {
    pem: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    jwk: { ...pair.publicKey.export({ format: 'jwk' }), kid: `key-${alg}`, use: 'sig', alg },
  };
}
const assertionKeys = jose.createLocalJWKSet({ keys: Object.values(keys).map((key) => key.jwk) });
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code';

const connected = { grant_types: ['authorization_code', 'refresh_token'], redirect_uris: options.redirects };
const alone = { redirect_uris: [], response_types: [] };
const clients = [
  { client_id: 'web-basic', client_secret: 's3cret-basic', token_endpoint_auth_method: 'client_secret_basic', ...connected },
  { client_id: 'web-post', client_secret: 's3cret-post', token_endpoint_auth_method: 'client_secret_post', ...connected },
  { client_id: 'web-public', token_endpoint_auth_method: 'none', ...connected },
  { client_id: 'machine-basic', client_secret: 's3cret: +/%', token_endpoint_auth_method: 'client_secret_basic', ...alone, grant_types: ['client_credentials', EXCHANGE] },
  { client_id: 'machine-post', client_secret: 's3cret-post', token_endpoint_auth_method: 'client_secret_post', ...alone, grant_types: ['client_credentials'] },
  { client_id: 'tv', token_endpoint_auth_method: 'none', ...alone, grant_types: [DEVICE, 'refresh_token'] },
  { client_id: 'signer', token_endpoint_auth_method: 'none', ...alone, grant_types: [JWT_BEARER] },
  ...Object.entries(keys).map(([alg, key]) => ({
    client_id: `key-${alg}`,
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: alg,
    jwks: { keys: [key.jwk] },
    ...connected,
    grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
  })),
];

const listener = http.createServer();
await new Promise((resolve) => { listener.listen(0, '127.0.0.1', resolve); });
const issuer = `http://127.0.0.1:${listener.address().port}`;

const provider = new Provider(issuer, {
  clients: clients.filter((client) => client.redirect_uris.length || client.response_types),
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: 'server', use: 'sig', alg: 'RS256' }] },
  cookies: { keys: [randomUUID()] },
  scopes: ['openid', 'offline_access', 'contacts', 'orders'],
  clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'],
  enabledJWA: { clientAuthSigningAlgValues: ['RS256', 'PS256', 'ES256'] },
  pkce: { required: () => true },
  rotateRefreshToken: () => true,
  issueRefreshToken: async (ctx, client) => client.grantTypeAllowed('refresh_token'),
  ttl: {
    AccessToken: options.accessSeconds, ClientCredentials: options.accessSeconds, AuthorizationCode: 60,
    RefreshToken: 86400, DeviceCode: 60, Grant: 86400, IdToken: 600, Interaction: 600, Session: 600,
  },
  findAccount: async (ctx, id) => ({ accountId: id, claims: async () => ({ sub: id }) }),
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  features: {
    clientCredentials: { enabled: true },
    deviceFlow: { enabled: true },
    devInteractions: { enabled: false },
    introspection: { enabled: true },
    revocation: { enabled: true },
  },
});

// A token of the client's own, for the two grants that the library leaves to its users.
async function issue(ctx, scope, extra = {}) {
  const token = new provider.ClientCredentials({ client: ctx.oidc.client, scope });
  const value = await token.save();
  ctx.body = { access_token: value, token_type: 'Bearer', expires_in: token.expiration, scope, ...extra };
}

provider.registerGrantType(EXCHANGE, async (ctx) => {
  const { subject_token: subject, subject_token_type: type, scope } = ctx.oidc.params;
  const found = await provider.ClientCredentials.find(subject) ?? await provider.AccessToken.find(subject);
  if (!found || type !== 'urn:ietf:params:oauth:token-type:access_token') {
    throw new errors.InvalidRequest('the subject token is unknown');
  }
  await issue(ctx, scope, { issued_token_type: 'urn:ietf:params:oauth:token-type:access_token' });
}, ['subject_token', 'subject_token_type', 'actor_token', 'actor_token_type', 'audience', 'scope']);

provider.registerGrantType(JWT_BEARER, async (ctx) => {
  try {
    const { payload } = await jose.jwtVerify(ctx.oidc.params.assertion, assertionKeys, {
      issuer: 'signer', audience: issuer, subject: 'jo', requiredClaims: ['iat', 'exp'], maxTokenAge: '10 minutes',
    });
    await issue(ctx, `contacts for ${payload.sub}`);
  } catch (error) {
    throw new errors.InvalidGrant(`assertion: ${error.code ?? error.message}`);
  }
}, ['assertion', 'scope']);

const seen = { token: [], api: 0, refused: 0 };
const issued = new Set();
for (const event of ['access_token.saved', 'client_credentials.saved']) {
  provider.on(event, (token) => issued.add(token.jti));
}
let [lose, delay] = [false, 0];

async function control(ctx) {
  const action = ctx.path.slice('/control/'.length);
  if (action === 'expire') {
    const all = [...issued].map(async (id) => {
      await (await provider.AccessToken.find(id))?.destroy();
      await (await provider.ClientCredentials.find(id))?.destroy();
    });
    issued.clear();
    await Promise.all(all);
  } else if (action === 'lose') {
    lose = true;
  } else if (action === 'delay') {
    delay = Number(ctx.query.ms);
  } else if (action !== 'seen') {
    ctx.throw(404);
  }
  ctx.body = seen;
}

// The API: /api/<scope> wants a token with that scope.
async function api(ctx) {
  seen.api += 1;
  const value = /^Bearer (.+)$/.exec(ctx.get('authorization'))?.[1] ?? '';
  const token = await provider.AccessToken.find(value) ?? await provider.ClientCredentials.find(value);
  const scope = ctx.path.slice('/api/'.length);
  if (!token) {
    seen.refused += 1;
    ctx.status = 401;
    ctx.set('www-authenticate', 'Bearer error="invalid_token"');
    ctx.body = { error: 'invalid_token' };
  } else if (!(token.scope ?? '').split(' ').includes(scope)) {
    ctx.status = 403;
    ctx.set('www-authenticate', `Bearer error="insufficient_scope", scope="${scope}"`);
    ctx.body = { error: 'insufficient_scope', error_description: `the token lacks the scope ${scope}` };
  } else {
    ctx.body = { account: token.accountId ?? token.clientId };
  }
}

async function form(req) {
  let text = '';
  for await (const chunk of req) {
    text += chunk;
    if (text.length > 10_000) throw new Error('too large');
  }
  return new URLSearchParams(text);
}

async function interaction(ctx) {
  const { uid, prompt, params, session, grantId } = await provider.interactionDetails(ctx.req, ctx.res);
  const missing = prompt.details.missingOIDCScope ?? [];
  if (ctx.method === 'GET') {
    ctx.type = 'html';
    ctx.body = prompt.name === 'login' ? loginPage(uid) : consentPage(uid, params.client_id, missing);
    return;
  }
  const fields = await form(ctx.req);
  let result;
  if (fields.has('decline')) {
    result = { error: 'access_denied', error_description: 'the user declined' };
  } else if (prompt.name === 'login') {
    result = fields.get('password') === 'Welcome1' ? { login: { accountId: fields.get('login') } } : undefined;
  } else {
    const grant = grantId ? await provider.Grant.find(grantId)
      : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
    const always = ['openid', 'offline_access'];
    const granted = missing.filter((scope) => always.includes(scope) || fields.getAll('scope').includes(scope));
    const rejected = missing.filter((scope) => !granted.includes(scope));
    if (granted.length) grant.addOIDCScope(granted.join(' '));
    if (rejected.length) grant.rejectOIDCScope(rejected.join(' '));
    if (prompt.details.missingOIDCClaims) grant.addOIDCClaims(prompt.details.missingOIDCClaims);
    result = { consent: { grantId: await grant.save() } };
  }
  if (!result) {
    ctx.type = 'html';
    ctx.body = loginPage(uid, 'Wrong user or password.');
    return;
  }
  ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, result, { mergeWithLastSubmission: false }));
  ctx.status = 303;
}

provider.use(async (ctx, next) => {
  if (ctx.path.startsWith('/control/')) return control(ctx);
  if (ctx.path.startsWith('/api/')) return api(ctx);
  if (ctx.path.startsWith('/interaction/')) return interaction(ctx);
  if (ctx.path === '/token' && delay) await new Promise((resolve) => { setTimeout(resolve, delay); });
  await next();
  if (ctx.path === '/token') {
    seen.token.push({ grant: ctx.oidc?.params?.grant_type, status: ctx.status });
    if (lose && ctx.status === 200) {
      lose = false;
      ctx.respond = false;
      ctx.req.socket.destroy();
    }
  }
  return undefined;
});

listener.on('request', provider.callback());
process.on('SIGTERM', () => process.exit(0));
const pems = Object.fromEntries(Object.entries(keys).map(([alg, key]) => [alg, key.pem]));
process.stdout.write(`ready ${JSON.stringify({ issuer, keys: pems })}\n`);

// Starts the identity provider on 127.0.0.1: `node server.js [port]`. Port 0 or none takes a free one. Prints one line
// when it can be used: `ready http://127.0.0.1:PORT`.

import './quiet.js'
import { generateKeyPairSync } from 'node:crypto'
import http from 'node:http'
import { Provider } from 'oidc-provider'

const HOST = '127.0.0.1'
const REDIRECT = 'https://orders.example.com/login/provider'
const API = 'https://orders.example.com/api'

const USER = { sub: 'u-17', name: 'Ánn 🔑', email: 'ann@example.com', email_verified: true, groups: ['ops'] }

function key(kid, alg, type, options) {
  const jwk = generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' })
  return { ...jwk, kid, alg, use: 'sig' }
}

function client(id, method, alg, more = {}) {
  return {
    client_id: id,
    client_secret: method === 'none' ? undefined : `secret of ${id}: 32 bytes and more`,
    redirect_uris: [REDIRECT],
    response_types: ['code'],
    grant_types: ['authorization_code'],
    token_endpoint_auth_method: method,
    id_token_signed_response_alg: alg,
    ...more,
  }
}

function configuration() {
  return {
    jwks: {
      keys: [
        key('rsa-1', 'RS256', 'rsa', { modulusLength: 2048 }),
        key('pss-1', 'PS256', 'rsa', { modulusLength: 2048 }),
        key('ec-1', 'ES256', 'ec', { namedCurve: 'P-256' }),
      ],
    },
    clients: [
      client('rs256', 'client_secret_basic', 'RS256'),
      client('ps256', 'client_secret_basic', 'PS256'),
      client('es256', 'client_secret_basic', 'ES256'),
      client('public', 'none', 'RS256'),
      client('program', 'client_secret_basic', 'RS256', {
        redirect_uris: [],
        response_types: [],
        grant_types: ['client_credentials'],
      }),
    ],
    claims: { openid: ['sub'], profile: ['name', 'groups'], email: ['email', 'email_verified'] },
    scopes: ['openid', 'profile', 'email', 'orders:read'],
    findAccount: (_ctx, id) => ({ accountId: id, claims: () => USER }),
    // Anything else than PKCE with S256 is refused.
    pkce: { required: () => true },
    interactions: { url: (_ctx, interaction) => `/login/${interaction.uid}` },
    cookies: { keys: ['only for tests'] },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({
          scope: 'orders:read',
          audience: API,
          accessTokenFormat: 'jwt',
          accessTokenTTL: 300,
          jwt: { sign: { alg: 'ES256', kid: 'ec-1' } },
        }),
      },
    },
  }
}

// The login page: whoever comes is the user, or says no where the login was begun with `login_hint=nobody`.
async function logIn(provider, req, res) {
  const { params } = await provider.interactionDetails(req, res)
  if (params.login_hint === 'nobody') {
    const result = { error: 'access_denied', error_description: 'the user said no' }
    return provider.interactionFinished(req, res, result, { mergeWithLastSubmission: false })
  }
  const grant = new provider.Grant({ accountId: USER.sub, clientId: params.client_id })
  grant.addOIDCScope(params.scope)
  const grantId = await grant.save()
  const result = { login: { accountId: USER.sub }, consent: { grantId } }
  return provider.interactionFinished(req, res, result, { mergeWithLastSubmission: false })
}

async function main() {
  const port = Number(process.argv[2] ?? 0)
  if (!Number.isInteger(port) || port < 0 || port > 65535) throw new Error('the port must be a number from 0 to 65535')
  const server = http.createServer()
  await new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, HOST, resolve)
  })
  const url = `http://${HOST}:${server.address().port}`
  const provider = new Provider(url, configuration())
  provider.on('server_error', (_ctx, error) => process.stderr.write(`${error.stack}\n`))
  const rest = provider.callback()
  server.on('request', (req, res) => {
    if (!req.url.startsWith('/login/')) return rest(req, res)
    return logIn(provider, req, res).catch((error) => {
      process.stderr.write(`${error.stack}\n`)
      res.writeHead(500).end()
    })
  })
  for (const signal of ['SIGTERM', 'SIGINT']) {
    process.once(signal, () => {
      server.close(() => process.exit(0))
      server.closeAllConnections()
    })
  }
  process.stdout.write(`ready ${url}\n`)
}

main().catch((error) => {
  process.stderr.write(`${error?.stack ?? error}\n`)
  process.exit(1)
})

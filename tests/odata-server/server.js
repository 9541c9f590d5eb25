'use strict'

// Starts the OData server on 127.0.0.1: `node server.js [port]`, or PORT in
// the environment. Port 0 or none takes a free one. Prints one line when it
// can be used: `ready http://127.0.0.1:PORT`.

process.chdir(__dirname)

const http = require('node:http')
const express = require('express')
const cds = require('@sap/cds')
const { generate } = require('./db/generate')
const { FROM_V2 } = require('./srv/numbers')

const HOST = '127.0.0.1'

async function main() {
  const port = Number(process.argv[2] ?? process.env.PORT ?? 0)
  if (!Number.isInteger(port) || port < 0 || port > 65535) throw new Error('the port must be a number from 0 to 65535')

  cds.root = __dirname
  await cds.plugins
  const app = express()
  app.disable('x-powered-by')
  app.use('/odata/v2', (req, _res, next) => {
    req.headers[FROM_V2] = '1'
    next()
  })
  // The framework listens on all interfaces by itself; only ours may be open.
  const server = http.createServer(app)
  app.listen = () => server.listen(port, HOST)

  cds.on('served', async () => {
    const rows = generate()
    const db = await cds.connect.to('db')
    await db.tx(async (tx) => {
      for (const [entity, entries] of Object.entries(rows)) {
        await tx.run(cds.ql.INSERT.into(`acople.test.${entity}`).entries(entries))
      }
    })
  })

  await cds.server({ app, in_memory: true, silent: true })
  await new Promise((resolve, reject) => {
    server.once('listening', resolve)
    server.once('error', reject)
  })
  const url = `http://${HOST}:${server.address().port}`
  cds.server.url = url
  await cds.emit('listening', { server, url })
  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => stop(server))
  process.stdout.write(`ready ${url}\n`)
}

function stop(server) {
  server.close(() => process.exit(0))
  server.closeAllConnections()
}

main().catch((error) => {
  process.stderr.write(`${error?.stack ?? error}\n`)
  process.exit(1)
})

// oauth2-mock-server, whose token answers are changed as tests want them, on a free port of this machine.
//
//   node odd.js
//
// The first line of standard output is "ready " and JSON with the issuer. PUT /odd with JSON sets what the next token answers
// are like: {"status": 200, "set": {..}, "drop": [..], "text": "..", "type": "text/html", "ms": 0, "times": 1}.
import http from 'node:http';

import { OAuth2Server } from 'oauth2-mock-server';

const server = new OAuth2Server();
await server.issuer.keys.generate('RS256');
await server.start(0, '127.0.0.1');
const issuer = `http://127.0.0.1:${server.address().port}`;

let [odd, calls] = [null, 0];
server.service.on('beforeResponse', (answer) => {
  if (!odd) return;
  if (odd.status) answer.statusCode = odd.status;
  Object.assign(answer.body, odd.set ?? {});
  for (const member of odd.drop ?? []) delete answer.body[member];
});

// What the library cannot do (other types of content, slowness, a connection that ends) is done in front of it.
const front = http.createServer((req, res) => {
  if (req.method === 'PUT') {
    let text = '';
    req.on('data', (chunk) => { text += chunk; });
    req.on('end', () => { odd = { times: 1, ...JSON.parse(text) }; calls = 0; res.end('{}'); });
    return;
  }
  if (req.url === '/calls') {
    res.end(JSON.stringify({ calls }));
    return;
  }
  const now = req.url.startsWith('/token') ? odd : null;
  if (req.url.startsWith('/token')) calls += 1;
  const answer = () => {
    if (now?.text !== undefined) {
      res.writeHead(now.status ?? 200, { 'content-type': now.type ?? 'application/json' });
      res.end(now.text.repeat(now.repeat ?? 1));
      done();
      return;
    }
    const inner = http.request(issuer + req.url, { method: req.method, headers: req.headers }, (reply) => {
      res.writeHead(reply.statusCode, reply.headers);
      reply.pipe(res);
      reply.on('end', done);
    });
    inner.on('error', () => res.destroy());
    req.pipe(inner);
  };
  const done = () => { if (now && --now.times <= 0 && odd === now) odd = null; };
  setTimeout(answer, now?.ms ?? 0);
});
await new Promise((resolve) => { front.listen(0, '127.0.0.1', resolve); });
process.on('SIGTERM', () => process.exit(0));
process.stdout.write(`ready ${JSON.stringify({ issuer: `http://127.0.0.1:${front.address().port}` })}\n`);

// A SAML 2.0 identity provider that knows one user and asks for no password. It reads requests and signs answers with
// samlify and xml-crypto, which share nothing with what is tested.
//
//   node server.js <key.pem> <certificate.pem> <sp-metadata.xml> [port]
//
// Prints `ready http://127.0.0.1:<port>`. GET /sso takes a request in the redirect binding and answers with the page
// that a browser would post; `as` names how: assertion, answer or both signed, sha1.
"use strict";

const fs = require("node:fs");
const http = require("node:http");
const saml = require("samlify");

const ENTITY = "https://idp.example.com";
const [keyFile, certificateFile, metadataFile, port = "0"] = process.argv.slice(2);
const key = fs.readFileSync(keyFile, "utf8");
const certificate = fs.readFileSync(certificateFile, "utf8");
const metadata = fs.readFileSync(metadataFile, "utf8");

// The schema of requests is not what is tested.
saml.setSchemaValidator({ validate: async () => "not validated" });

const algorithms = {
  sha1: "http://www.w3.org/2000/09/xmldsig#rsa-sha1",
  sha256: "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
  sha512: "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
};

function parties(as, address) {
  const signed = as === "answer" ? "false" : "true";
  const sp = saml.ServiceProvider({
    metadata: metadata.replace(/WantAssertionsSigned="[a-z]+"/, `WantAssertionsSigned="${signed}"`),
    wantMessageSigned: as === "both" || as === "answer",
  });
  const idp = saml.IdentityProvider({
    entityID: ENTITY,
    privateKey: key,
    signingCert: certificate,
    requestSignatureAlgorithm: algorithms[as] || algorithms.sha256,
    nameIDFormat: ["urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"],
    wantAuthnRequestsSigned: true,
    singleSignOnService: [{ Binding: saml.Constants.namespace.binding.redirect, Location: `${address}/sso` }],
    singleLogoutService: [{ Binding: saml.Constants.namespace.binding.redirect, Location: `${address}/slo` }],
  });
  return { idp, sp };
}

const STATEMENTS =
  '<saml:AuthnStatement AuthnInstant="{IssueInstant}" SessionIndex="session-1"><saml:AuthnContext>' +
  "<saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport" +
  "</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement><saml:AttributeStatement>" +
  '<saml:Attribute Name="displayName" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:basic">' +
  '<saml:AttributeValue xsi:type="xs:string">Ünïcode &lt;&amp;&gt; "quoted"</saml:AttributeValue></saml:Attribute>' +
  '<saml:Attribute Name="groups"><saml:AttributeValue>admins</saml:AttributeValue>' +
  "<saml:AttributeValue>staff</saml:AttributeValue></saml:Attribute></saml:AttributeStatement>";

async function answer(address, url) {
  const as = url.searchParams.get("as") || "assertion";
  const { idp, sp } = parties(as, address);
  // The signature is over the query as it came, without what the test itself has added.
  const query = Object.fromEntries(url.searchParams);
  const octetString = url.search.slice(1).replace(/(^|&)as=[a-z0-9]+&?/, "").replace(/&Signature=.*/, "");
  delete query.as;
  const request = await idp.parseLoginRequest(sp, "redirect", { query, octetString });
  const now = new Date();
  const soon = new Date(now.getTime() + 300_000).toISOString();
  const acs = sp.entityMeta.getAssertionConsumerService("post");
  const values = {
    ID: `_${crypto.randomUUID()}`,
    AssertionID: `_${crypto.randomUUID()}`,
    Destination: acs,
    Audience: sp.entityMeta.getEntityID(),
    SubjectRecipient: acs,
    Issuer: ENTITY,
    IssueInstant: now.toISOString(),
    StatusCode: "urn:oasis:names:tc:SAML:2.0:status:Success",
    ConditionsNotBefore: now.toISOString(),
    ConditionsNotOnOrAfter: soon,
    SubjectConfirmationDataNotOnOrAfter: soon,
    NameIDFormat: "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress",
    NameID: "alice@example.com",
    InResponseTo: request.extract.request.id,
  };
  const fill = (template) => {
    const whole = template.replace("{AuthnStatement}{AttributeStatement}", STATEMENTS);
    return { id: values.ID, context: saml.SamlLib.replaceTagsByValue(whole, values) };
  };
  const relayState = url.searchParams.get("RelayState");
  const made = await idp.createLoginResponse(sp, request, "post", {}, { customTagReplacement: fill, relayState });
  const form = new URLSearchParams({ SAMLResponse: made.context, RelayState: relayState });
  return form.toString();
}

const server = http.createServer((request, response) => {
  const address = `http://127.0.0.1:${server.address().port}`;
  const url = new URL(request.url, address);
  if (url.pathname !== "/sso") {
    response.writeHead(404).end();
    return;
  }
  // A browser would get a page that posts this form by itself; the test posts it.
  answer(address, url).then(
    (form) => response.writeHead(200, { "content-type": "application/x-www-form-urlencoded" }).end(form),
    (error) => response.writeHead(400, { "content-type": "text/plain" }).end(String(error && error.message || error)),
  );
});
server.listen(Number(port), "127.0.0.1", () => {
  console.log(`ready http://127.0.0.1:${server.address().port}`);
});
for (const signal of ["SIGTERM", "SIGINT"]) {
  process.on(signal, () => process.exit(0));
}

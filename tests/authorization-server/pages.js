// The pages on which a user signs in and consents: plain forms, nothing from elsewhere.

const escape = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

const page = (title, body) => `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>${title}</title></head><body><h1>${title}</h1>${body}</body></html>`;

const decline = '<button name="decline" value="1" id="decline">Decline</button>';

export const loginPage = (uid, fault = '') => page('Sign in', `<p id="fault">${escape(fault)}</p>
<form method="post" action="/interaction/${uid}">
<input name="login" id="login" value=""><input type="password" name="password" id="password" value="">
<button id="submit">Sign in</button></form>`);

export const consentPage = (uid, client, scopes) => page('Consent', `<p>${escape(client)} asks for access.</p>
<form method="post" action="/interaction/${uid}">
${scopes.filter((scope) => !['openid', 'offline_access'].includes(scope)).map((scope) => `<label>
<input type="checkbox" name="scope" value="${escape(scope)}" id="scope-${escape(scope)}" checked>${escape(scope)}</label>`).join('')}
<button id="submit">Allow</button>${decline}</form>`);

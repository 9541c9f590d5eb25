"""Checks signed requests and tokens with libraries that are not ours.

    check.py CASES

CASES is a file with a JSON object: a list of cases for each kind below. Every case that an independent library does not
agree with is printed to standard error, whole. Standard output has how many cases of each kind agreed, as JSON. Exit
code 1: at least one did not agree.
"""

import base64
import hashlib
import hmac
import json
import sys
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import google.auth.jwt
import jwt
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography.hazmat.primitives import serialization
from google.oauth2 import service_account
from oauthlib.oauth1.rfc5849 import signature as oauth1


def public_key(pem):
    key = serialization.load_pem_private_key(pem.encode(), None).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.PEM, form)


def check_jwt(case):
    key, algorithm = public_key(case["private_key"]), case["algorithm"]
    required = ["iss", "iat"] + (["exp", "aud"] if case["audience"] else [])
    claims = jwt.decode(
        case["token"],
        key,
        algorithms=[algorithm],
        audience=case["audience"],
        issuer=case["issuer"],
        options={"require": required},
    )
    for name, value in case["claims"].items():
        assert claims.get(name) == value, f"claim {name} is {claims.get(name)!r}"
    header = jwt.get_unverified_header(case["token"])
    assert header["alg"] == algorithm and header.get("kid") == case["key_id"], header
    # google-auth knows neither PSS nor tokens without an end.
    if case["audience"] and algorithm != "PS256":
        certs = {case["key_id"]: key} if case["key_id"] else key
        google.auth.jwt.decode(case["token"], certs=certs, audience=case["audience"])


def check_service_account(case):
    """The assertion is the one that Google's own library makes of the same key file."""
    file, key = case["file"], public_key(case["file"]["private_key"])
    account = service_account.Credentials.from_service_account_info(file, scopes=case["scopes"])
    if case["user"]:
        account = account.with_subject(case["user"])
    theirs = account._make_authorization_grant_assertion()
    ours = google.auth.jwt.decode(case["token"], certs={file["private_key_id"]: key}, audience=file["token_uri"])
    theirs_claims = google.auth.jwt.decode(theirs, verify=False)
    for name in ("iss", "aud", "scope", "sub"):
        assert ours.get(name) == theirs_claims.get(name), f"{name}: {ours.get(name)!r}, {theirs_claims.get(name)!r}"
    head = google.auth.jwt.decode_header
    assert head(case["token"]) == head(theirs), head(theirs)


def check_oauth1(case):
    url = urlsplit(case["url"])
    headers = dict(case["headers"])
    form = case["body"] if case["form"] else None
    given = dict(oauth1.collect_parameters(url.query, None, headers, exclude_oauth_signature=False))
    params = oauth1.collect_parameters(url.query, form, headers)
    base = oauth1.signature_base_string(
        case["method"], oauth1.base_string_uri(case["url"]), oauth1.normalize_parameters(params)
    )
    sign = {"HMAC-SHA1": oauth1.sign_hmac_sha1, "HMAC-SHA256": oauth1.sign_hmac_sha256}
    assert given["oauth_signature_method"] == case["algorithm"], given
    expected = sign[case["algorithm"]](base, case["consumer_secret"], case["token_secret"])
    assert given["oauth_signature"] == expected, f"expected {expected} of {base}"


def check_sigv4(case):
    authorization = dict(case["headers"])["authorization"]
    scheme, rest = authorization.split(" ", 1)
    assert scheme == "AWS4-HMAC-SHA256", scheme
    parts = dict(part.split("=", 1) for part in rest.split(", "))
    signed = parts["SignedHeaders"].split(";")
    url, body = urlsplit(case["url"]), case["body"].encode()
    target = case["url"]
    if case["service"] == "s3":
        # For S3, botocore takes the path as its own serializer has encoded it.
        target = url._replace(path=quote(unquote(url.path), safe="/~")).geturl()
    request = AWSRequest(method=case["method"], url=target, data=body)
    for name, value in case["headers"]:
        if name in signed and name != "host":
            request.headers.add_header(name, value)
    # Decoded and left to them to encode: a spelling of ours cannot hide a mistake.
    request.params = parse_qsl(url.query, keep_blank_values=True)
    request.context["timestamp"] = dict(case["headers"])["x-amz-date"]
    content = dict(case["headers"]).get("x-amz-content-sha256")
    if content is not None and content != "UNSIGNED-PAYLOAD":
        assert content == hashlib.sha256(body).hexdigest(), "the digest of the body"
    assert {"host", "x-amz-date"} <= set(signed), signed
    signer = S3SigV4Auth if case["service"] == "s3" else SigV4Auth
    credentials = Credentials(case["access_key"], case["secret_key"], case["session_token"])
    auth = signer(credentials, case["service"], case["region"])
    canonical = auth.canonical_request(request.prepare() and request)
    assert auth.signed_headers(auth.headers_to_sign(request)) == parts["SignedHeaders"]
    assert parts["Credential"] == auth.scope(request), parts["Credential"]
    expected = auth.signature(auth.string_to_sign(request, canonical), request)
    assert parts["Signature"] == expected, f"expected {expected} of {canonical!r}"


def text_khipu(case):
    url = urlsplit(case["url"])
    pairs = parse_qsl(url.query, keep_blank_values=True)
    if case["form"]:
        pairs += parse_qsl(case["body"], keep_blank_values=True)
    text = case["method"] + "&" + quote(f"{url.scheme}://{url.netloc}{url.path}", safe="")
    encoded = sorted((quote(name, safe=""), quote(value, safe="")) for name, value in pairs)
    return text + "".join(f"&{name}={value}" for name, value in encoded)


def text_payu(case):
    # Numbers as they are written: PayU signs their digits.
    order = json.loads(case["body"], parse_float=str, parse_int=str)["transaction"]["order"]
    value = order["additionalValues"]["TX_VALUE"]
    return "~".join([case["secret"], case["id"], order["referenceCode"], value["value"], value["currency"]])


def text_bancard(case):
    operation = json.loads(case["body"], parse_float=str, parse_int=str)["operation"]
    return case["secret"] + operation["shop_process_id"] + operation["amount"] + operation["currency"]


def text_stamped(case):
    return f"{case['timestamp']}.{case['method']}.{urlsplit(case['url']).path}.{case['body']}"


TEXTS = {"khipu": text_khipu, "payu": text_payu, "bancard": text_bancard, "stamped": text_stamped}


def check_digest(case):
    text, key = TEXTS[case["kind"]](case).encode(), case["secret"].encode()
    name = case["algorithm"]
    if name.startswith("hmac_"):
        made = hmac.new(key, text, name.removeprefix("hmac_")).digest()
    else:
        made = hashlib.new(name, text).digest()
    written = {
        "hex": made.hex(),
        "base64": base64.b64encode(made).decode(),
        "base64_url": base64.urlsafe_b64encode(made).decode().rstrip("="),
    }[case["encoding"]]
    assert case["signature"] == written, f"expected {written} of {text!r}"


CHECKS = {
    "jwt": check_jwt,
    "service_account": check_service_account,
    "oauth1": check_oauth1,
    "sigv4": check_sigv4,
    "digest": check_digest,
}


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        kinds = json.load(file)
    agreed, failed = {}, 0
    for kind, cases in kinds.items():
        agreed[kind] = 0
        for case in cases:
            try:
                CHECKS[kind](case)
                agreed[kind] += 1
            except Exception as error:  # whatever a library says of a case, the case is shown
                failed += 1
                if failed <= 5:
                    print(f"{kind}: {type(error).__name__}: {error}\n{json.dumps(case)}", file=sys.stderr)
    print(json.dumps(agreed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

import { createHash, type KeyObject } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";
import {
  extension,
  keyBits,
  signature,
  signingAlgorithm,
  writeSigned,
} from "../../src/pki/certificate-writer.ts";
import { DerReader } from "../../src/pki/der-reader.ts";
import {
  bitString,
  boolean,
  element,
  explicit,
  generalizedTime,
  implicit,
  nothing,
  objectIdentifier,
  octetString,
  sequence,
  small,
  time,
  unsigned,
} from "../../src/pki/der-writer.ts";
import { Oid } from "../../src/pki/object-identifiers.ts";
import { NOW, type TestCertificate } from "./certificates.ts";

const HOUR = 3_600_000;

/** `uris` of distribution points, one point for each. */
export const crlUris = (...uris: readonly string[]): Uint8Array =>
  extension(
    Oid.cRLDistributionPoints,
    sequence(...uris.map((uri) => sequence(explicit(0, explicit(0, uriName(uri)))))),
  );

export const ocspUri = (uri: string): Uint8Array =>
  extension(Oid.authorityInfoAccess, sequence(sequence(objectIdentifier(Oid.ocsp), uriName(uri))));

const uriName = (uri: string): Uint8Array => implicit(6, Buffer.from(uri));

export interface ListRecipe {
  readonly by: TestCertificate;
  readonly revoked?: readonly Pick<TestCertificate, "certificate">[];
  readonly thisUpdate?: number;
  readonly nextUpdate?: number | undefined;
  readonly extensions?: readonly Uint8Array[];
  readonly key?: KeyObject;
  readonly entryExtension?: Uint8Array;
}

/** A CRL, RFC 5280 section 5.1. */
export function makeList(recipe: ListRecipe): Uint8Array {
  const { by, revoked = [], extensions = [], key = by.privateKey, entryExtension } = recipe;
  const entries = revoked.map(({ certificate }) =>
    sequence(
      unsigned(certificate.serialNumber),
      time(NOW - HOUR),
      ...(entryExtension === undefined ? [] : [sequence(entryExtension)]),
    ),
  );
  const nextUpdate = "nextUpdate" in recipe ? recipe.nextUpdate : NOW + 24 * HOUR;
  const body = sequence(
    small(1),
    signingAlgorithm(key).identifier,
    by.certificate.subject.encoded,
    time(recipe.thisUpdate ?? NOW - HOUR),
    ...(nextUpdate === undefined ? [] : [time(nextUpdate)]),
    ...(entries.length > 0 ? [sequence(...entries)] : []),
    explicit(0, sequence(extension(Oid.cRLNumber, small(1)), ...extensions)),
  );
  return writeSigned(body, signingAlgorithm(key), key);
}

/** An issuingDistributionPoint with this URI, and with these flags: 1 for users alone, 2 for CAs alone, 4 for indirect. */
export function issuingPoint(uri: string | undefined, flag?: 1 | 2 | 4): Uint8Array {
  const name = uri === undefined ? [] : [explicit(0, explicit(0, uriName(uri)))];
  const flags = flag === undefined ? [] : [implicit(flag, boolean(true).subarray(2))];
  return extension(Oid.issuingDistributionPoint, sequence(...name, ...flags), true);
}

export interface AnswerRecipe {
  readonly issuer: TestCertificate;
  readonly about: TestCertificate;
  readonly status?: "good" | "revoked" | "unknown";
  /** Who signs; the issuer by default. Its certificate is enclosed when it is another. */
  readonly signer?: TestCertificate;
  readonly isNamedByKey?: boolean;
  readonly nonce?: Uint8Array | undefined;
  readonly thisUpdate?: number;
  readonly nextUpdate?: number | undefined;
  readonly enclosed?: readonly TestCertificate[];
}

/** A successful OCSPResponse, RFC 6960 section 4.2.1. */
export function makeAnswer(recipe: AnswerRecipe): Uint8Array {
  const { issuer, about, status = "good", signer = issuer, nonce } = recipe;
  const { enclosed = signer === issuer ? [] : [signer] } = recipe;
  const nextUpdate = "nextUpdate" in recipe ? recipe.nextUpdate : NOW + HOUR;
  const single = sequence(
    sequence(
      sequence(objectIdentifier(Oid.sha1), nothing),
      octetString(sha1(issuer.certificate.subject.encoded)),
      octetString(sha1(keyBits(issuer.certificate.publicKey))),
      unsigned(about.certificate.serialNumber),
    ),
    {
      good: implicit(0, new Uint8Array(0)),
      revoked: explicit(1, generalizedTime(NOW - HOUR)),
      unknown: implicit(2, new Uint8Array(0)),
    }[status],
    generalizedTime(recipe.thisUpdate ?? NOW - HOUR),
    ...(nextUpdate === undefined ? [] : [explicit(0, generalizedTime(nextUpdate))]),
  );
  const responder = recipe.isNamedByKey
    ? explicit(2, octetString(sha1(keyBits(signer.certificate.publicKey))))
    : explicit(1, signer.certificate.subject.encoded);
  const nonces = nonce === undefined ? [] : [extension(Oid.ocspNonce, octetString(nonce))];
  const data = sequence(
    responder,
    generalizedTime(NOW),
    sequence(single),
    ...(nonces.length > 0 ? [explicit(1, sequence(...nonces))] : []),
  );
  const algorithm = signingAlgorithm(signer.privateKey);
  const basic = sequence(
    data,
    algorithm.identifier,
    bitString(signature(data, algorithm, signer.privateKey)),
    ...(enclosed.length > 0 ? [explicit(0, sequence(...enclosed.map(({ der }) => der)))] : []),
  );
  return sequence(
    element(0x0a, Uint8Array.of(0)),
    explicit(0, sequence(objectIdentifier(Oid.ocspBasic), octetString(basic))),
  );
}

/** The nonce in an OCSPRequest. */
export function nonceOf(request: Uint8Array): Uint8Array {
  const body = new DerReader(request, "request").sequence("request").sequence("tbsRequest");
  body.sequence("requestList");
  const nonce = body.enter(0xa2, "extensions").sequence("extensions").sequence("nonce");
  nonce.objectIdentifier("type");
  return nonce.enter(0x04, "value").octetString("nonce");
}

/** A web server on loopback, gone when the test is over. `answer` gets the path and what was posted. */
export async function serveHttp(
  answer: (path: string, body: Buffer) => Uint8Array | number | "silence" | Promise<Uint8Array>,
): Promise<{ readonly uri: string; readonly asked: string[] }> {
  const asked: string[] = [];
  const server = createServer(async (request, response) => {
    asked.push(`${request.method} ${request.url}`);
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part);
    const answered = await answer(request.url ?? "", Buffer.concat(parts));
    if (answered === "silence") return;
    if (typeof answered === "number") response.writeHead(answered, { Location: "/elsewhere" }).end();
    else response.end(answered);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { uri: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

function sha1(octets: Uint8Array): Uint8Array {
  return createHash("sha1").update(octets).digest();
}

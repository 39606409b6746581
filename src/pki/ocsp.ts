import { createHash } from "node:crypto";
import { equal } from "../bytes/constant-time.ts";
import { toHex } from "../bytes/hex.ts";
import { WireError } from "../errors/index.ts";
import { type Certificate, describeCertificate, readCertificate, type Signed } from "./certificate.ts";
import { faultOfCertificate, faultOfSigning } from "./certificate-checks.ts";
import { keyBits } from "./certificate-writer.ts";
import { contextConstructed, contextPrimitive, DerReader, Tag } from "./der-reader.ts";
import { explicit, nothing, objectIdentifier, octetString, sequence, unsigned } from "./der-writer.ts";
import { readName } from "./names.ts";
import { Oid } from "./object-identifiers.ts";
import { CLOCK_SKEW_MS, type RevocationStatus } from "./revocation-status.ts";
import { signatureAlgorithmOf } from "./signature-algorithms.ts";
import { faultOfRawSignature } from "./verify-signature.ts";

/** An answer without a date on which it ends is believed for so long. */
const UNDATED_MS = 86_400_000;

/** OCSPRequest for one certificate, RFC 6960 section 4.1. The nonce (RFC 9654) shows that the answer is a new one. */
export function buildOcspRequest(
  certificate: Certificate,
  issuer: Certificate,
  nonce: Uint8Array,
): Uint8Array {
  const extension = sequence(objectIdentifier(Oid.ocspNonce), octetString(octetString(nonce)));
  const requests = sequence(sequence(certificateId(certificate, issuer)));
  return sequence(sequence(requests, explicit(2, sequence(extension))));
}

/**
 * What an OCSPResponse says of a certificate (RFC 6960 section 4.2), once it is signed by the issuer, or by somebody whom the
 * issuer itself gave a certificate for that purpose. Never throws on what a responder sends. Many responders sign answers ahead of time
 * and leave the nonce out; one that is there has to be ours.
 */
export function statusInResponse(input: {
  readonly response: Uint8Array;
  readonly certificate: Certificate;
  readonly issuer: Certificate;
  readonly nonce: Uint8Array;
  readonly nowMs: number;
}): RevocationStatus {
  try {
    return statusOf(input);
  } catch (error) {
    if (error instanceof WireError) return unknown(error.message);
    throw error;
  }
}

function statusOf(input: Parameters<typeof statusInResponse>[0]): RevocationStatus {
  const { certificate, issuer, nowMs } = input;
  const outer = new DerReader(input.response, "OCSP response");
  const response = outer.sequence("response");
  outer.end();
  const outcome = response.enumerated("responseStatus");
  if (outcome !== 0) return unknown(`the responder answers ${OUTCOMES[outcome] ?? outcome}`);
  const bytes = response.enter(contextConstructed(0), "responseBytes").sequence("responseBytes");
  if (bytes.objectIdentifier("responseType") !== Oid.ocspBasic) return unknown("no basic response");
  const basic = readBasicResponse(bytes.enter(Tag.OCTET_STRING, "response"));
  const signer = signerOf(basic, issuer, nowMs);
  if (typeof signer === "string") return unknown(signer);
  const fault = faultOfResponseSignature(basic.signed, signer);
  if (fault !== undefined) return unknown(fault);
  return statusInData(basic.data, toHex(certificateId(certificate, issuer)), input);
}

const OUTCOMES: Readonly<Record<number, string>> = {
  1: "malformedRequest",
  2: "internalError",
  3: "tryLater",
  5: "sigRequired",
  6: "unauthorized",
};

interface BasicResponse {
  readonly signed: Signed;
  /** ResponseData, behind its version and responder. */
  readonly data: DerReader;
  readonly responder: { readonly name: string } | { readonly keyHash: Uint8Array };
  readonly certificates: readonly Certificate[];
}

/** BasicOCSPResponse, RFC 6960 section 4.2.1: `SEQUENCE { data, AlgorithmIdentifier, BIT STRING, [0] certificates }`. */
function readBasicResponse(from: DerReader): BasicResponse {
  const frame = from.sequence("basic response");
  from.end();
  const body = frame.element("response data");
  const algorithm = frame.element("signatureAlgorithm");
  const signature = frame.bitStringOctets("signature");
  const list = frame.enterOptional(contextConstructed(0), "certs")?.sequence("certs");
  frame.end();
  const certificates: Certificate[] = [];
  while (list !== undefined && list.remaining > 0 && certificates.length < MAXIMUM_CERTIFICATES)
    certificates.push(readCertificate(list.element("certificate").encoded));

  const data = frame.inside(body.content);
  data.enterOptional(contextConstructed(0), "version");
  const isByName = data.nextTag === contextConstructed(1);
  const id = data.enter(contextConstructed(isByName ? 1 : 2), "responderID");
  const responder = isByName
    ? { name: readName(id, "responderID").canonical }
    : { keyHash: id.octetString("responderID") };
  const signed: Signed = {
    octets: body.encoded,
    algorithm: signatureAlgorithmOf(algorithm.encoded),
    algorithmName: toHex(algorithm.encoded.subarray(0, 80)),
    signature,
  };
  return { signed, data, responder, certificates };
}

const MAXIMUM_CERTIFICATES = 4;

/** RFC 6960 section 4.2.2.2: the CA itself, or one that it designated directly, by id-kp-OCSPSigning. */
function signerOf(
  { responder, certificates }: BasicResponse,
  issuer: Certificate,
  nowMs: number,
): Certificate | string {
  const isResponder = (candidate: Certificate): boolean =>
    "name" in responder
      ? candidate.subject.canonical === responder.name
      : equal(keyHash(candidate), responder.keyHash);
  if (isResponder(issuer)) return issuer;
  const delegate = certificates.find(isResponder);
  if (delegate === undefined) return "the signer of the answer is not known";
  const name = describeCertificate(delegate);
  if (delegate.issuer.canonical !== issuer.subject.canonical)
    return `the signer of the answer, ${name}, was not designated by ${describeCertificate(issuer)}`;
  if (delegate.extensions.extendedKeyUsage?.includes(Oid.ocspSigning) !== true)
    return `the signer of the answer, ${name}, is not for signing OCSP answers`;
  return faultOfCertificate(delegate, nowMs) ?? faultOfSigning(delegate, issuer) ?? delegate;
}

function faultOfResponseSignature(signed: Signed, signer: Certificate): string | undefined {
  const { algorithm, signature, octets, algorithmName } = signed;
  if (algorithm === undefined || algorithm.hash === "sha1")
    return `signature algorithm ${algorithm?.name ?? algorithmName} is not supported`;
  return faultOfRawSignature({ publicKey: signer.publicKey, algorithm, signature, octets });
}

/** ResponseData from producedAt on. */
function statusInData(
  data: DerReader,
  wanted: string,
  { nonce, nowMs }: { readonly nonce: Uint8Array; readonly nowMs: number },
): RevocationStatus {
  data.time("producedAt");
  const responses = data.sequence("responses");
  let status: RevocationStatus = unknown("the answer is about another certificate");
  for (let count = 0; responses.remaining > 0 && count < MAXIMUM_RESPONSES; count++) {
    const single = responses.sequence("single response");
    const id = single.element("certID");
    if (toHex(id.encoded) === wanted) status = readSingle(single, nowMs);
  }
  const extensions = data
    .enterOptional(contextConstructed(1), "responseExtensions")
    ?.sequence("responseExtensions");
  return isOurNonce(extensions, nonce) ? status : unknown("the answer is to another request");
}

const MAXIMUM_RESPONSES = 64;

/** SingleResponse behind its certID. */
function readSingle(single: DerReader, nowMs: number): RevocationStatus {
  const { tag } = single.element("certStatus");
  const thisUpdateMs = single.time("thisUpdate");
  const nextUpdateMs = single.enterOptional(contextConstructed(0), "nextUpdate")?.time("nextUpdate");
  const endMs = nextUpdateMs ?? thisUpdateMs + UNDATED_MS;
  if (thisUpdateMs > nowMs + CLOCK_SKEW_MS) return unknown("the answer is from the future");
  if (endMs < nowMs - CLOCK_SKEW_MS)
    return unknown(`the answer is out of date since ${new Date(endMs).toISOString()}`);
  if (tag === contextPrimitive(0)) return { kind: "good", untilMs: endMs };
  return tag === contextConstructed(1)
    ? { kind: "revoked" }
    : unknown("the responder does not know the certificate");
}

function isOurNonce(extensions: DerReader | undefined, nonce: Uint8Array): boolean {
  while (extensions !== undefined && extensions.remaining > 0) {
    const extension = extensions.sequence("extension");
    const type = extension.objectIdentifier("extension type");
    if (extension.nextTag === Tag.BOOLEAN) extension.boolean("critical");
    const value = extension.enter(Tag.OCTET_STRING, "extension value");
    if (type === Oid.ocspNonce) return equal(value.octetString("nonce"), nonce);
  }
  return true;
}

/** CertID with SHA-1, which every responder knows (RFC 5019 section 2.1.1); it only has to tell certificates apart. */
function certificateId(certificate: Certificate, issuer: Certificate): Uint8Array {
  return sequence(
    sequence(objectIdentifier(Oid.sha1), nothing),
    octetString(sha1(issuer.subject.encoded)),
    octetString(keyHash(issuer)),
    unsigned(certificate.serialNumber),
  );
}

function keyHash({ publicKey }: Certificate): Uint8Array {
  return sha1(keyBits(publicKey));
}

function sha1(octets: Uint8Array): Uint8Array {
  return new Uint8Array(createHash("sha1").update(octets).digest());
}

function unknown(reason: string): RevocationStatus {
  return { kind: "unknown", reason };
}

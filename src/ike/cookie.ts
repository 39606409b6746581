import { hash } from "node:crypto";
import { equal } from "../bytes/constant-time.ts";
import type { Random } from "../platform/random.ts";
import { RFC_LIMITS } from "./limits.ts";

/** What a cookie is bound to. */
export interface CookieBinding {
  readonly initiatorSpi: bigint;
  readonly ni: Uint8Array;
  readonly address: string;
}

/**
 * Makes and checks cookies and keeps nothing for them (RFC 7296 section 2.6):
 *
 *   version of the secret (1) | first 31 octets of SHA-256(SPIi | Ni | IPi | secret)
 *
 * The secret changes with time; the one before it is still honoured.
 */
export class CookieJar {
  readonly #random: Random;
  readonly #lifetimeMs: number;
  #secrets: Secret[] = [];
  #version = 0;

  constructor(facts: { readonly random: Random; readonly lifetimeMs: number }) {
    this.#random = facts.random;
    this.#lifetimeMs = facts.lifetimeMs;
  }

  bake(binding: CookieBinding, now: number): Uint8Array {
    this.#rotate(now);
    return cookieOf(this.#secrets[0]!, binding);
  }

  isOurs(cookie: Uint8Array, binding: CookieBinding, now: number): boolean {
    this.#rotate(now);
    const secret = this.#secrets.find(({ version }) => version === cookie[0]);
    return secret !== undefined && equal(cookie, cookieOf(secret, binding));
  }

  #rotate(now: number): void {
    const current = this.#secrets[0];
    if (current !== undefined && now - current.since < this.#lifetimeMs) return;
    this.#version = (this.#version + 1) & 0xff;
    const fresh = { version: this.#version, octets: this.#random.bytes(SECRET_LENGTH), since: now };
    const isPreviousGood = current !== undefined && now - current.since < 2 * this.#lifetimeMs;
    this.#secrets = isPreviousGood ? [fresh, current] : [fresh];
  }
}

interface Secret {
  readonly version: number;
  readonly octets: Uint8Array;
  readonly since: number;
}

const SECRET_LENGTH = 32;
const COOKIE_LENGTH = 32;
/** "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255%1234567890" and some. */
const ADDRESS_LIMIT = 64;

// Made over and over while somebody floods us: one digest in one call, and nothing that outlives it.
const input = Buffer.alloc(8 + 1 + RFC_LIMITS.nonceLengthMax + ADDRESS_LIMIT + SECRET_LENGTH);

function cookieOf(secret: Secret, { initiatorSpi, ni, address }: CookieBinding): Uint8Array {
  if (ni.length > RFC_LIMITS.nonceLengthMax) throw new RangeError(`a nonce of ${ni.length} octets`);
  input.writeBigUInt64BE(initiatorSpi, 0);
  // The lengths of what comes first tell one binding from another with the same octets; 256 is 0 here, and nothing else is.
  input[8] = ni.length;
  input.set(ni, 9);
  let at = 9 + ni.length;
  at += input.write(address, at, ADDRESS_LIMIT, "latin1");
  input.set(secret.octets, at);
  const digest = hash("sha256", input.subarray(0, at + SECRET_LENGTH), "binary");
  input.fill(0, at, at + SECRET_LENGTH);
  const cookie = new Uint8Array(COOKIE_LENGTH);
  cookie[0] = secret.version;
  for (let i = 1; i < COOKIE_LENGTH; i++) cookie[i] = digest.charCodeAt(i - 1);
  return cookie;
}

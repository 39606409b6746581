import { equal } from "../bytes/constant-time.ts";
import { Writer } from "../bytes/writer.ts";
import { prf } from "../crypto/prf.ts";
import { PrfTransform } from "../iana/ikev2-parameters.ts";
import type { Random } from "../platform/random.ts";

/** What a cookie is bound to. */
export interface CookieBinding {
  readonly initiatorSpi: bigint;
  readonly ni: Uint8Array;
  readonly address: string;
}

/**
 * Makes and checks cookies and keeps nothing for them (RFC 7296 section 2.6):
 *
 *   version of the secret (1) | first 31 octets of prf(secret, SPIi | Ni | IPi)
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

function cookieOf(secret: Secret, binding: CookieBinding): Uint8Array {
  const input = new Writer();
  input.u64(binding.initiatorSpi);
  input.u16(binding.ni.length);
  input.bytes(binding.ni);
  input.bytes(new TextEncoder().encode(binding.address));
  const cookie = new Uint8Array(COOKIE_LENGTH);
  cookie[0] = secret.version;
  cookie.set(
    prf(PrfTransform.PRF_HMAC_SHA2_256, secret.octets, input.finish()).subarray(0, COOKIE_LENGTH - 1),
    1,
  );
  return cookie;
}

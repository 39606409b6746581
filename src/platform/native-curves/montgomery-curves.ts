import { randomFillSync } from "node:crypto";
import { equal } from "../../bytes/constant-time.ts";
import { fromHex } from "../../bytes/hex.ts";
import { wipe } from "../../bytes/wipe.ts";
import type { Group, GroupSecret, KeyExchangeAnswer } from "../../crypto/key-exchange/group.ts";
import { loadOpenSsl, type OpenSsl } from "../native-ciphers/openssl.ts";
import { CURVES, type CurveFacts } from "./curve-facts.ts";
import { openPlainCurve } from "./plain-curve.ts";

const PROTOTYPES = {
  EVP_PKEY_new_raw_private_key: ["intptr_t", "int", "intptr_t", "intptr_t", "intptr_t"],
  EVP_PKEY_new_raw_public_key: ["intptr_t", "int", "intptr_t", "intptr_t", "intptr_t"],
  EVP_PKEY_get_raw_public_key: ["int", "intptr_t", "intptr_t", "intptr_t"],
  EVP_PKEY_free: ["void", "intptr_t"],
  EVP_PKEY_CTX_new: ["intptr_t", "intptr_t", "intptr_t"],
  EVP_PKEY_CTX_free: ["void", "intptr_t"],
  EVP_PKEY_derive_init: ["int", "intptr_t"],
  EVP_PKEY_derive_set_peer: ["int", "intptr_t", "intptr_t"],
  EVP_PKEY_derive: ["int", "intptr_t", "intptr_t", "intptr_t"],
  ERR_clear_error: ["void"],
} as const;

type Calls = OpenSsl<keyof typeof PROTOTYPES>;

/**
 * X25519 and X448 (RFC 7748, RFC 8031) of the OpenSSL that the runtime brings, with keys that go in and out as they are. By node:crypto they
 * go as DER, and to write and parse that takes longer than the curve does. Without those that OpenSSL cannot be called for, or that do not
 * give a known answer: of each, `onRefusal` is told in a sentence. `load` finds OpenSSL.
 */
export function openMontgomeryCurves(
  onRefusal: (what: string) => void,
  load: typeof loadOpenSsl = loadOpenSsl,
): readonly Group[] {
  return CURVES.flatMap((facts) => {
    const plain = openPlainCurve(facts, load);
    if (plain !== undefined) return [plain];
    const refuse = (why: string): readonly Group[] => {
      onRefusal(`${facts.name} of the runtime's OpenSSL: it ${why}`);
      return [];
    };
    try {
      const curve = new MontgomeryCurve(load(PROTOTYPES), facts);
      return givesKnownAnswer(curve, facts) ? [curve] : refuse("does not give the answer of RFC 7748");
    } catch (cause) {
      return refuse(`cannot be called: ${(cause as Error).message}`);
    }
  });
}

function givesKnownAnswer(curve: MontgomeryCurve, { known }: CurveFacts): boolean {
  const answer = curve.agree(fromHex(known.secret), fromHex(known.publicValue));
  return equal(answer, fromHex(known.sharedSecret));
}

// Octets that OpenSSL reads and writes: a key on its way in, what comes out, and how long that is, in a size_t.
const IN = 0;
const OUT = 64;
const LENGTH = 128;
const ROOM = 136;

class MontgomeryCurve implements Group {
  readonly id: number;
  readonly publicValueLength: number;
  readonly sharedSecretLength: number;
  readonly isQuick = true;
  readonly #calls: Calls;
  readonly #type: number;
  readonly #room = new Uint8Array(new ArrayBuffer(ROOM));
  readonly #outLength = new BigUint64Array(this.#room.buffer, LENGTH, 1);
  readonly #at: number;

  constructor(calls: Calls, facts: CurveFacts) {
    this.id = facts.id;
    this.publicValueLength = facts.length;
    this.sharedSecretLength = facts.length;
    this.#calls = calls;
    this.#type = facts.type;
    this.#at = calls.addressOf(this.#room);
  }

  generate(): { readonly publicValue: Uint8Array; readonly secret: Uint8Array } {
    const secret = randomFillSync(new Uint8Array(this.publicValueLength));
    return this.#withKey(secret, (key) => ({ publicValue: this.#publicValueOf(key), secret }));
  }

  agree(secret: GroupSecret, peerPublicValue: Uint8Array): Uint8Array {
    return this.#withKey(secret as Uint8Array, (key) => this.#derive(key, peerPublicValue));
  }

  respond(peerPublicValue: Uint8Array): KeyExchangeAnswer {
    const secret = randomFillSync(new Uint8Array(this.publicValueLength));
    try {
      return this.#withKey(secret, (key) => ({
        sharedSecret: this.#derive(key, peerPublicValue),
        publicValue: this.#publicValueOf(key),
      }));
    } finally {
      wipe(secret);
    }
  }

  /** OpenSSL wipes its copy of the key when it is freed. */
  #withKey<T>(secret: Uint8Array, use: (key: number) => T): T {
    const { EVP_PKEY_new_raw_private_key: make, EVP_PKEY_free: free } = this.#calls;
    this.#room.set(secret, IN);
    const key = make(this.#type, 0, this.#at + IN, secret.length);
    try {
      if (key === 0) this.#fail("takes no private key");
      return use(key);
    } finally {
      free(key);
      wipe(this.#room);
    }
  }

  #publicValueOf(key: number): Uint8Array {
    this.#outLength[0] = BigInt(this.publicValueLength);
    const isDone = this.#calls.EVP_PKEY_get_raw_public_key(key, this.#at + OUT, this.#at + LENGTH) === 1;
    return isDone ? this.#out(this.publicValueLength) : this.#fail("gives no public value");
  }

  #derive(key: number, peerPublicValue: Uint8Array): Uint8Array {
    const calls = this.#calls;
    this.#room.set(peerPublicValue, IN);
    const peer = calls.EVP_PKEY_new_raw_public_key(this.#type, 0, this.#at + IN, peerPublicValue.length);
    const context = calls.EVP_PKEY_CTX_new(key, 0);
    this.#outLength[0] = BigInt(this.sharedSecretLength);
    try {
      const isDone =
        peer !== 0 &&
        context !== 0 &&
        calls.EVP_PKEY_derive_init(context) === 1 &&
        calls.EVP_PKEY_derive_set_peer(context, peer) === 1 &&
        calls.EVP_PKEY_derive(context, this.#at + OUT, this.#at + LENGTH) === 1;
      return isDone ? this.#out(this.sharedSecretLength) : this.#fail("comes to no shared secret");
    } finally {
      calls.EVP_PKEY_CTX_free(context);
      calls.EVP_PKEY_free(peer);
    }
  }

  #out(length: number): Uint8Array {
    if (this.#outLength[0] !== BigInt(length)) this.#fail(`gives ${this.#outLength[0]} octets`);
    return this.#room.slice(OUT, OUT + length);
  }

  /** What OpenSSL notes of it belongs to the thread, and others would find it. */
  #fail(what: string): never {
    this.#calls.ERR_clear_error();
    throw new Error(`OpenSSL ${what}`);
  }
}

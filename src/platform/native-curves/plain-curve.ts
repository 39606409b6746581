import { randomFillSync } from "node:crypto";
import { equal } from "../../bytes/constant-time.ts";
import { fromHex } from "../../bytes/hex.ts";
import { wipe } from "../../bytes/wipe.ts";
import type { Group, GroupSecret, KeyExchangeAnswer } from "../../crypto/key-exchange/group.ts";
import type { Call, loadOpenSsl } from "../native-ciphers/openssl.ts";
import type { CurveFacts } from "./curve-facts.ts";

/**
 * A curve by the two functions that OpenSSL itself comes down to. By its public interface a responder makes two key objects and a context
 * around them, for a third of the time. They are not of that interface: undefined where OpenSSL does not show them, as one that was linked
 * as a shared library does not, and where they do not give the answers of RFC 7748.
 */
export function openPlainCurve(facts: CurveFacts, load: typeof loadOpenSsl): Group | undefined {
  const { agree, derive, known } = facts;
  try {
    const calls = load<string>({
      [agree]: ["int", "intptr_t", "intptr_t", "intptr_t"],
      [derive]: ["void", "intptr_t", "intptr_t"],
    });
    const room = new Uint8Array(new ArrayBuffer(ROOM));
    const functions = { agree: calls[agree]!, derive: calls[derive]!, room, at: calls.addressOf(room) };
    const curve = new PlainCurve(facts, functions);
    const secret = fromHex(known.secret);
    const isRight =
      equal(curve.agree(secret, fromHex(known.publicValue)), fromHex(known.sharedSecret)) &&
      equal(curve.publicValueOf(secret), fromHex(known.ownPublicValue));
    return isRight ? curve : undefined;
  } catch {
    return undefined;
  }
}

// What OpenSSL reads and writes: a private key, the peer's public value, and what comes out.
const SECRET = 0;
const PEER = 64;
const OUT = 128;
const ROOM = 192;

class PlainCurve implements Group {
  readonly id: number;
  readonly publicValueLength: number;
  readonly sharedSecretLength: number;
  readonly isQuick = true;
  readonly #agree: Call;
  readonly #derive: Call;
  readonly #room: Uint8Array;
  readonly #at: number;

  constructor(
    { id, length }: CurveFacts,
    functions: {
      readonly agree: Call;
      readonly derive: Call;
      readonly room: Uint8Array;
      readonly at: number;
    },
  ) {
    this.id = id;
    this.publicValueLength = length;
    this.sharedSecretLength = length;
    this.#agree = functions.agree;
    this.#derive = functions.derive;
    this.#room = functions.room;
    this.#at = functions.at;
  }

  generate(): { readonly publicValue: Uint8Array; readonly secret: Uint8Array } {
    const secret = randomFillSync(new Uint8Array(this.publicValueLength));
    return { publicValue: this.publicValueOf(secret), secret };
  }

  respond(peerPublicValue: Uint8Array): KeyExchangeAnswer {
    const secret = randomFillSync(new Uint8Array(this.publicValueLength));
    try {
      return {
        sharedSecret: this.agree(secret, peerPublicValue),
        publicValue: this.publicValueOf(secret),
      };
    } finally {
      wipe(secret);
    }
  }

  /** Both `length` octets. Throws for a point of small order. */
  agree(secret: GroupSecret, peerPublicValue: Uint8Array): Uint8Array {
    this.#room.set(secret as Uint8Array, SECRET);
    this.#room.set(peerPublicValue, PEER);
    try {
      const isDone = this.#agree(this.#at + OUT, this.#at + SECRET, this.#at + PEER) === 1;
      if (!isDone) throw new Error("OpenSSL comes to no shared secret");
      return this.#out();
    } finally {
      wipe(this.#room);
    }
  }

  publicValueOf(secret: Uint8Array): Uint8Array {
    this.#room.set(secret, SECRET);
    this.#derive(this.#at + OUT, this.#at + SECRET);
    const publicValue = this.#out();
    wipe(this.#room);
    return publicValue;
  }

  #out(): Uint8Array {
    return this.#room.slice(OUT, OUT + this.publicValueLength);
  }
}

import { concat } from "../bytes/concat.ts";
import { wipe } from "../bytes/wipe.ts";
import { prf, prfKeyLength, prfPlus } from "./prf.ts";
import type { KeyLengths } from "./suites.ts";

/** The seven secrets of an IKE SA, RFC 7296 section 2.14. SK_a keys are empty for a combined-mode cipher; SK_e keys include the salt. */
export interface IkeKeys {
  readonly skD: Uint8Array;
  readonly skAi: Uint8Array;
  readonly skAr: Uint8Array;
  readonly skEi: Uint8Array;
  readonly skEr: Uint8Array;
  readonly skPi: Uint8Array;
  readonly skPr: Uint8Array;
}

interface Freshness {
  readonly ni: Uint8Array;
  readonly nr: Uint8Array;
  readonly initiatorSpi: bigint;
  readonly responderSpi: bigint;
}

/**
 * Keys of an IKE SA from IKE_SA_INIT, RFC 7296 section 2.14. `sharedSecret` (g^ir) is in the encoding of its group and
 * stays the caller's to wipe.
 */
export function deriveIkeKeys(
  input: Freshness & {
    readonly prfId: number;
    readonly sharedSecret: Uint8Array;
    readonly lengths: KeyLengths;
  },
): IkeKeys {
  // HMAC takes keys of any length, so both nonces are used whole (RFC 7296 section 2.14).
  const nonces = concat(input.ni, input.nr);
  const skeyseed = prf(input.prfId, nonces, input.sharedSecret);
  return expandIkeKeys({ ...input, skeyseed });
}

/**
 * Keys of an IKE SA that replaces another, RFC 7296 section 2.18, with SK(1) to SK(n) of further key exchanges behind the nonces (RFC 9370
 * section 2.2.4). SKEYSEED is made with the PRF of the old SA, everything after it with the PRF of the new one.
 */
export function deriveRekeyedIkeKeys(
  input: Freshness & {
    readonly oldPrfId: number;
    readonly oldSkD: Uint8Array;
    readonly prfId: number;
    readonly sharedSecret: Uint8Array;
    /** SK(1) to SK(n), one behind the other. */
    readonly furtherSecrets?: Uint8Array | undefined;
    readonly lengths: KeyLengths;
  },
): IkeKeys {
  const { oldPrfId, oldSkD, sharedSecret, ni, nr, furtherSecrets = new Uint8Array(0) } = input;
  const skeyseed = prf(oldPrfId, oldSkD, sharedSecret, ni, nr, furtherSecrets);
  return expandIkeKeys({ ...input, skeyseed });
}

/**
 * Keys of an IKE SA that resumes a session, RFC 5723 section 5.1: as above, with what the former one has left in the place of a key
 * exchange.
 */
export function deriveResumedIkeKeys(
  input: Freshness & { readonly prfId: number; readonly oldSkD: Uint8Array; readonly lengths: KeyLengths },
): IkeKeys {
  const skeyseed = prf(input.prfId, input.oldSkD, RESUMPTION, input.ni, input.nr);
  return expandIkeKeys({ ...input, skeyseed });
}

const RESUMPTION = new TextEncoder().encode("Resumption");

/** {SK_d | SK_ai | SK_ar | SK_ei | SK_er | SK_pi | SK_pr} = prf+ (SKEYSEED, Ni | Nr | SPIi | SPIr). Wipes SKEYSEED. */
function expandIkeKeys(
  input: Freshness & { readonly prfId: number; readonly skeyseed: Uint8Array; readonly lengths: KeyLengths },
): IkeKeys {
  const { prfId, skeyseed, lengths } = input;
  const prfKey = prfKeyLength(prfId);
  const { encryptionKeyLength, integrityKeyLength } = lengths;
  const keymat = prfPlus({
    prfId,
    key: skeyseed,
    seed: concat(input.ni, input.nr, spiOctets(input.initiatorSpi), spiOctets(input.responderSpi)),
    length: 3 * prfKey + 2 * integrityKeyLength + 2 * encryptionKeyLength,
  });
  const next = cutter(keymat);
  const keys = {
    skD: next(prfKey),
    skAi: next(integrityKeyLength),
    skAr: next(integrityKeyLength),
    skEi: next(encryptionKeyLength),
    skEr: next(encryptionKeyLength),
    skPi: next(prfKey),
    skPr: next(prfKey),
  };
  wipe(skeyseed, keymat);
  return keys;
}

/**
 * The keys with a PPK mixed into SK_d, SK_pi and SK_pr, each by prf+ (PPK, key) (RFC 8784 section 3). The other four are those of `keys`
 * themselves.
 */
export function mixPpk(input: {
  readonly prfId: number;
  readonly keys: IkeKeys;
  readonly ppk: Uint8Array;
}): IkeKeys {
  const { prfId, keys, ppk } = input;
  const mixed = (seed: Uint8Array): Uint8Array => prfPlus({ prfId, key: ppk, seed, length: seed.length });
  return { ...keys, skD: mixed(keys.skD), skPi: mixed(keys.skPi), skPr: mixed(keys.skPr) };
}

/** Overwrites all seven keys. */
export function wipeIkeKeys(keys: IkeKeys): void {
  const { skD, skAi, skAr, skEi, skEr, skPi, skPr } = keys;
  wipe(skD, skAi, skAr, skEi, skEr, skPi, skPr);
}

/** Keying material of a child SA, `keyLength` octets in each direction. */
export interface ChildKeys {
  readonly initiatorToResponder: Uint8Array;
  readonly responderToInitiator: Uint8Array;
}

/**
 * KEYMAT = prf+ (SK_d, [g^ir |] Ni | Nr), RFC 7296 section 2.17, and with further key exchanges SK(1) | ... | SK(n) behind that (RFC 9370
 * section 2.2.4): first the octets for the SA from the initiator to the
 * responder, then those for the other. Within a direction the encryption key (with its salt) comes before the integrity
 * key; `keyLength` is their sum. "Initiator" is whoever began the exchange that made this child SA.
 */
export function deriveChildKeys(input: {
  readonly prfId: number;
  readonly skD: Uint8Array;
  readonly ni: Uint8Array;
  readonly nr: Uint8Array;
  /** Of the key exchange within CREATE_CHILD_SA, where there was one. */
  readonly sharedSecret?: Uint8Array | undefined;
  /** SK(1) to SK(n), one behind the other. */
  readonly furtherSecrets?: Uint8Array | undefined;
  readonly keyLength: number;
}): ChildKeys {
  const { prfId, skD, ni, nr, keyLength } = input;
  const { sharedSecret = new Uint8Array(0), furtherSecrets = new Uint8Array(0) } = input;
  const seed = concat(sharedSecret, ni, nr, furtherSecrets);
  const keymat = prfPlus({ prfId, key: skD, seed, length: 2 * keyLength });
  const next = cutter(keymat);
  const keys = { initiatorToResponder: next(keyLength), responderToInitiator: next(keyLength) };
  wipe(seed, keymat);
  return keys;
}

/** Hands out copies of consecutive pieces. */
function cutter(octets: Uint8Array): (length: number) => Uint8Array {
  let offset = 0;
  return (length) => {
    offset += length;
    return octets.slice(offset - length, offset);
  };
}

function spiOctets(spi: bigint): Uint8Array {
  const octets = new Uint8Array(8);
  new DataView(octets.buffer).setBigUint64(0, spi);
  return octets;
}

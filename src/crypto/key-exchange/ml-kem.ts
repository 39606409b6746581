import { ml_kem512, ml_kem768, ml_kem1024 } from "@noble/post-quantum/ml-kem.js";
import { KeyExchangeMethod } from "../../iana/ikev2-parameters.ts";
import { movedOctets } from "../plain-octets.ts";
import type { Group } from "./group.ts";

/**
 * ML-KEM (FIPS 203), as draft-ietf-ipsecme-ikev2-mlkem carries it: the initiator's value is the encapsulation key, the responder's the
 * ciphertext. Node has it from 24.7 on only, so this is plain JavaScript: half a millisecond for each step, on a thread of its own. It
 * stands beside another key exchange and never alone (RFC 9370).
 */
export const ML_KEM_GROUPS: readonly Group[] = [
  mlKem({ id: KeyExchangeMethod.ML_KEM_512, kem: ml_kem512, keyLength: 800, ciphertextLength: 768 }),
  mlKem({ id: KeyExchangeMethod.ML_KEM_768, kem: ml_kem768, keyLength: 1184, ciphertextLength: 1088 }),
  mlKem({ id: KeyExchangeMethod.ML_KEM_1024, kem: ml_kem1024, keyLength: 1568, ciphertextLength: 1568 }),
];

function mlKem(input: {
  readonly id: number;
  readonly kem: typeof ml_kem768;
  readonly keyLength: number;
  readonly ciphertextLength: number;
}): Group {
  const { id, kem, keyLength, ciphertextLength } = input;
  return {
    id,
    publicValueLength: keyLength,
    answerLength: ciphertextLength,
    sharedSecretLength: 32,
    isQuick: false,
    generate() {
      const { publicKey, secretKey } = kem.keygen();
      return { publicValue: publicKey, secret: movedOctets(secretKey) };
    },
    // FIPS 203 section 6.3: a ciphertext that is no good gives a secret that nobody else has, and so an AUTH that fits nothing.
    agree: (secret, peerPublicValue) => movedOctets(kem.decapsulate(peerPublicValue, secret as Uint8Array)),
    // Throws for a key with coefficients beyond the modulus (FIPS 203 section 7.2).
    respond(peerPublicValue) {
      const { cipherText, sharedSecret } = kem.encapsulate(peerPublicValue);
      return { publicValue: cipherText, sharedSecret: movedOctets(sharedSecret) };
    },
  };
}

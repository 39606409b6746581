import { KeyExchangeMethod } from "../../iana/ikev2-parameters.ts";

/** A curve of RFC 7748 as the runtime's OpenSSL has it. */
export interface CurveFacts {
  readonly name: string;
  readonly id: number;
  /** OpenSSL's number of the key type. */
  readonly type: number;
  /** Octets of keys, public values and shared secrets. */
  readonly length: number;
  /** OpenSSL's functions beneath its public interface: the shared secret from a private key and the peer's public value, and the public value of a private key. */
  readonly agree: string;
  readonly derive: string;
  /** Alice's private and public key, Bob's public key and their secret. */
  readonly known: {
    readonly secret: string;
    readonly ownPublicValue: string;
    readonly publicValue: string;
    readonly sharedSecret: string;
  };
}

export const CURVES: readonly CurveFacts[] = [
  {
    name: "X25519",
    id: KeyExchangeMethod.CURVE25519,
    type: 1034,
    length: 32,
    agree: "ossl_x25519",
    derive: "ossl_x25519_public_from_private",
    // RFC 7748 section 6.1.
    known: {
      secret: "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
      ownPublicValue: "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
      publicValue: "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
      sharedSecret: "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742",
    },
  },
  {
    name: "X448",
    id: KeyExchangeMethod.CURVE448,
    type: 1035,
    length: 56,
    agree: "ossl_x448",
    derive: "ossl_x448_public_from_private",
    // RFC 7748 section 6.2.
    known: {
      secret: `9a8f4925d1519f5775cf46b04b5800d4ee9ee8bae8bc5565d498c28d
        d9c9baf574a9419744897391006382a6f127ab1d9ac2d8c0a598726b`,
      ownPublicValue: `9b08f7cc31b7e3e67d22d5aea121074a273bd2b83de09c63faa73d2c
        22c5d9bbc836647241d953d40c5b12da88120d53177f80e532c41fa0`,
      publicValue: `3eb7a829b0cd20f5bcfc0b599b6feccf6da4627107bdb0d4f345b430
        27d8b972fc3e34fb4232a13ca706dcb57aec3dae07bdc1c67bf33609`,
      sharedSecret: `07fff4181ac6cc95ec1c16a94a0f74d12da232ce40a77552281d282b
        b60c0b56fd2464c335543936521c24403085d59a449a5037514a879d`,
    },
  },
];

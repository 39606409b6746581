export interface ChaCha20Vector {
  readonly source: string;
  readonly key: string;
  readonly nonce: string;
  readonly plaintext: string;
  readonly ciphertext: string;
}

const text = (ascii: string): string => Buffer.from(ascii, "ascii").toString("hex");

const ONE_KEY = `${"00".repeat(31)}01`;
const SUNSCREEN =
  "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
const CONTRIBUTION =
  "Any submission to the IETF intended by the Contributor for publication as all or part of an IETF Internet-Draft or " +
  'RFC and any statement made within the context of an IETF activity is considered an "IETF Contribution". Such ' +
  "statements include oral statements in IETF sessions, as well as written and electronic communications made at any " +
  "time or place, which are addressed to";

/** The first counter is 1 in each. */
export const CHACHA20_VECTORS: readonly ChaCha20Vector[] = [
  {
    source: "RFC 8439 section 2.4.2",
    key: "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
    nonce: "000000000000004a00000000",
    plaintext: text(SUNSCREEN),
    ciphertext:
      "6e2e359a2568f98041ba0728dd0d6981e97e7aec1d4360c20a27afccfd9fae0b" +
      "f91b65c5524733ab8f593dabcd62b3571639d624e65152ab8f530c359f0861d8" +
      "07ca0dbf500d6a6156a38e088a22b65e52bc514d16ccf806818ce91ab7793736" +
      "5af90bbf74a35be6b40b8eedf2785e42874d",
  },
  {
    source: "RFC 8439 appendix A.1, test vector 2",
    key: "00".repeat(32),
    nonce: "00".repeat(12),
    plaintext: "00".repeat(64),
    ciphertext:
      "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed" +
      "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f",
  },
  {
    source: "RFC 8439 appendix A.1, test vector 3",
    key: ONE_KEY,
    nonce: "00".repeat(12),
    plaintext: "00".repeat(64),
    ciphertext:
      "3aeb5224ecf849929b9d828db1ced4dd832025e8018b8160b82284f3c949aa5a" +
      "8eca00bbb4a73bdad192b5c42f73f2fd4e273644c8b36125a64addeb006c13a0",
  },
  {
    source: "RFC 8439 appendix A.2, test vector 2",
    key: ONE_KEY,
    nonce: `${"00".repeat(11)}02`,
    plaintext: text(CONTRIBUTION),
    ciphertext:
      "a3fbf07df3fa2fde4f376ca23e82737041605d9f4f4f57bd8cff2c1d4b7955ec" +
      "2a97948bd3722915c8f3d337f7d370050e9e96d647b7c39f56e031ca5eb6250d" +
      "4042e02785ececfa4b4bb5e8ead0440e20b6e8db09d881a7c6132f420e527950" +
      "42bdfa7773d8a9051447b3291ce1411c680465552aa6c405b7764d5e87bea85a" +
      "d00f8449ed8f72d0d662ab052691ca66424bc86d2df80ea41f43abf937d3259d" +
      "c4b2d0dfb48a6c9139ddd7f76966e928e635553ba76c5c879d7b35d49eb2e62b" +
      "0871cdac638939e25e8a1e0ef9d5280fa8ca328b351c3c765989cbcf3daa8b6c" +
      "cc3aaf9f3979c92b3720fc88dc95ed84a1be059c6499b9fda236e7e818b04b0b" +
      "c39c1e876b193bfe5569753f88128cc08aaa9b63d1a16f80ef2554d7189c411f" +
      "5869ca52c5b83fa36ff216b9c1d30062bebcfd2dc5bce0911934fda79a86f6e6" +
      "98ced759c3ff9b6477338f3da4f9cd8514ea9982ccafb341b2384dd902f3d1ab" +
      "7ac61dd29c6f21ba5b862f3730e37cfdc4fd806c22f221",
  },
];

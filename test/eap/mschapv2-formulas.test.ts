import { expect, test } from "vitest";
import { concat } from "../../src/bytes/concat.ts";
import { authenticatorResponse, challengeHash, ntResponse } from "../../src/eap/mschapv2/formulas.ts";
import { mschapv2Msk } from "../../src/eap/mschapv2/keys.ts";
import { RFC_2759_EXAMPLE, RFC_3079_EXAMPLE } from "../vectors/rfc2759/mschapv2.ts";

const { authenticatorChallenge, peerChallenge, userName, passwordHash } = RFC_2759_EXAMPLE;
const exchange = { authenticatorChallenge, peerChallenge, name: new TextEncoder().encode(userName) };

test("challenge hash, NT response and authenticator response are those of RFC 2759 section 9.2", () => {
  expect(challengeHash(exchange)).toEqual(RFC_2759_EXAMPLE.challenge);
  expect(ntResponse(exchange, passwordHash)).toEqual(RFC_2759_EXAMPLE.ntResponse);
  const keys = { ntHash: passwordHash, ntResponse: RFC_2759_EXAMPLE.ntResponse };
  expect(authenticatorResponse(exchange, keys)).toEqual(RFC_2759_EXAMPLE.authenticatorResponse);
});

test("a domain in front of the user name is not computed with", () => {
  const name = new TextEncoder().encode(`DOMAIN\\${userName}`);
  expect(ntResponse({ ...exchange, name }, passwordHash)).toEqual(RFC_2759_EXAMPLE.ntResponse);
});

test("the MSK is the server's receive key, its send key (RFC 3079 section 3.5.3), and zeros", () => {
  const msk = mschapv2Msk({ ntHash: passwordHash, ntResponse: RFC_2759_EXAMPLE.ntResponse });
  const { receiveStartKey, sendStartKey } = RFC_3079_EXAMPLE;
  expect(msk).toEqual(concat(receiveStartKey, sendStartKey, new Uint8Array(32)));
});

import { fromHex } from "../../../src/bytes/hex.ts";

export const RFC_2759_EXAMPLE = {
  userName: "User",
  password: "clientPass",
  authenticatorChallenge: fromHex("5B5D7C7D7B3F2F3E3C2C602132262628"),
  peerChallenge: fromHex("21402324255E262A28295F2B3A337C7E"),
  challenge: fromHex("D02E4386BCE91226"),
  passwordHash: fromHex("44EBBA8D5312B8D611474411F56989AE"),
  ntResponse: fromHex("82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF"),
  authenticatorResponse: fromHex("407A5589115FD0D6209F510FE9C04566932CDA56"),
} as const;

/** RFC 3079 section 3.5.3. */
export const RFC_3079_EXAMPLE = {
  sendStartKey: fromHex("8B7CDC149B993A1BA118CB153F56DCCB"),
  receiveStartKey: fromHex("D5F0E9521E3EA9589645E86051C82226"),
} as const;

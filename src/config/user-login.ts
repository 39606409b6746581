import { createHash } from "node:crypto";
import { createEapClient } from "../eap/client.ts";
import { mschapv2Client } from "../eap/mschapv2/client.ts";
import type { EapClient, EapSession } from "../eap/session.ts";
import { systemRandom } from "../platform/random.ts";

/** A login of ours with name and password. Two of the same user and password are the same to whoever compares configurations. */
export class UserLogin implements EapClient {
  readonly user: string;
  /** 16 octets, as good as the password. */
  readonly ntHash: Uint8Array;

  constructor({ user, ntHash }: { readonly user: string; readonly ntHash: Uint8Array }) {
    this.user = user;
    this.ntHash = ntHash;
  }

  get account(): Uint8Array {
    return createHash("sha256").update(this.ntHash).update(this.user).digest();
  }

  begin(): EapSession {
    const { user, ntHash } = this;
    const method = mschapv2Client({ user, ntHash, random: systemRandom });
    return createEapClient({ identity: user, methods: [method] }).begin();
  }
}

import { expect, test } from "vitest";
import { weakKeywords } from "../../src/policy/weak-algorithms.ts";

test.each([
  ["aes256gcm16-prfsha384-x25519", []],
  ["chacha20poly1305", []],
  ["aes256-sha256-modp2048", []],
  ["aes256-sha1-prfsha1-modp1024", ["sha1", "prfsha1", "modp1024"]],
  ["3des-md5-modp768", ["3des", "md5", "modp768"]],
  ["null-sha256", ["null"]],
  ["aes128gmac", ["aes128gmac"]],
  ["aes128-sha384-modp1536", ["modp1536"]],
  ["aes128-sha256-modp2048s256", ["modp2048s256"]],
  ["", []],
])("of %s: %j", (proposal, weak) => expect(weakKeywords(proposal)).toEqual(weak));

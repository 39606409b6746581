import type { Proposal } from "../wire/payloads/proposal.ts";
import { parseEspProposal, parseIkeProposal } from "./keywords.ts";

/**
 * What IKE offers and accepts when nothing is configured: combined-mode ciphers first, then AES-CBC with HMAC-SHA2 for peers
 * without them. Everything in it is MUST or SHOULD of RFC 8247 or stronger; SHA-1 and groups below 2048 bits are left out.
 */
export const DEFAULT_IKE_PROPOSALS: readonly Proposal[] = [
  "aes256gcm16-aes128gcm16-chacha20poly1305-prfsha256-prfsha384-prfsha512-x25519-ecp256-ecp384-ecp521-x448-modp3072-modp4096-modp2048",
  "aes256-aes128-sha256-sha384-sha512-x25519-ecp256-ecp384-ecp521-x448-modp3072-modp4096-modp2048",
].map(parseIkeProposal);

/**
 * The same for ESP, where the processor has AES instructions: then AES-GCM is the fastest. Both lengths of sequence number are offered, the
 * one that lasts longer first.
 */
export const DEFAULT_ESP_PROPOSALS: readonly Proposal[] = [
  "aes256gcm16-aes128gcm16-chacha20poly1305-esn-noesn",
  "aes256-aes128-sha256-sha384-sha512-esn-noesn",
].map(parseEspProposal);

/** The same where it has none: ChaCha20-Poly1305 takes less than half of the time of AES-GCM in WebAssembly. */
export const DEFAULT_ESP_PROPOSALS_WITHOUT_AES: readonly Proposal[] = [
  "chacha20poly1305-aes256gcm16-aes128gcm16-esn-noesn",
  "aes256-aes128-sha256-sha384-sha512-esn-noesn",
].map(parseEspProposal);

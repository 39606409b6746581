/**
 * What RFC 8247 and RFC 8221 (with RFC 9395) say MUST NOT or SHOULD NOT of, and what hides nothing: groups of less than 2048 bits or with small
 * subgroups, MD5, SHA-1 as the PRF or for integrity, DES, NULL and GMAC.
 */
const WEAK = /^(modp(768|1024|1536|1024s160|2048s224|2048s256)|(prf)?(md5|sha1).*|3?des|null|aes\d+gmac)$/;

/** Keywords of a negotiated proposal ("aes256-sha1-modp1024") that deserve a look. */
export function weakKeywords(proposal: string): readonly string[] {
  return proposal.split("-").filter((keyword) => WEAK.test(keyword));
}

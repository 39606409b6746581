import { toHex } from "../bytes/hex.ts";
import { EncryptionTransform, HashAlgorithm, NotifyType, TransformType } from "../iana/ikev2-parameters.ts";
import type { Payload } from "../wire/payloads/payload.ts";
import { signatureHashesIn } from "./certificates.ts";
import { decodeWindowSize, find, findNotify } from "./payloads.ts";

/** Which client a peer seems to be. Nobody proves it: it is for whoever looks at the status, and settles nothing. */
export type ClientGuess = "windows" | "apple" | "android" | "strongswan" | "ikebana" | "unknown";

/** What the first message shows of its sender, kept until it has logged in. */
export interface FirstImpression {
  readonly vendor: "windows" | "strongswan" | undefined;
  readonly isRedirectable: boolean;
  readonly announcesHashes: boolean;
  readonly announcesSha1: boolean;
  readonly offersCounterMode: boolean;
}

/** "MS NT5 ISAKMPOAKLEY" behind which a version stands, and "MS-Negotiation Discovery Capable". */
const WINDOWS = ["1e2b516905991c7d7c96fcbfb587e461", "fb1de3cdf341b7ea16b7e5be0855f120"];
/** "strongSwan", where its configuration has it say so. */
const STRONGSWAN = "882fe56d6fd20dbc2251613b2ebe5beb";
const HASH_LENGTH = 16;
/** Nobody is known to send more, and a stranger can send thousands. */
const MOST_VENDOR_IDS = 16;

/** Of the payloads of IKE_SA_INIT. */
export function firstImpression(payloads: readonly Payload[]): FirstImpression {
  const hashes = signatureHashesIn(payloads);
  return {
    vendor: vendorIn(payloads),
    isRedirectable: has(payloads, NotifyType.REDIRECT_SUPPORTED),
    announcesHashes: hashes.length > 0,
    announcesSha1: hashes.includes(HashAlgorithm.SHA1),
    offersCounterMode: offersCounterMode(payloads),
  };
}

/** `payloads` are those of the first message of IKE_AUTH. */
export function guessClient(first: FirstImpression, payloads: readonly Payload[]): ClientGuess {
  if (first.vendor !== undefined) return first.vendor;
  const isMobile = has(payloads, NotifyType.MOBIKE_SUPPORTED);
  if (first.isRedirectable) {
    if (has(payloads, NotifyType.IKEV2_MESSAGE_ID_SYNC_SUPPORTED)) return "strongswan";
    if (!first.announcesHashes && has(payloads, NotifyType.NON_FIRST_FRAGMENTS_ALSO)) return "apple";
  } else if (first.announcesSha1 && first.offersCounterMode && isMobile) return "android";
  const window = findNotify(payloads, NotifyType.SET_WINDOW_SIZE);
  const takesSeveral = window !== undefined && (decodeWindowSize(window.data) ?? 1) > 1;
  return first.announcesHashes && takesSeveral ? "ikebana" : "unknown";
}

function vendorIn(payloads: readonly Payload[]): FirstImpression["vendor"] {
  let count = 0;
  for (const payload of payloads) {
    if (payload.kind !== "vendor-id") continue;
    if (++count > MOST_VENDOR_IDS) return undefined;
    const hash = toHex(payload.data.subarray(0, HASH_LENGTH));
    if (WINDOWS.includes(hash)) return "windows";
    if (hash === STRONGSWAN) return "strongswan";
  }
  return undefined;
}

function offersCounterMode(payloads: readonly Payload[]): boolean {
  const [first] = find(payloads, "security-association")?.proposals ?? [];
  return (
    first?.transforms.some(
      ({ type, id }) => type === TransformType.ENCR && id === EncryptionTransform.ENCR_AES_CTR,
    ) === true
  );
}

function has(payloads: readonly Payload[], notifyType: number): boolean {
  return findNotify(payloads, notifyType) !== undefined;
}

import { HashAlgorithm, NotifyType } from "../../src/iana/ikev2-parameters.ts";
import { notify } from "../../src/ike/payloads.ts";

// What the strongSwan app and NetworkManager's plug-in have in common: both are strongSwan.

const { SHA2_256, SHA2_384, SHA2_512, IDENTITY } = HashAlgorithm;

export const CHARON_INIT = [
  notify(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED),
  notify(
    NotifyType.SIGNATURE_HASH_ALGORITHMS,
    Uint8Array.from([SHA2_256, SHA2_384, SHA2_512, IDENTITY].flatMap((id) => [0, id])),
  ),
  notify(NotifyType.REDIRECT_SUPPORTED),
];

export const CHARON_AUTH = [
  notify(NotifyType.ESP_TFC_PADDING_NOT_SUPPORTED),
  notify(NotifyType.MOBIKE_SUPPORTED),
  notify(NotifyType.NO_ADDITIONAL_ADDRESSES),
  notify(NotifyType.EAP_ONLY_AUTHENTICATION),
  notify(NotifyType.IKEV2_MESSAGE_ID_SYNC_SUPPORTED),
];

export const CHARON_IKE =
  "prfsha256-prfsha384-prfsha512-prfaesxcbc-ecp256-ecp384-ecp521-x25519-x448-modp3072-modp4096-modp2048";

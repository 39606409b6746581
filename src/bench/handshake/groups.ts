/** Key exchanges that clients commonly use with IKE, all with AES-256-GCM and HMAC-SHA2-384. */
export const GROUPS = ["x25519", "ecp256", "modp2048"] as const;
export type GroupName = (typeof GROUPS)[number];

export const GROUP_TITLES: Readonly<Record<GroupName, string>> = {
  x25519: "X25519",
  ecp256: "P-256",
  modp2048: "MODP-2048",
};

export function ikeProposal(group: GroupName): string {
  return `aes256gcm16-prfsha384-${group}`;
}

export const ESP_PROPOSAL = "aes256gcm16";
